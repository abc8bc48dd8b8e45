//! Errors of reading a referenced value.

/// Why a referenced value could not be read. It never contains any part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError {
    /// What is wrong, and the command or the permission that fixes it.
    pub reason: String,
    /// Whether the service is unavailable. The reference itself may be valid.
    pub is_transient: bool,
}

impl LookupError {
    /// Creates an error for a failure that another attempt cannot avoid.
    pub fn permanent(reason: String) -> Self {
        Self { reason, is_transient: false }
    }
}
