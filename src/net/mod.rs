//! How this crate talks HTTP: one client, one way to send a request, one way to try again.

pub mod aws;
pub mod environment;
pub mod redact;

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, RequestBuilder, StatusCode, redirect};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::{Instant, timeout_at};

use crate::net::environment::Environment;

/// How long one message to a channel, or one call of the AWS SDK, may take.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The moment by which something must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline `time` from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// This deadline, moved forward by `time`, but never before now.
    #[must_use]
    pub fn earlier_by(self, time: Duration) -> Self {
        let now = Instant::now();
        Self(self.0.checked_sub(time).map_or(now, |at| at.max(now)))
    }

    /// This deadline, but no more than `time` from now.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        self.min(Self::after(time))
    }

    /// How much time is left; zero once it is over.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Waits for `work` no longer than until the deadline; `None` when it was cut off.
    pub async fn bound<F: Future>(self, work: F) -> Option<F::Output> {
        timeout_at(self.0, work).await.ok()
    }
}

/// Makes the one HTTP client of a process: rustls with ring and the trust roots that are compiled in.
///
/// Redirects are not followed: they would carry a `Profile-Key` to another host. Connections are kept for seconds
/// only, because Lambda freezes the process between two runs.
///
/// `HTTPS_PROXY` and `NO_PROXY` of the environment are honoured, and a proxy that cannot be read counts as none. What
/// is asked without TLS goes straight to where it is: the configuration takes `http:` for this machine itself only,
/// which no proxy can reach. The certificates in the PEM file at `SSL_CERT_FILE` are trusted too.
///
/// # Errors
///
/// Fails when the TLS settings are not accepted, which no input can cause.
pub fn client_of(environment: &Environment) -> Result<Client, reqwest::Error> {
    let var = |names: [&str; 2]| names.into_iter().find_map(|name| environment.non_blank_var(name));
    let proxy = var(["HTTPS_PROXY", "https_proxy"]).and_then(|proxy| Proxy::https(proxy).ok());
    let roots = roots_of(environment);
    match proxy {
        Some(proxy) => {
            let not_for = var(["NO_PROXY", "no_proxy"]).and_then(|hosts| NoProxy::from_string(&hosts));
            builder(roots).proxy(proxy.no_proxy(not_for)).build()
        }
        None => builder(roots).build(),
    }
}

/// The same, with nothing of the environment.
///
/// # Errors
///
/// Fails when the TLS settings are not accepted, which no input can cause.
pub fn client() -> Result<Client, reqwest::Error> {
    builder(compiled_in_roots()).build()
}

fn compiled_in_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// The roots that are compiled in, and those of `SSL_CERT_FILE`. A file that cannot be read adds none: whatever needs it
/// fails, and says so.
fn roots_of(environment: &Environment) -> RootCertStore {
    let mut roots = compiled_in_roots();
    if let Some(path) = environment.non_blank_var("SSL_CERT_FILE") {
        let added = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match added {
            Ok(certificates) => drop(roots.add_parsable_certificates(certificates)),
            Err(error) => tracing::warn!("the certificates of SSL_CERT_FILE, {path}, cannot be read: {error}"),
        }
    }
    roots
}

fn builder(roots: RootCertStore) -> ClientBuilder {
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
    let builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(5));
    match tls {
        Ok(tls) => builder.tls_backend_preconfigured(tls),
        Err(_) => builder,
    }
}

/// An answer that was read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// How long it asks to wait, if it does.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The beginning of the body as text. It may hold secrets, and is for [`crate::net::redact::Redactor::quote`] to cut.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(16 * 1024)]).trim().to_owned()
    }

    /// Whether trying again may help: 429 and every 5xx.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error()
    }
}

/// Why there is no [`Answer`].
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Nothing was sent: no connection came about.
    #[error("no connection: {0}")]
    Connect(String),
    /// The request may have arrived: the time of one request was over before the answer was whole.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke before the answer was whole.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is larger than this caller takes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The deadline of the run came first.
    #[error("the run had no time left")]
    OutOfTime,
}

