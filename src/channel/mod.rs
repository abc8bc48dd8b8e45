//! The channels: how each renders a digest (pure) and how it sends the messages.
//!
//! Each module owns one service: its limits, its rendering, its calls and its errors. No module uses another one's service.

pub mod amazon_q;
pub mod email;
mod plain_text;
pub mod slack;
pub mod sns;
pub mod teams;
pub mod webhook;

use serde_json::Value;
use url::Url;

use crate::model::{Item, State};
use crate::net::{Answer, NetError, Retry, SEND_TIMEOUT};

/// How much of a channel's response is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The URL of a file that chat applications and email clients show as a picture. One that has expired cannot be downloaded.
fn picture_url(item: &Item) -> Option<Url> {
    let url = Url::parse(item.media.url.as_deref()?).ok().filter(|url| url.scheme() == "https")?;
    let extension = url.path().rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_picture = matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "gif");
    (is_picture && item.state != State::Expired).then_some(url)
}

/// One message of a digest.
#[derive(Clone, Debug)]
pub struct Message {
    /// What is sent, as JSON; for SNS its subject, message and attributes.
    pub body: Value,
    /// How many of the digest's entries it announces, including those that it only counts. The messages of a digest
    /// announce its entries in order.
    pub entries: usize,
}

/// The result of a run, limited to the profiles of one channel, for channels that receive JSON.
#[derive(Clone, Copy)]
pub struct RunJson<'a> {
    /// The id of the run.
    pub run_id: &'a str,
    /// The name of the channel.
    pub channel: &'a str,
    /// Returns the result in at most this many bytes, and whether something was left out.
    pub within: &'a dyn Fn(usize) -> (String, bool),
}

/// Why a channel did not confirm a message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// What was attempted and how it failed. It may contain long text from outside, with secrets that are not redacted yet.
    pub reason: String,
    /// Whether another attempt in this run may succeed without delivering the message twice.
    pub retry: Retry,
}

impl SendError {
    /// Creates an error for a failure that another attempt cannot avoid.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: Retry::Never }
    }

    /// Creates the error for a response that is not a confirmation.
    pub(crate) fn rejected(service: &str, answer: &Answer) -> Self {
        Self::rejected_with(service, answer, "", &answer.text())
    }

    /// Does the same as [`Self::rejected`], with advice. The text of the service comes last, because long messages are cut.
    pub(crate) fn rejected_with(service: &str, answer: &Answer, advice: &str, text: &str) -> Self {
        let retry = if answer.is_transient() { Retry::from_retry_after(answer.retry_after) } else { Retry::Never };
        let status = answer.status;
        let kind = answer.aws_error.as_deref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        Self { reason: format!("{service} answered {status}{kind}{advice}{text}"), retry }
    }
}

impl From<NetError> for SendError {
    fn from(error: NetError) -> Self {
        let retry = match error {
            NetError::Connect(_) => Retry::Backoff,
            // The message may have arrived, so only the next run sends it again.
            NetError::Broken(_) | NetError::TimedOut(_) | NetError::OutOfTime | NetError::TooLarge(_) => Retry::Never,
        };
        Self { reason: error.to_string(), retry }
    }
}
