//! A Lambda Runtime API for one process. It measures when the process is ready and when it answers.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};

use crate::server::{Reply, Request, Server, Service, reply};

/// The time limit of every step.
const PATIENCE: Duration = Duration::from_mins(9);

/// The Runtime API of one process.
pub struct RuntimeApi {
    server: Server,
    events: mpsc::UnboundedSender<String>,
    reports: Receiver<Report>,
}

enum Report {
    Ready(Instant),
    Answer(Instant, String),
    Refused(String),
}

impl RuntimeApi {
    /// Starts the server, with plain HTTP as on Lambda.
    pub fn start(runtime: &Handle) -> io::Result<Self> {
        let (events, receiver) = mpsc::unbounded_channel();
        let (sender, reports) = channel();
        let server = Server::start(runtime, None, &Api { events: Arc::new(Mutex::new(receiver)), reports: sender })?;
        Ok(Self { server, events, reports })
    }

    /// The value for `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// Waits until the process asks for an event.
    pub fn ready(&self) -> Result<Instant, String> {
        match self.reports.recv_timeout(PATIENCE) {
            Ok(Report::Ready(at)) => Ok(at),
            Ok(Report::Answer(_, what) | Report::Refused(what)) => Err(what),
            Err(_) => Err("it is not ready in time".to_owned()),
        }
    }

    /// Sends an event and waits for the answer. Returns the time between the two.
    pub fn invoke(&self, event: &str) -> Result<(Duration, Value), String> {
        let began = Instant::now();
        self.events.send(event.to_owned()).map_err(|error| error.to_string())?;
        match self.reports.recv_timeout(PATIENCE) {
            Ok(Report::Answer(at, answer)) => {
                let answer = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
                Ok((at - began, answer))
            }
            Ok(Report::Ready(_)) => Err("it asks for an event before it has answered the last one".to_owned()),
            Ok(Report::Refused(what)) => Err(what),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::UnboundedReceiver<String>>>,
    reports: Sender<Report>,
}

impl Service for Api {
    async fn answer(&self, request: Request) -> Reply {
        let path: Vec<_> = request.path.trim_start_matches("/2018-06-01/runtime/").split('/').collect();
        let body = || String::from_utf8_lossy(&request.body).into_owned();
        match (&request.method, &path[..]) {
            (&Method::GET, ["invocation", "next"]) => {
                self.report(Report::Ready(Instant::now()));
                // Without an event, the request waits until the process ends.
                let event = self.events.lock().await.recv().await;
                with_headers(event.unwrap_or_default())
            }
            (&Method::POST, ["invocation", _, "response"]) => {
                self.report(Report::Answer(Instant::now(), body()));
                reply(202, "")
            }
            _ => {
                self.report(Report::Refused(format!("{} {}: {}", request.method, request.path, body())));
                reply(202, "")
            }
        }
    }
}

impl Api {
    fn report(&self, report: Report) {
        // Fails only if the receiver has given up.
        let _ = self.reports.send(report);
    }
}

/// The scheduled event.
pub const SCHEDULED: &str = r#"{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012","time":"2026-11-23T06:00:00Z","region":"eu-central-1","resources":[],"detail":{}}"#;

fn with_headers(event: String) -> Reply {
    let mut reply = reply(200, event);
    let deadline = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    for (name, value) in [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", &deadline.as_millisecond().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:media-expiry-alerts",
        ),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            reply.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    reply
}
