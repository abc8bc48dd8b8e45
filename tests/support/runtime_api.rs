//! A stand-in for the Lambda Runtime API. It passes events to the function and records the answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use media_expiry_alerts::demo::stand_ins::{Answer, Reply, Request, Server, Service, Violations};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, oneshot};

/// The size limit of an answer in Lambda.
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// The deadline of an invocation.
#[derive(Clone, Copy, Debug)]
pub enum InvocationDeadline {
    In(Duration),
    /// The header contains this constant instead of a time, as with some local runtimes.
    Constant(u64),
}

/// The answer of the function to an event.
#[derive(Clone, Debug)]
pub enum Outcome {
    Answer(Value),
    Error { kind: String, message: String },
}

impl Outcome {
    pub fn expect_answer(self) -> Value {
        match self {
            Self::Answer(answer) => answer,
            Self::Error { kind, message } => panic!("{kind}: {message}"),
        }
    }

    pub fn expect_error(self) -> (String, String) {
        match self {
            Self::Answer(answer) => panic!("no error: {answer}"),
            Self::Error { kind, message } => (kind, message),
        }
    }
}

pub struct RuntimeApi {
    events: Arc<Mutex<mpsc::UnboundedReceiver<Reply>>>,
    waiting: HashMap<String, oneshot::Sender<Outcome>>,
    answers: Vec<String>,
}

pub struct RuntimeApiStandIn {
    server: Server<RuntimeApi>,
    events: mpsc::UnboundedSender<Reply>,
    invocations: AtomicU32,
}

impl RuntimeApiStandIn {
    pub async fn start() -> Self {
        let (events, receiver) = mpsc::unbounded_channel();
        let api = RuntimeApi { events: Arc::new(Mutex::new(receiver)), waiting: HashMap::new(), answers: Vec::new() };
        Self { server: Server::serve(api).await.expect("a port"), events, invocations: AtomicU32::new(1) }
    }

    /// The value for `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.server.origin().trim_start_matches("http://").to_owned()
    }

    pub fn violations(&self) -> Vec<String> {
        self.server.violations()
    }

    /// The body of every answer and error.
    pub fn answers(&self) -> Vec<String> {
        self.server.service().answers.clone()
    }

    pub fn invoke(&self, event: &Value, deadline: InvocationDeadline) -> impl Future<Output = Outcome> + use<> {
        let id = format!("8476a536-e9f4-11e8-9739-{:012}", self.invocations.fetch_add(1, Ordering::Relaxed));
        let deadline_ms = match deadline {
            InvocationDeadline::In(time) => (Timestamp::now() + time).as_millisecond().to_string(),
            InvocationDeadline::Constant(constant) => constant.to_string(),
        };
        let (sender, receiver) = oneshot::channel();
        self.server.service().waiting.insert(id.clone(), sender);
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:alerts-under-test";
        let event = Reply::json(200, event)
            .with_header("Lambda-Runtime-Aws-Request-Id", &id)
            .with_header("Lambda-Runtime-Deadline-Ms", &deadline_ms)
            .with_header("Lambda-Runtime-Invoked-Function-Arn", arn)
            .with_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700");
        self.events.send(event).expect("the server is there");
        async { receiver.await.expect("the server is there") }
    }
}

impl Service for RuntimeApi {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        request.check_headers(&["content-type", "lambda-runtime-function-error-type"], violations);
        let path: Vec<_> = request.path.trim_start_matches("/2018-06-01/runtime/").split('/').collect();
        match (request.method.as_str(), &path[..]) {
            ("GET", ["invocation", "next"]) => {
                let events = Arc::clone(&self.events);
                Answer::Later(Box::pin(async move {
                    let event = events.lock().await.recv().await;
                    event.unwrap_or_else(|| Reply::text(410, "there are no more events"))
                }))
            }
            ("POST", ["invocation", id, "response"]) => self.take(id, request, violations, Outcome::Answer),
            ("POST", ["invocation", id, "error"]) => {
                // The Runtime API client always sends `Unhandled` here. Callers and alarms use the type in the body.
                if request.header("lambda-runtime-function-error-type").is_none_or(str::is_empty) {
                    violations.add(request, "the error type header is missing");
                }
                let error = |body: Value| {
                    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                    Outcome::Error { kind: text("errorType"), message: text("errorMessage") }
                };
                self.take(id, request, violations, error)
            }
            _ => violations.unknown(request).into(),
        }
    }
}

impl RuntimeApi {
    fn take(
        &mut self,
        id: &str,
        request: &Request,
        violations: &mut Violations,
        outcome: impl Fn(Value) -> Outcome,
    ) -> Answer {
        self.answers.push(String::from_utf8_lossy(&request.body).into_owned());
        if MAX_ANSWER_BYTES < request.body.len() {
            violations.add(request, "it exceeds the size limit of Lambda");
        }
        match (self.waiting.remove(id), request.json()) {
            (Some(waiting), Some(body)) => {
                let _ = waiting.send(outcome(body));
            }
            _ => violations.add(request, "there is no such invocation, or the body is not JSON"),
        }
        Reply::text(202, "").into()
    }
}
