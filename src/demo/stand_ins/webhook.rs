//! A stand-in for an endpoint that takes Standard Webhooks.

use std::io;

use axum::http::Method;
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};

/// The path of the endpoint; the token in it makes it worth keeping secret.
const PATH: &str = "/hooks/media-c2f7be11";
/// The largest body that the function promises.
const MAX_BYTES: usize = 262_144;

/// Takes signed webhooks.
pub struct WebhookReceiver {
    secret: String,
    deliveries: Vec<Delivery>,
    replies: Script,
}

/// A webhook that arrived with a good signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its id, by which a repetition is told.
    pub id: String,
    /// Its body.
    pub body: Value,
}

/// A stand-in for an endpoint that takes Standard Webhooks.
pub type WebhookStandIn = Server<WebhookReceiver>;

impl WebhookStandIn {
    /// Starts one that knows the signing secret (`whsec_...`) and answers 204.
    ///
    /// # Errors
    ///
    /// Fails when no port can be had.
    pub async fn start(secret: &str) -> io::Result<Self> {
        let replies = Script::always(Reply::text(204, ""));
        Self::serve(WebhookReceiver { secret: secret.to_owned(), deliveries: Vec::new(), replies }).await
    }

    /// Where it takes webhooks.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.origin())
    }

    /// What arrived so far, the repetitions and what was answered with an error among it.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.service().deliveries.clone()
    }

    /// Answers the next requests with these.
    pub fn reply_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().replies.first(replies);
    }

    /// Answers every request with this from now on.
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
        let body = request.json().filter(Value::is_object).ok_or("the body is no JSON object")?;
        let id = request.header(HEADER_WEBHOOK_ID).unwrap_or_default().to_owned();
        self.deliveries.push(Delivery { id, body });
        Ok(())
    }
}
