//! What every stand-in is made of: a server, the requests that it gets, and the replies that it gives.

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

/// The largest request that a stand-in reads: more than Lambda takes of an answer.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// What a service does with a request.
pub trait Service: Send + 'static {
    /// Answers a request, and says what is wrong with it.
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer;
}

/// What a service answers.
pub enum Answer {
    /// A reply that is known.
    Now(Reply),
    /// A reply that something else decides on, later.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Now(reply)
    }
}

/// A service on a port of this machine, until it is dropped.
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
    /// Serves on a free port of the loopback interface. It must be called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails when no port can be had.
    pub async fn serve(service: S) -> io::Result<Self> {
        Self::serve_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, service)
    }

    /// Serves on a port that is taken already.
    ///
    /// # Errors
    ///
    /// Fails when the port does not say where it is.
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
            // It ends by being aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, task })
    }
}

impl<S> Server<S> {
    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was wrong with the requests so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        lock(&self.shared.violations).0.clone()
    }

    /// Everything that was wrong with the requests so far, which is thereby forgiven.
    #[must_use]
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.violations).0)
    }

    /// How many requests were being answered at the same time, at the most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// The service itself, to script it and to ask what it got. Let go of it before the next `await`.
    pub fn service(&self) -> MutexGuard<'_, S> {
        lock(&self.shared.service)
    }
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A test that panics while it holds the lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer<S: Service>(State(shared): State<Arc<Shared<S>>>, request: axum::extract::Request) -> Response {
    let _one_more = OneMore::new(&shared.at_once, &shared.most_at_once);
    let (head, body) = request.into_parts();
    // Whoever goes away in the middle of a request gets no answer.
    let body = body::to_bytes(body, MAX_REQUEST_BYTES).await.unwrap_or_default();
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        headers: head.headers,
        body,
    };
    // The two locks are let go of before the reply is waited for.
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

/// Counts a request while it is being answered, also when its client goes away.
struct OneMore<'a>(&'a AtomicUsize);

impl<'a> OneMore<'a> {
    fn new(at_once: &'a AtomicUsize, most_at_once: &AtomicUsize) -> Self {
        most_at_once.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(at_once)
    }
}

impl Drop for OneMore<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, as it came.
    pub path: String,
    /// The parameters of the query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A header that is there once and is text.
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

    /// Objects to every header but these, and to those of them that are there twice. What only carries the request
    /// along is let through.
    pub fn check_headers(&self, expected: &[&str], violations: &mut Violations) {
        const CARRIERS: [&str; 4] = ["accept", "content-length", "host", "user-agent"];
        for name in self.headers.keys() {
            let name = name.as_str();
            if !CARRIERS.contains(&name) && !expected.contains(&name) {
                violations.add(self, &format!("the header `{name}` must not be sent"));
            } else if self.header(name).is_none() {
                violations.add(self, &format!("the header `{name}` is there twice, or is no text"));
            }
        }
    }
}

/// What was wrong with the requests of a stand-in.
#[derive(Debug, Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// Objects to a request.
    pub fn add(&mut self, request: &Request, what: &str) {
        self.0.push(format!("{} {}: {what}", request.method, request.path));
    }

    /// Objects to a request that the real service does not know.
    pub fn unknown(&mut self, request: &Request) -> Reply {
        self.add(request, "there is no such call");
        Reply::text(404, "there is no such call")
    }

    /// How many there are so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// What a stand-in answers: first what it was told to, one reply a request, and then always the same.
#[derive(Debug)]
pub struct Script {
    first: VecDeque<Reply>,
    then: Reply,
}

impl Script {
    /// Always the same.
    #[must_use]
    pub fn always(then: Reply) -> Self {
        Self { first: VecDeque::new(), then }
    }

    /// Puts replies to the next requests in front of the one that is always given.
    pub fn first(&mut self, replies: impl IntoIterator<Item = Reply>) {
        self.first.extend(replies);
    }

    /// Changes the reply that is always given.
    pub fn then(&mut self, reply: Reply) {
        self.then = reply;
    }

    /// The reply to the next request.
    pub fn next_reply(&mut self) -> Reply {
        self.scripted().unwrap_or_else(|| self.then.clone())
    }

    /// The reply to the next request, if one was put in front.
    pub fn scripted(&mut self) -> Option<Reply> {
        self.first.pop_front()
    }
}

/// A reply, and how it is given.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Payload,
    delay: Duration,
}

#[derive(Clone, Debug)]
enum Payload {
    /// The whole body.
    Whole(Bytes),
    /// The beginning of a body; then the connection breaks.
    Broken(Bytes),
    /// The same bytes again and again, made only as they are read.
    Repeated(Bytes, usize),
}

impl Reply {
    fn new(status: u16, content_type: &str, body: Payload) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: Vec::new(), body, delay: Duration::ZERO }.with_header("content-type", content_type)
    }

    /// A reply of text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Payload::Whole(text.to_owned().into()))
    }

    /// A reply of JSON.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", Payload::Whole(value.to_string().into()))
    }

    /// A reply of JSON that has `chunk` in it so many times.
    #[must_use]
    pub fn repeated(status: u16, chunk: &str, times: usize) -> Self {
        Self::new(status, "application/json; charset=utf-8", Payload::Repeated(chunk.to_owned().into(), times))
    }

    /// This reply with one header more. A name or a value that HTTP does not take is left out.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse(), value.parse()) {
            self.headers.push((name, value));
        }
        self
    }

    /// This reply after a pause.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The first half of this reply, after which the connection breaks.
    #[must_use]
    pub fn cut_in_half(mut self) -> Self {
        if let Payload::Whole(body) = &self.body {
            self.body = Payload::Broken(body.slice(..body.len() / 2));
        }
        self
    }

    /// This reply with the body and the type of another one.
    #[must_use]
    pub fn with_body_of(mut self, other: Self) -> Self {
        self.body = other.body;
        self.headers.extend(other.headers);
        self
    }

    /// Whether it says that the request was taken.
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
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        // Of two with the same name the later one stands.
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
