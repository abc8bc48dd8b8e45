//! The overall status of a run.

use serde::Serialize;

/// The overall status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything was checked, and every channel received its alert.
    Ok,
    /// Some profiles, or the posts of some profiles, could not be checked.
    Partial,
    /// No profile could be checked, or an alert could not be sent.
    Failed,
}

impl Status {
    /// Returns the status as results write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_same_name_everywhere() {
        for status in [Status::Ok, Status::Partial, Status::Failed] {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
    }
}
