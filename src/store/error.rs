//! The errors of the store.

use std::fmt::Display;

/// Why the store could not be used. No text contains a secret, the place of the store or the
/// content of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store did not do what it was asked to.
    #[error("the store cannot {action}: {reason}")]
    Failed {
        /// What it was asked to do, like `be read`.
        action: &'static str,
        /// Why it could not, and how to fix it.
        reason: String,
    },
    /// The store was read, but what is in it is not a whole snapshot.
    #[error("the snapshot in the store cannot be used: {reason}")]
    Unusable {
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// Creates the error of a store that did not do what it was asked to.
    #[must_use]
    pub fn failed(action: &'static str, reason: impl Display) -> Self {
        Self::Failed { action, reason: reason.to_string() }
    }

    /// Creates the error of a snapshot that is not whole.
    #[must_use]
    pub fn unusable(reason: impl Display) -> Self {
        Self::Unusable { reason: reason.to_string() }
    }
}
