//! How a run went.

use serde::Serialize;

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything was looked at, and every channel was served.
    Ok,
    /// Some profiles, or the posts of some, could not be looked at.
    Partial,
    /// No profile could be looked at, or a channel could not be served.
    Failed,
}

impl Status {
    /// The status as it is written in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}
