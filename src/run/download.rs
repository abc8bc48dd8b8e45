//! Reading a file from the host that serves it, to copy it.
//!
//! Only URLs that a gallery lists are read, and no key is sent. They must use `https:`. `http:` on this machine is allowed only if
//! Ayrshare's base URL is on this machine, too.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION,
};
use reqwest::{Response, StatusCode};
use url::Url;

use crate::config::is_loopback;
use crate::model::text::{count, thousands};
use crate::model::{Media, MediaKind};
use crate::net::{self, Deadline, Retry};
use crate::store::StoreError;

/// How long the host may take to answer, and to send the next piece.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many redirects within a host are followed.
const MAX_REDIRECTS: usize = 3;
/// The longest content type that is kept.
const MAX_TYPE_BYTES: usize = 100;
/// The content type of a file whose host names none.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Why a file was not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFailure {
    /// It has this many bytes, which is more than the limit.
    TooLarge(u64),
    /// It cannot be read, for this reason.
    Unreadable {
        /// The reason, in words.
        reason: String,
        /// Whether another attempt in a moment may do better.
        is_transient: bool,
    },
    /// The store failed.
    Store(StoreError),
    /// There was no time for it.
    OutOfTime,
    /// It had all the time that a run has for copies, which was not enough.
    TooSlow,
    /// Its gallery lists another file with the same id, under which only one copy can be kept.
    SameId,
}

impl CopyFailure {
    fn unreadable(reason: impl Into<String>) -> Self {
        Self::Unreadable { reason: reason.into(), is_transient: false }
    }
}

impl From<StoreError> for CopyFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Where files are read from.
#[derive(Clone, Copy, Debug)]
pub struct Downloads<'a> {
    /// The client. It sends no key by itself, and follows no redirect.
    pub http: &'a reqwest::Client,
    /// Whether files may be on this machine, without TLS.
    pub allow_loopback: bool,
    /// The largest file that is read.
    pub max_file_bytes: u64,
}

/// A file that is being read.
#[derive(Debug)]
pub struct Download {
    response: Response,
    /// The type, as the host says.
    pub content_type: String,
    /// The size that the whole file must have.
    pub size_bytes: u64,
    received: u64,
}

impl Downloads<'_> {
    /// Begins to read a file.
    ///
    /// # Errors
    ///
    /// See [`CopyFailure`].
    pub async fn open(&self, media: &Media, until: Deadline) -> Result<Download, CopyFailure> {
        if let Some(size) = media.size_bytes.filter(|size| self.max_file_bytes < *size) {
            return Err(CopyFailure::TooLarge(size));
        }
        let url = media.url.as_deref().ok_or_else(|| CopyFailure::unreadable("its gallery lists no URL"))?;
        let url = self.check(url)?;
        let retry = |failure: &CopyFailure| match failure {
            CopyFailure::Unreadable { is_transient: true, .. } => Retry::Backoff,
            _ => Retry::Never,
        };
        let response = net::retrying(until, || self.get(url.clone(), until), retry).await?;
        let header = |name: HeaderName| text_of(response.headers(), &name);
        if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(CopyFailure::unreadable("its host sends it compressed, though it was asked not to"));
        }
        let announced = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let size_bytes = match (media.size_bytes, announced) {
            (Some(listed), Some(announced)) if listed != announced => {
                return Err(CopyFailure::unreadable(format!(
                    "its host announces {}, but its gallery lists {}",
                    bytes(announced),
                    bytes(listed)
                )));
            }
            (Some(size), _) | (None, Some(size)) => size,
            (None, None) => {
                return Err(CopyFailure::unreadable("neither its gallery nor its host says how large it is"));
            }
        };
        if self.max_file_bytes < size_bytes {
            return Err(CopyFailure::TooLarge(size_bytes));
        }
        let is_page = header(CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
        if is_page && media.kind() != MediaKind::Other {
            return Err(CopyFailure::unreadable("its host sends a web page instead of it"));
        }
        let content_type = header(CONTENT_TYPE).filter(|kind| (1..=MAX_TYPE_BYTES).contains(&kind.len()));
        let content_type = content_type.unwrap_or(UNKNOWN_TYPE).to_owned();
        Ok(Download { response, content_type, size_bytes, received: 0 })
    }

    /// Checks that a URL may be read.
    fn check(&self, url: &str) -> Result<Url, CopyFailure> {
        let url = Url::parse(url.trim()).map_err(|_| CopyFailure::unreadable("its gallery lists no valid URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CopyFailure::unreadable("its URL has a user name or a password"));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.allow_loopback && is_loopback(&url) => Ok(url),
            _ => Err(CopyFailure::unreadable("its URL does not start with https://")),
        }
    }

    /// Asks for a file once, and follows redirects within its host.
    async fn get(&self, mut url: Url, until: Deadline) -> Result<Response, CopyFailure> {
        for _ in 0..=MAX_REDIRECTS {
            let request = self.http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            let answer = until.within(TIMEOUT).bound(request.send()).await;
            let response = match answer {
                Some(Ok(response)) => response,
                Some(Err(error)) => return Err(broken("its host cannot be reached", error)),
                None => return Err(too_late(until)),
            };
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response);
            }
            if !status.is_redirection() {
                let is_transient = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                return Err(CopyFailure::Unreadable { reason: format!("its host answered {status}"), is_transient });
            }
            let next = text_of(response.headers(), &LOCATION).and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| CopyFailure::unreadable(format!("its host answered {status}")))?;
            if next.origin() != url.origin() || !next.username().is_empty() || next.password().is_some() {
                return Err(CopyFailure::unreadable("its host redirects to another host"));
            }
            url = next;
        }
        Err(CopyFailure::unreadable("its host redirects too often"))
    }
}

impl Download {
    /// Returns the next piece of the file, or `None` at its end. The file must end after the announced size.
    ///
    /// # Errors
    ///
    /// See [`CopyFailure`].
    pub async fn next_piece(&mut self, until: Deadline) -> Result<Option<Bytes>, CopyFailure> {
        let (received, size) = (self.received, self.size_bytes);
        let broke_off =
            || CopyFailure::unreadable(format!("it broke off after {} of {}", number(received), bytes(size)));
        match until.within(TIMEOUT).bound(self.response.chunk()).await {
            Some(Ok(Some(piece))) => {
                self.received += piece.len() as u64;
                if size < self.received {
                    return Err(CopyFailure::unreadable(format!("its host sends more than {}", bytes(size))));
                }
                Ok(Some(piece))
            }
            Some(Ok(None)) if received == size => Ok(None),
            None if until.remaining().is_zero() => Err(CopyFailure::OutOfTime),
            Some(Ok(None) | Err(_)) | None => Err(broke_off()),
        }
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn broken(what: &str, error: reqwest::Error) -> CopyFailure {
    // The causes do not contain the URL.
    let reason = format!("{what}: {}", net::with_causes(&error.without_url()));
    CopyFailure::Unreadable { reason, is_transient: true }
}

/// Returns the failure after waiting for too long: the run has no time left, or the host is slow.
fn too_late(until: Deadline) -> CopyFailure {
    if until.remaining().is_zero() {
        return CopyFailure::OutOfTime;
    }
    let reason = format!("its host did not answer within {}", count(TIMEOUT.as_secs(), "second"));
    CopyFailure::Unreadable { reason, is_transient: true }
}

fn bytes(size: u64) -> String {
    count(size, "byte")
}

fn number(size: u64) -> String {
    thousands(i64::try_from(size).unwrap_or(i64::MAX))
}
