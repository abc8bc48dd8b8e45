//! Why a referenced value could not be read.

/// Why a value could not be had; never any part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError {
    /// What is wrong, and the command or the permission that mends it.
    pub reason: String,
    /// Whether the service could not be asked just now: nothing is known to be wrong with the reference.
    pub is_passing: bool,
}

impl LookupError {
    /// A value that will not be there the next time either.
    pub fn lasting(reason: String) -> Self {
        Self { reason, is_passing: false }
    }
}