/// Sends one request and reads its answer, up to `max_bytes` of it.
///
/// # Errors
///
/// See [`NetError`]; no text in it holds the URL.
pub async fn send(
    request: RequestBuilder,
    timeout: Duration,
    deadline: Deadline,
    max_bytes: usize,
) -> Result<Answer, NetError> {
    send_and_take(request, timeout, deadline, max_bytes, |_, _| false).await
}

/// As [`send`], and offers each piece of the body to `take` as it arrives: a piece that it takes is not kept.
///
/// # Errors
///
/// See [`NetError`]; no text in it holds the URL.
pub async fn send_and_take(
    request: RequestBuilder,
    timeout: Duration,
    deadline: Deadline,
    max_bytes: usize,
    mut take: impl FnMut(StatusCode, &[u8]) -> bool,
) -> Result<Answer, NetError> {
    let exchange = async {
        let mut response = request.timeout(timeout).send().await.map_err(|error| describe(error, timeout))?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), Timestamp::now());
        let mut body = Vec::new();
        let mut left = max_bytes;
        while let Some(piece) = response.chunk().await.map_err(|error| describe(error, timeout))? {
            left = left.checked_sub(piece.len()).ok_or(NetError::TooLarge(max_bytes))?;
            if !take(status, &piece) {
                body.extend_from_slice(&piece);
            }
        }
        Ok(Answer { status, retry_after, body })
    };
    deadline.bound(exchange).await.unwrap_or(Err(NetError::OutOfTime))
}

fn describe(error: reqwest::Error, timeout: Duration) -> NetError {
    let error = error.without_url();
    // None of the causes holds the URL.
    let text = with_causes(&error);
    if error.is_connect() {
        NetError::Connect(text)
    } else if error.is_timeout() {
        NetError::TimedOut(timeout)
    } else {
        NetError::Broken(text)
    }
}

/// An error and what caused it, down to the bottom, which says what happened ("connection refused").
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Reads `Retry-After`: seconds, or the moment as HTTP writes dates.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let moment = rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Whether a failed attempt may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again, or would be done twice.
    Never,
    /// After a pause of our own choice.
    Backoff,
    /// After the pause that the other side asked for.
    After(Duration),
}

impl Retry {
    /// The answer's own wish where it has one.
    #[must_use]
    pub fn as_asked(retry_after: Option<Duration>) -> Self {
        retry_after.map_or(Self::Backoff, Self::After)
    }
}

/// How many times a failed attempt is made again. Ayrshare suspends a profile after 1,000 answers of 429 in a day.
const MAX_RETRIES: usize = 2;

/// Makes an attempt, and again while it fails in a way that passes: at most twice, with growing and jittered pauses or
/// the one that was asked for, and never when the pause would outlast the deadline.
///
/// # Errors
///
/// The error of the last attempt.
pub async fn retrying<T, E, F: Future<Output = Result<T, E>>>(
    deadline: Deadline,
    attempt: impl FnMut() -> F,
    retry: impl Fn(&E) -> Retry,
) -> Result<T, E> {
    retrying_at_most(MAX_RETRIES, deadline, attempt, retry).await
}

