//! The channels: how each says a digest (pure) and how it is sent.
//!
//! Each module owns one service: its limits, its rendering, its call and its errors. None knows of another.

pub mod amazon_q;
pub mod slack;
pub mod sns;
pub mod webhook;

use serde_json::Value;

use crate::net::{Answer, NetError, Retry, SEND_TIMEOUT};

/// The most of a channel's answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// One message of a digest.
#[derive(Clone, Debug)]
pub struct Message {
    /// What is sent, as JSON; for SNS its subject, message and attributes.
    pub body: Value,
    /// How many of the digest's entries it announces, those included that it only counts. The messages of a digest
    /// announce its entries in their order.
    pub entries: usize,
}

/// The run's result for the profiles of a channel, as those channels get it that take JSON.
#[derive(Clone, Copy)]
pub struct RunJson<'a> {
    /// The run.
    pub run_id: &'a str,
    /// Writes the result within so many bytes, and says whether something was left out.
    pub within: &'a dyn Fn(usize) -> (String, bool),
}

/// Why a channel did not confirm a message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// What was attempted and what came of it; outside text in it is neither short nor free of secrets yet.
    pub reason: String,
    /// Whether another attempt in this run may do better, and would not say the same twice.
    pub retry: Retry,
}

impl SendError {
    /// An error that another attempt would meet again.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: Retry::Never }
    }

    /// What an answer other than a confirmation means.
    pub(crate) fn refused(service: &str, answer: &Answer) -> Self {
        let retry = if answer.is_transient() { Retry::from_retry_after(answer.retry_after) } else { Retry::Never };
        let text = answer.text();
        let said = if text.is_empty() { String::new() } else { format!(": {text}") };
        Self { reason: format!("{service} answered {}{said}", answer.status), retry }
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
