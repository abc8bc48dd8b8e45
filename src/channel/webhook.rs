//! The webhook channel: posts the run's result, signed according to the Standard Webhooks specification.

use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use super::{Message, RunJson, SEND_TIMEOUT, SendError};
use crate::config::SecretUrl;
use crate::digest::Digest;
use crate::net::{self, Deadline};

/// The largest body, in bytes. It is the limit of SNS, so that a consumer can accept both.
const MAX_BYTES: usize = 262_144;

/// Renders a digest: `result` is the run's result for this channel's profiles.
#[must_use]
pub fn render(digest: &Digest, result: RunJson<'_>) -> Message {
    let body = serde_json::from_str(&(result.within)(MAX_BYTES).0).unwrap_or_default();
    Message { body, entries: digest.entries.len() }
}

/// Posts one message. `id` is the same for every attempt, so that the receiver can recognize a repeated one.
///
/// # Errors
///
/// Returns an error with the endpoint's response. It never contains the URL.
pub async fn deliver(
    http: &Client,
    url: &SecretUrl,
    secret: &SecretString,
    id: &str,
    body: &Value,
    deadline: Deadline,
) -> Result<(), SendError> {
    let payload = body.to_string();
    let timestamp = Timestamp::now().as_second();
    let signature = Webhook::new(secret.expose_secret())
        .and_then(|webhook| webhook.sign(id, timestamp, payload.as_bytes()))
        .map_err(|_| SendError::permanent("the message could not be signed"))?;
    let request = http
        .post(url.expose().clone())
        .header("content-type", "application/json")
        .header(HEADER_WEBHOOK_ID, id)
        .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
        .header(HEADER_WEBHOOK_SIGNATURE, signature)
        .body(payload);
    let answer = net::send_for_status(request, SEND_TIMEOUT, deadline, super::MAX_ANSWER_BYTES).await?;
    if answer.status.is_success() { Ok(()) } else { Err(SendError::rejected("the webhook", &answer)) }
}

/// Checks that the endpoint can be reached, without posting anything: any response to `HEAD` except a server error is
/// enough. A 501 is accepted too, because it only means that `HEAD` is not supported.
///
/// # Errors
///
/// Returns an error if there is no response, or a server error.
pub async fn check(http: &Client, url: &SecretUrl, deadline: Deadline) -> Result<(), SendError> {
    let request = http.head(url.expose().clone());
    let answer = net::send_for_status(request, SEND_TIMEOUT, deadline, super::MAX_ANSWER_BYTES).await?;
    let is_up = !answer.status.is_server_error() || answer.status == StatusCode::NOT_IMPLEMENTED;
    if is_up { Ok(()) } else { Err(SendError::rejected("the webhook", &answer)) }
}
