//! Profile names, and the reasons why a profile could not be checked.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::nfc;

/// The name of a profile in the configuration. Cloning it is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProfileName(Arc<str>);

impl ProfileName {
    /// Wraps a name that the configuration has already validated.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Returns the name as it is written in the configuration.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ProfileName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tags of a profile, in Unicode NFC. Cloning them is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags(Arc<[Box<str>]>);

impl Tags {
    /// Wraps tags that were already validated.
    #[must_use]
    pub fn new<'t>(tags: impl IntoIterator<Item = &'t str>) -> Self {
        Self(tags.into_iter().map(|tag| nfc(tag).into()).collect())
    }

    /// Returns the tags.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|tag| &**tag)
    }
}

/// Why a profile, or a part of it, could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure, for callers to act on.
    pub kind: FailureKind,
    /// The HTTP status of the response, if there was one.
    pub http_status: Option<u16>,
    /// Ayrshare's own error code, if the response had one.
    pub code: Option<i64>,
    /// What was attempted and how it failed, without secrets.
    pub message: String,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Ayrshare rejected the API key: HTTP status 401, or Ayrshare's code 102 with any status.
    Unauthorized,
    /// Any other HTTP status 403: a wrong profile key, a suspended profile, or a plan without this API call.
    Forbidden,
    /// Ayrshare does not know the profile: HTTP status 404.
    NotFound,
    /// Ayrshare's rate limit was reached: HTTP status 429.
    RateLimited,
    /// Ayrshare did not respond within the timeout of one request.
    Timeout,
    /// Ayrshare could not be reached, or answered with an HTTP status 5xx.
    Unavailable,
    /// The response is not what the call should return: an error object, an incomplete body, an unknown structure, or a
    /// body that is too large.
    BadResponse,
    /// The run's deadline passed first.
    OutOfTime,
    /// An entry of `[profiles_from]` cannot be used.
    InvalidEntry,
}

impl FailureKind {
    /// Whether the key may be wrong. Ayrshare answers a wrong API key with 401, and a wrong profile key with 403 or 404.
    #[must_use]
    pub fn is_rejected_key(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::NotFound)
    }

    /// Returns the reason as messages word it, after the profile's name and a colon.
    #[must_use]
    pub fn in_words(self, part: Part) -> &'static str {
        match self {
            Self::InvalidEntry => "this entry of the list of profiles cannot be used",
            _ if part == Part::Profiles => self.of_list_in_words(),
            Self::Unauthorized => "Ayrshare does not accept the API key",
            Self::Forbidden => "Ayrshare denies access to this profile",
            Self::NotFound => "Ayrshare does not know this profile",
            Self::RateLimited => "Ayrshare's rate limit was reached",
            Self::Timeout => "Ayrshare did not answer in time",
            Self::Unavailable => "Ayrshare could not be reached",
            Self::BadResponse => "Ayrshare's answer could not be read",
            Self::OutOfTime => "there was no time left to look at it",
        }
    }

    fn of_list_in_words(self) -> &'static str {
        match self {
            Self::Unauthorized | Self::Forbidden => "access to the list of profiles is denied",
            Self::NotFound => "the list of profiles was not found",
            Self::RateLimited => "the list of profiles cannot be read so often",
            Self::Timeout | Self::OutOfTime => "the list of profiles could not be read in time",
            Self::Unavailable => "the list of profiles could not be reached",
            Self::BadResponse | Self::InvalidEntry => "the list of profiles could not be read completely",
        }
    }

    /// Returns the kind as results and logs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::BadResponse => "bad-response",
            Self::OutOfTime => "out-of-time",
            Self::InvalidEntry => "invalid-entry",
        }
    }
}

/// The part of a profile that could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The gallery. Nothing is known about the profile.
    Media,
    /// The expiries of some files. The gallery was read, and these files are reported without a date.
    Dates,
    /// The scheduled posts, or the due dates of some. The gallery was read.
    Posts,
    /// The list of `[profiles_from]`, or one entry of it, so that a profile may be missing.
    Profiles,
}

/// A profile, or a part of it, that could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedProfile {
    /// The profile.
    pub profile: ProfileName,
    /// The part that could not be checked.
    pub what: Part,
    /// The reason.
    #[serde(flatten)]
    pub failure: Failure,
}

/// The name of the table `[profiles_from]`, which failures of the list have in the place of a profile's name.
pub const PROFILES_FROM: &str = "profiles_from";

impl FailedProfile {
    /// Returns whether this is a failure of the list of `[profiles_from]`, and not of a profile or an entry.
    #[must_use]
    pub fn is_of_list(&self) -> bool {
        self.what == Part::Profiles && self.profile.as_str() == PROFILES_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_failure_is_logged_as_results_write_it() {
        use FailureKind::*;
        let kinds = [
            Unauthorized,
            Forbidden,
            NotFound,
            RateLimited,
            Timeout,
            Unavailable,
            BadResponse,
            OutOfTime,
            InvalidEntry,
        ];
        for kind in kinds {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
        }
    }

    #[test]
    fn a_name_can_be_used_as_text() {
        let name = ProfileName::new("Acme");
        let text: &str = name.as_ref();
        assert_eq!(text, "Acme");
    }

    #[test]
    fn failures_of_the_list_are_worded_differently_from_those_of_a_profile() {
        let kinds = [
            FailureKind::Unauthorized,
            FailureKind::Forbidden,
            FailureKind::NotFound,
            FailureKind::RateLimited,
            FailureKind::Timeout,
            FailureKind::Unavailable,
            FailureKind::BadResponse,
            FailureKind::OutOfTime,
        ];
        for kind in kinds {
            assert!(kind.in_words(Part::Profiles).contains("the list of profiles"), "{kind:?}");
            for part in [Part::Media, Part::Dates, Part::Posts] {
                assert!(!kind.in_words(part).contains("list of profiles"), "{kind:?}, {part:?}");
            }
        }
        let entry = FailureKind::InvalidEntry;
        assert_eq!(entry.in_words(Part::Profiles), "this entry of the list of profiles cannot be used");
    }
}
