//! The errors of the store.

use std::fmt::Display;

/// Why the store could not be used. No text contains a secret, the location of the store or the content of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// An operation failed.
    #[error("the store cannot {action}: {reason}")]
    Failed {
        /// What was attempted, like `be read`.
        action: &'static str,
        /// Why it could not, and how to fix it.
        reason: String,
    },
    /// The store was read, but does not contain a complete snapshot.
    #[error("the snapshot in the store cannot be used: {reason}")]
    Unusable {
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// Creates the error for an operation of the store that failed.
    #[must_use]
    pub fn failed(action: &'static str, reason: impl Display) -> Self {
        Self::Failed { action, reason: reason.to_string() }
    }

    /// Creates the error for a snapshot that is not complete.
    #[must_use]
    pub fn unusable(reason: impl Display) -> Self {
        Self::Unusable { reason: reason.to_string() }
    }
}
