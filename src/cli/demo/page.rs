//! Serves the report of the demo on this machine, through a small replacement for API Gateway.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::DemoError;
use crate::demo::stand_ins::{Answer, Reply, Request, Server, Service, Violations};
use crate::lambda::{Function, Invocation};

/// The listener for the report. The port is bound first, because the configuration of the function contains the URL.
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
}

impl Page {
    /// Binds a port of the loopback interface; 0 stands for any free port.
    pub async fn bind(port: u16) -> Result<Self, DemoError> {
        let no_port = |error: io::Error| DemoError::Io(format!("cannot bind port {port} of this machine"), error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        Ok(Self { listener, address })
    }

    /// The base URL, without a trailing slash.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests with the function until the process ends. Like a Lambda instance, it handles one request at a time.
    pub async fn serve(self, function: &Function) -> Result<(), DemoError> {
        let origin = self.origin();
        let (calls, mut called) = mpsc::unbounded_channel();
        let _server =
            Server::serve_on(self.listener, Gateway { calls }).map_err(|error| DemoError::Io(origin, error))?;
        while let Some(Call { event, answer }) = called.recv().await {
            // Fails only if the client has disconnected.
            let _ = answer.send(match function.handle(&event, &Invocation::default()).await {
                Ok(answer) => reply(&serde_json::from_str(answer.get()).unwrap_or_default()),
                Err(error) => Reply::text(502, &error.to_string()),
            });
        }
        Ok(())
    }
}

/// Turns requests into events and passes them to [`Page::serve`].
struct Gateway {
    calls: mpsc::UnboundedSender<Call>,
}

struct Call {
    event: String,
    answer: oneshot::Sender<Reply>,
}

impl Service for Gateway {
    fn answer(&mut self, request: &Request, _: &mut Violations) -> Answer {
        let (answer, answered) = oneshot::channel();
        let _ = self.calls.send(Call { event: event(request).to_string(), answer });
        Answer::Later(Box::pin(async { answered.await.unwrap_or_else(|_| Reply::text(503, "the demo has ended")) }))
    }
}

/// The event that a function URL would make of a request. Every request from this machine counts as authorized.
fn event(request: &Request) -> Value {
    let path = if request.path == "/" { "/report" } else { &request.path };
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
    let headers: BTreeMap<_, _> = request
        .headers
        .iter()
        // A compressed answer would have to be decoded here, and compression gains nothing on one machine.
        .filter(|(name, _)| *name != "accept-encoding")
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    json!({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "authorizer": {"iam": {"userId": "demo"}},
            "http": {"method": request.method.as_str(), "path": path},
            "stage": "$default",
        },
        "body": STANDARD.encode(&request.body),
        "isBase64Encoded": true,
    })
}

fn reply(answer: &Value) -> Reply {
    let status = answer["statusCode"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(502);
    let mut reply = Reply::text(status, answer["body"].as_str().unwrap_or_default());
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        reply = reply.with_header(name, value.as_str().unwrap_or_default());
    }
    reply
}
