//! The parts of every stand-in: a server, its requests and its replies.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{self, Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::media_host::generated_pieces;

/// The largest request body that a stand-in reads, in bytes. It is larger than the limit of a Lambda response, so that a
/// violation of that limit is noticed.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// The behaviour of a stand-in.
pub trait Service: Send + 'static {
    /// Answers a request and records its violations.
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer;
}

/// The answer of a service.
pub enum Answer {
    /// A reply that is known immediately.
    Now(Reply),
    /// A reply that is known later.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Now(reply)
    }
}

/// A service on a port of this machine. It stops when it is dropped.
pub struct Server<S> {
    address: SocketAddr,
    shared: Arc<Shared<S>>,
    task: JoinHandle<()>,
}

struct Shared<S> {
    service: Mutex<S>,
    violations: Mutex<Violations>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl<S: Service> Server<S> {
    /// Starts a server on a free port of the loopback interface. Must be called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn serve(service: S) -> io::Result<Self> {
        Self::serve_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, service)
    }

    /// Starts a server on a listener that is already bound.
    ///
    /// # Errors
    ///
    /// Fails if the listener has no local address.
    pub fn serve_on(listener: TcpListener, service: S) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            service: Mutex::new(service),
            violations: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer::<S>).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Runs until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, task })
    }
}

impl<S> Server<S> {
    /// The base URL, without a trailing slash.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The violations of all requests so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        lock(&self.shared.violations).0.clone()
    }

    /// Returns the violations of all requests so far, and clears them.
    #[must_use]
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.violations).0)
    }

    /// The largest number of requests that were answered at the same time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// The service, for scripting and inspection. Drop the guard before the next `await`.
    pub fn service(&self) -> MutexGuard<'_, S> {
        lock(&self.shared.service)
    }
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ignores poisoning, because a test that panicked while it held the lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer<S: Service>(State(shared): State<Arc<Shared<S>>>, request: axum::extract::Request) -> Response {
    let _in_flight = InFlight::new(&shared.at_once, &shared.most_at_once);
    let (head, body) = request.into_parts();
    // Fails only if the client disconnects or the body is too large.
    let body = body::to_bytes(body, MAX_REQUEST_BYTES).await.unwrap_or_default();
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        headers: head.headers,
        body,
    };
    // Both locks are released before the reply is awaited.
    let answer = lock(&shared.service).answer(&request, &mut lock(&shared.violations));
    let reply = match answer {
        Answer::Now(reply) => reply,
        Answer::Later(reply) => reply.await,
    };
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    reply.into_response()
}

/// Counts a request as long as it is in flight, even if the client disconnects.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn new(at_once: &'a AtomicUsize, most_at_once: &AtomicUsize) -> Self {
        most_at_once.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(at_once)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A complete request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, not decoded.
    pub path: String,
    /// The parameters of the query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// The value of a header, if it occurs exactly once and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether the request has a signature of AWS with this scope: `sns`, or `eu-central-1/sns` for one region only.
    #[must_use]
    pub fn is_signed_for(&self, scope: &str) -> bool {
        let scope = format!("/{scope}/aws4_request");
        self.header("x-amz-date").is_some()
            && self.header("authorization").is_some_and(|signature| {
                signature.starts_with("AWS4-HMAC-SHA256 Credential=")
                    && signature.split([' ', ',']).any(|part| part.starts_with("Credential=") && part.ends_with(&scope))
                    && signature.rsplit_once("Signature=").is_some_and(|(_, hash)| hash.len() == 64)
            })
    }

    /// Records a violation for every unexpected header and for every duplicate one. Transport headers are always allowed.
    pub fn check_headers(&self, expected: &[&str], violations: &mut Violations) {
        const TRANSPORT: [&str; 4] = ["accept", "content-length", "host", "user-agent"];
        for name in self.headers.keys() {
            let name = name.as_str();
            if !TRANSPORT.contains(&name) && !expected.contains(&name) {
                violations.add(self, &format!("the header `{name}` must not be sent"));
            } else if self.header(name).is_none() {
                violations.add(self, &format!("the header `{name}` occurs twice or is not text"));
            }
        }
    }
}

/// The rules that requests to a stand-in have broken.
#[derive(Debug, Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// Records a violation.
    pub fn add(&mut self, request: &Request, what: &str) {
        self.0.push(format!("{} {}: {what}", request.method, request.path));
    }

    /// Records a request that the real service does not have.
    pub fn unknown(&mut self, request: &Request) -> Reply {
        self.add(request, "there is no such call");
        Reply::text(404, "there is no such call")
    }

    /// The number of violations so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The replies of a stand-in: first a list, with one reply per request, then always the same reply.
#[derive(Debug)]
pub struct Script {
    first: VecDeque<Reply>,
    then: Reply,
}

