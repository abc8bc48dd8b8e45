//! Profiles, and why one could not be checked.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The name of a profile in the configuration; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ProfileName(Arc<str>);

impl ProfileName {
    /// Takes a name that the configuration has accepted.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as it was written.
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

/// Why a profile could not be looked at, wholly or in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What a caller can act on.
    pub kind: FailureKind,
    /// The status of Ayrshare's answer, if there was one.
    pub http_status: Option<u16>,
    /// Ayrshare's own error code, if the answer had one.
    pub code: Option<i64>,
    /// What was attempted and what came of it, without any secret.
    pub message: String,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// 401, or Ayrshare's code 102 with any status: the API key is not accepted.
    Unauthorized,
    /// Any other 403: a wrong profile key, a suspended profile, or a plan without this call.
    Forbidden,
    /// 404: a profile that Ayrshare does not know.
    NotFound,
    /// 429.
    RateLimited,
    /// No answer within the time of one request.
    Timeout,
    /// 5xx, or no connection.
    Unavailable,
    /// An answer that is no list of media: an error object, half a body, another shape, too large.
    BadResponse,
    /// The run's own deadline came first.
    OutOfTime,
}

impl FailureKind {
    /// The reason in a content manager's words, to follow a profile's name and a colon.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
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

    /// The kind as it is written in results and logs.
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
        }
    }
}

/// Which part of looking at a profile failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Its gallery: nothing is known of the profile.
    Media,
    /// Its scheduled posts: the gallery was read.
    Posts,
}

/// A profile, or a part of it, that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedProfile {
    /// The profile.
    pub profile: ProfileName,
    /// The part.
    pub what: Part,
    /// The reason.
    #[serde(flatten)]
    pub failure: Failure,
}
