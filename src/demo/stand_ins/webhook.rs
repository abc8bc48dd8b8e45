//! A stand-in for an endpoint that receives Standard Webhooks.

use std::io;

use axum::http::Method;
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};

/// The path of the endpoint. Its token is secret.
const PATH: &str = "/hooks/media-c2f7be11";
/// The size limit that the function promises to keep, in bytes.
const MAX_BYTES: usize = 262_144;

/// Verifies and records signed webhooks.
pub struct WebhookReceiver {
    secret: String,
    deliveries: Vec<Delivery>,
    replies: Script,
}

/// A received webhook with a valid signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The id, which is the same for a retry.
    pub id: String,
    /// The body.
    pub body: Value,
}

/// A stand-in for an endpoint that receives Standard Webhooks.
pub type WebhookStandIn = Server<WebhookReceiver>;

impl WebhookStandIn {
    /// Starts a stand-in that has this signing secret (`whsec_...`) and answers 204.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start(secret: &str) -> io::Result<Self> {
        let replies = Script::always(Reply::text(204, ""));
        Self::serve(WebhookReceiver { secret: secret.to_owned(), deliveries: Vec::new(), replies }).await
    }

    /// The URL of the endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.origin())
    }

    /// All webhooks received so far, including retries and those answered with an error.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.service().deliveries.clone()
    }

    /// Answers the next requests with these replies.
    pub fn reply_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().replies.first(replies);
    }

    /// Answers every later request with this reply.
    pub fn reply_always(&self, reply: Reply) {
        self.service().replies.then(reply);
    }
}

impl Service for WebhookReceiver {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        if request.path != PATH || !request.query.is_empty() {
            return violations.unknown(request).into();
        }
        match request.method {
            Method::HEAD => {
                request.check_headers(&[], violations);
                self.replies.next_reply().into()
            }
            Method::POST => match self.take(request, violations) {
                Ok(()) => self.replies.next_reply().into(),
                Err(what) => {
                    violations.add(request, &what);
                    Reply::text(400, &what).into()
                }
            },
            _ => violations.unknown(request).into(),
        }
    }
}

impl WebhookReceiver {
    fn take(&mut self, request: &Request, violations: &mut Violations) -> Result<(), String> {
        let signed = [HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, "content-type"];
        request.check_headers(&signed, violations);
        if request.header("content-type") != Some("application/json") {
            return Err("the content type is not application/json".to_owned());
        }
        if MAX_BYTES < request.body.len() {
            return Err(format!("the body has {} bytes", request.body.len()));
        }
        Webhook::new(&self.secret)
            .and_then(|webhook| webhook.verify(&request.body, &request.headers))
            .map_err(|error| error.to_string())?;
        let body = request.json().filter(Value::is_object).ok_or("the body is not a JSON object")?;
        let id = request.header(HEADER_WEBHOOK_ID).unwrap_or_default().to_owned();
        self.deliveries.push(Delivery { id, body });
        Ok(())
    }
}