impl Script {
    /// A script with one reply for all requests.
    #[must_use]
    pub fn always(then: Reply) -> Self {
        Self { first: VecDeque::new(), then }
    }

    /// Answers the next requests with these replies.
    pub fn first(&mut self, replies: impl IntoIterator<Item = Reply>) {
        self.first.extend(replies);
    }

    /// Sets the reply to all requests after those of the list.
    pub fn then(&mut self, reply: Reply) {
        self.then = reply;
    }

    /// The reply to the next request.
    pub fn next_reply(&mut self) -> Reply {
        self.scripted().unwrap_or_else(|| self.then.clone())
    }

    /// The next reply of the list, if there is one.
    pub fn scripted(&mut self) -> Option<Reply> {
        self.first.pop_front()
    }
}

/// A reply, with an optional delay or fault.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Payload,
    delay: Duration,
}

#[derive(Clone, Debug)]
enum Payload {
    /// A complete body.
    Whole(Bytes),
    /// The beginning of a body, after which the connection breaks.
    Broken(Bytes),
    /// A repeated chunk. It is generated as it is sent, so that a large body needs no memory.
    Repeated(Bytes, usize),
    /// The beginning of a generated file, in pieces with a pause after each.
    Generated {
        /// How much of it is sent.
        bytes: u64,
        /// Whether the connection breaks after that.
        is_broken: bool,
        pause: Duration,
    },
}

impl Reply {
    fn new(status: u16, content_type: &str, body: Payload) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: Vec::new(), body, delay: Duration::ZERO }.with_header("content-type", content_type)
    }

    /// A text reply.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Payload::Whole(text.to_owned().into()))
    }

    /// A JSON reply.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", Payload::Whole(value.to_string().into()))
    }

    /// A JSON reply whose body is `chunk`, repeated `times` times.
    #[must_use]
    pub fn repeated(status: u16, chunk: &str, times: usize) -> Self {
        Self::new(status, "application/json; charset=utf-8", Payload::Repeated(chunk.to_owned().into(), times))
    }

    /// A file with this content.
    #[must_use]
    pub fn bytes(content_type: &str, bytes: Bytes) -> Self {
        Self::new(200, content_type, Payload::Whole(bytes))
    }

    /// A generated file of this size.
    #[must_use]
    pub fn generated(content_type: &str, size_bytes: u64) -> Self {
        let body = Payload::Generated { bytes: size_bytes, is_broken: false, pause: Duration::ZERO };
        Self::new(200, content_type, body).with_header("content-length", &size_bytes.to_string())
    }

    /// Sends only so many bytes of a generated file, then breaks the connection.
    #[must_use]
    pub fn broken_after(mut self, sent: u64) -> Self {
        if let Payload::Generated { bytes, is_broken, .. } = &mut self.body {
            (*bytes, *is_broken) = (sent, true);
        }
        self
    }

    /// Makes a pause after each piece of a generated file.
    #[must_use]
    pub fn with_pauses(mut self, between: Duration) -> Self {
        if let Payload::Generated { pause, .. } = &mut self.body {
            *pause = between;
        }
        self
    }

    /// Adds a header. Ignores an invalid name or value.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse(), value.parse()) {
            self.headers.push((name, value));
        }
        self
    }

    /// Sends this reply after a delay.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends only the first half of this reply, then breaks the connection.
    #[must_use]
    pub fn cut_in_half(mut self) -> Self {
        if let Payload::Whole(body) = &self.body {
            self.body = Payload::Broken(body.slice(..body.len() / 2));
        }
        self
    }

    /// Replaces the body and the content type with those of another reply.
    #[must_use]
    pub fn with_body_of(mut self, other: Self) -> Self {
        self.body = other.body;
        self.headers.extend(other.headers);
        self
    }

    /// Whether the status means success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    fn into_response(self) -> Response {
        let body = match self.body {
            Payload::Whole(bytes) => Body::from(bytes),
            Payload::Broken(bytes) => {
                let broken = || async { Err(io::Error::from(io::ErrorKind::ConnectionReset)) };
                Body::from_stream(stream::iter([Ok(bytes)]).chain(stream::once(broken())))
            }
            Payload::Repeated(chunk, times) => {
                Body::from_stream(stream::iter((0..times).map(move |_| io::Result::Ok(chunk.clone()))))
            }
            Payload::Generated { bytes, is_broken, pause } => {
                let broken = is_broken.then(|| Err(io::Error::from(io::ErrorKind::ConnectionReset)));
                let pieces = stream::iter(generated_pieces(bytes).map(Ok).chain(broken));
                Body::from_stream(pieces.then(move |piece| async move {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    piece
                }))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        // A later header replaces an earlier one with the same name.
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