/// As [`retrying`], as many times as is said: for a service that is ours to ask as often as we like.
///
/// # Errors
///
/// The error of the last attempt.
pub async fn retrying_at_most<T, E, F: Future<Output = Result<T, E>>>(
    retries: usize,
    deadline: Deadline,
    attempt: impl FnMut() -> F,
    retry: impl Fn(&E) -> Retry,
) -> Result<T, E> {
    attempt
        .retry(
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(200))
                .with_max_times(retries)
                .with_jitter(),
        )
        .sleep(tokio::time::sleep)
        .when(|error| retry(error) != Retry::Never)
        .adjust(|error, pause| {
            let pause = match retry(error) {
                Retry::After(asked) => pause.map(|_| asked),
                _ => pause,
            };
            pause.filter(|pause| *pause < deadline.remaining())
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = "2026-11-23T06:00:00Z".parse().expect("a time");
        let check = |value: &str, expected: Option<u64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a header"))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
        };
        check("7", Some(7));
        check(" 7 ", Some(7));
        check("Mon, 23 Nov 2026 06:01:00 GMT", Some(60));
        check("Mon, 23 Nov 2026 05:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
        check("", None);
        check("99999999999999999999", Some(u64::MAX));
    }

    #[test]
    fn the_certificates_of_the_environment_are_trusted_too() {
        let path = std::env::temp_dir().join(format!("{}-{}.pem", env!("CARGO_PKG_NAME"), std::process::id()));
        let trusted = |text: &str| {
            std::fs::write(&path, text).expect("a file");
            roots_of(&Environment::of([("SSL_CERT_FILE", path.display().to_string())])).len()
        };
        let compiled_in = compiled_in_roots().len();
        assert_eq!(trusted(PEM), compiled_in + 1);
        assert_eq!(trusted(&PEM.replace("MII", "???")), compiled_in, "a file that is none is no reason to stop");
        std::fs::remove_file(&path).expect("the file is ours");
        assert_eq!(roots_of(&Environment::of([("SSL_CERT_FILE", "/nowhere")])).len(), compiled_in);
    }

    const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUA9NiFUoQt+1e8UyKg0cdpzkM8UswCgYIKoZIzj0EAwIw
HzEdMBsGA1UEAwwUYSBwcm94eSBvZiBhIGNvbXBhbnkwIBcNMjYxMTI0MTYzMTA3
WhgPMjEyNjEwMzExNjMxMDdaMB8xHTAbBgNVBAMMFGEgcHJveHkgb2YgYSBjb21w
YW55MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAuD86Mdn5jAUKuV18ozy5cgr
7hpEd3Stf3z2vKq2l0Q8+/ruJv1jNzkeT9L91O8xemzsILfzCLKaisb/t7QQo6NT
MFEwHQYDVR0OBBYEFLYtamjZLmtaCT7qXxzQ2yilKocFMB8GA1UdIwQYMBaAFLYt
amjZLmtaCT7qXxzQ2yilKocFMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID
SAAwRQIgde/TEDZT9q9tmyp+xLKBRos92vvHoljJkEBWd85rS4cCIQCIHgLOxZAV
vZS1Lpx9HgCUZfwirKgC5sBk/WG9zhXChw==
-----END CERTIFICATE-----
";

    /// The first line of what a client of this environment sends when it asks for an `https:` URL.
    async fn first_line_at_the_proxy(not_for: &str) -> Option<String> {
        use tokio::io::{AsyncBufReadExt as _, BufReader};
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let proxy = format!("http://{}", listener.local_addr().expect("an address"));
        let environment = Environment::of([("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", not_for)]);
        let client = client_of(&environment).expect("a client");
        // Nobody listens on port 9 where it goes past the proxy.
        let request = client.get("https://localhost:9/").send();
        let proxy = async {
            let (stream, _) = listener.accept().await.expect("a connection");
            BufReader::new(stream).lines().next_line().await.expect("a line")
        };
        tokio::select! {
            line = proxy => line,
            error = request => {
                assert!(error.is_err());
                None
            }
        }
    }

    #[tokio::test]
    async fn a_proxy_of_the_environment_is_used_for_https() {
        assert_eq!(first_line_at_the_proxy("").await.as_deref(), Some("CONNECT localhost:9 HTTP/1.1"));
        assert_eq!(first_line_at_the_proxy("localhost").await, None);
    }

    async fn attempts_until(deadline: Duration, retry: Retry) -> (u32, Duration) {
        let attempts = Cell::new(0);
        let began = Instant::now();
        let attempt = || async {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(())
        };
        let _ = retrying(Deadline::after(deadline), attempt, |()| retry).await;
        (attempts.get(), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_is_repeated_twice_and_never_past_the_deadline() {
        let minute = Duration::from_mins(1);
        assert_eq!(attempts_until(minute, Retry::Never).await, (1, Duration::ZERO));
        assert_eq!(attempts_until(minute, Retry::Backoff).await.0, 3);
        let (attempts, took) = attempts_until(minute, Retry::After(Duration::from_secs(5))).await;
        assert_eq!((attempts, took.as_secs()), (3, 10));
        assert_eq!(attempts_until(minute, Retry::After(minute * 2)).await, (1, Duration::ZERO));
        assert_eq!(attempts_until(Duration::ZERO, Retry::Backoff).await, (1, Duration::ZERO));
    }
}
