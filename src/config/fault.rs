//! Configuration errors.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize;

use super::lookup_error::LookupError;

/// One configuration error and its path in the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The path of the setting, like `channels[1].webhook_url`. Indexes start at 0.
    pub path: String,
    /// What is wrong and how to fix it, without secrets.
    pub message: String,
    /// Whether a value could not be read because a service is unavailable. The setting itself may be valid.
    #[serde(skip)]
    pub(super) is_transient: bool,
}

impl Fault {
    pub(super) fn new(path: &str, message: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), message: message.to_string(), is_transient: false }
    }

    /// Creates the error for the setting at `path`, whose value could not be read from `location`.
    pub(super) fn from_lookup(path: &str, location: &impl fmt::Display, error: &LookupError) -> Self {
        Self { is_transient: error.is_transient, ..Self::new(path, format!("{location}: {}", error.reason)) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Collects the errors of a document while it is validated.
#[derive(Debug, Default)]
pub struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.0.borrow_mut().push(fault);
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// The errors of an invalid configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is invalid: {}", .faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidConfiguration {
    /// All errors of the configuration. There is at least one.
    pub faults: Vec<Fault>,
}

impl InvalidConfiguration {
    /// Returns whether a value could not be read because a service is unavailable.
    ///
    /// Then the configuration may be valid, and reading it later may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.faults.iter().any(|fault| fault.is_transient)
    }
}

impl From<Faults> for InvalidConfiguration {
    fn from(faults: Faults) -> Self {
        Self { faults: faults.0.into_inner() }
    }
}

impl From<Fault> for InvalidConfiguration {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault] }
    }
}
