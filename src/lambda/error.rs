//! The errors that an invocation returns to Lambda.

use lambda_runtime::Diagnostic;

use crate::config::InvalidConfiguration;
use crate::lambda::event::InvalidEvent;

/// Why an invocation fails. Lambda's retries, alarms and dead-letter queue see only failed invocations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// No profile could be checked, or a channel could not be served.
    #[error("the run failed: {0}")]
    RunFailed(String),
    /// Another run is in progress, or has taken the lease from this one. Lambda retries later.
    #[error("another run is in progress; this one did nothing more")]
    RunBusy,
    /// The configuration is invalid.
    #[error(transparent)]
    InvalidConfiguration(#[from] InvalidConfiguration),
    /// The event is of no kind that the function accepts.
    #[error(transparent)]
    InvalidEvent(#[from] InvalidEvent),
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        let error_type = match error {
            FunctionError::RunFailed(_) => "RunFailed",
            FunctionError::RunBusy => "RunBusy",
            FunctionError::InvalidConfiguration(_) => "InvalidConfiguration",
            FunctionError::InvalidEvent(_) => "InvalidEvent",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
