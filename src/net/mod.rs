//! Outgoing HTTP: the client, deadlines, requests, retries, redaction, and access to AWS.
//!
//! This module knows nothing about the services it calls. Each caller decides which of its errors may be retried; how
//! often and how long to wait is decided here.

pub mod aws;
mod client;
mod deadline;
pub mod environment;
pub mod redact;
mod request;
mod retry;
mod slots;

use std::time::Duration;

pub use client::{client, client_from_environment};
pub use deadline::Deadline;
#[cfg(feature = "fuzzing")]
pub use request::retry_after;
pub use request::{Answer, NetError, send, send_for_status, send_streaming};
pub(crate) use request::{parse_retry_after, with_causes};
pub use retry::{MAX_RETRIES, Retry, retrying, retrying_at_most};
pub use slots::{Slot, Slots};

/// The timeout of one message to a channel, and of one call of the AWS SDK.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);
