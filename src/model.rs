//! What the function talks about: profiles, media, and why something could not be checked.
//!
//! These types are made by the edges from what came from outside, once, and are trusted from there on.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::threshold::Threshold;

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

/// A file of a gallery while it is read. Most files do not matter, so nothing of one is copied or understood before it
/// does, but for what decides on that.
pub trait File {
    /// Ayrshare's id.
    fn id(&self) -> Option<&str>;
    /// The name under which it was uploaded.
    fn file_name(&self) -> Option<&str>;
    /// Where it is served.
    fn url(&self) -> Option<&str>;
    /// When it expires.
    fn expires_at(&self) -> Option<Timestamp>;
    /// All of it, to be kept.
    fn into_media(self) -> Media;
}

/// One file of a gallery, as far as Ayrshare told. What was missing, empty or unreadable is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Ayrshare's id: a UUID, `-`, the extension.
    pub id: Option<String>,
    /// The name under which the file was uploaded.
    pub file_name: Option<String>,
    /// Where the file is served.
    pub url: Option<String>,
    /// The size in bytes.
    pub size_bytes: Option<u64>,
    /// When it was uploaded.
    pub created_at: Option<Timestamp>,
    /// When it expires. Read, never computed: Ayrshare documents several lifetimes.
    pub expires_at: Option<Timestamp>,
}

impl File for &Media {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    fn into_media(self) -> Media {
        self.clone()
    }
}

impl Media {
    /// Derives the kind from the extension of the URL or, where that says nothing, of the id.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        let of_url = self.url.as_deref().map(|url| {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            MediaKind::of_extension(path.rsplit('/').next().unwrap_or_default().rsplit('.').next().unwrap_or_default())
        });
        match of_url {
            Some(kind) if kind != MediaKind::Other => kind,
            _ => {
                let extension = self.id.as_deref().unwrap_or_default().rsplit(['-', '.']).next();
                MediaKind::of_extension(extension.unwrap_or_default())
            }
        }
    }
}

/// What kind of file it is; Ayrshare lists no content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Anything else, or nothing that could be told.
    Other,
}

impl MediaKind {
    fn of_extension(extension: &str) -> Self {
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "png" | "gif" | "webp" | "avif" | "heic" | "heif" | "bmp" | "tif" | "tiff" | "svg" => {
                Self::Image
            }
            "mp4" | "m4v" | "mov" | "webm" | "avi" | "mkv" | "mpg" | "mpeg" | "wmv" | "flv" | "3gp" | "3g2" | "ogv" => {
                Self::Video
            }
            _ => Self::Other,
        }
    }
}

/// A file that matters to a run: it has expired, expires within a threshold, or does not say when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Whose gallery it is in.
    pub profile: ProfileName,
    /// The file.
    pub media: Media,
    /// How it stands.
    pub state: State,
    /// The tightest threshold that it has entered; only with [`State::Expiring`].
    pub threshold: Option<Threshold>,
}

impl Item {
    /// What a person calls the file: its name, else the end of its URL, else its id.
    #[must_use]
    pub fn label(&self) -> String {
        let end_of_url = || {
            let url = self.media.url.as_deref()?;
            url.split(['?', '#']).next()?.rsplit('/').next().filter(|end| !end.is_empty())
        };
        let name = self.media.file_name.as_deref().or_else(end_of_url).or(self.media.id.as_deref());
        let name = crate::words::one_line(name.unwrap_or_default());
        if name.is_empty() { "(a file without a name)".to_owned() } else { name }
    }

    /// How long it still has at `now`; negative once it has expired. `None` when it does not say.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<SignedDuration> {
        self.media.expires_at.map(|expires_at| expires_at.duration_since(now))
    }
}

/// A scheduled post that will fail because of its media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PostAtRisk {
    /// Whose post it is.
    pub profile: ProfileName,
    /// Ayrshare's id of the post.
    pub id: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// Where it is to be published.
    pub platforms: Vec<String>,
    /// When it is due.
    pub scheduled_at: Option<Timestamp>,
    /// The files that it will lack, the earliest expiry first.
    pub media: Vec<MediaAtRisk>,
}

/// A file that a scheduled post will lack when it is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MediaAtRisk {
    /// Its id in the gallery, if it is still listed.
    pub id: Option<String>,
    /// Whose gallery it is in, to tell it from another of the same id.
    #[serde(skip)]
    pub owner: Option<ProfileName>,
    /// Its name in the gallery, for people; results name files by id and URL.
    #[serde(skip)]
    pub file_name: Option<String>,
    /// The URL that the post uses.
    pub url: String,
    /// When it expires, or has expired.
    pub expires_at: Option<Timestamp>,
    /// Why the post will lack it.
    pub reason: RiskReason,
}

impl MediaAtRisk {
    /// What a person calls the file: its name, else the end of its URL.
    #[must_use]
    pub fn label(&self) -> String {
        let end_of_url = self.url.split(['?', '#']).next().and_then(|url| url.rsplit('/').next());
        crate::words::one_line(self.file_name.as_deref().or(end_of_url).unwrap_or_default())
    }
}

/// Why a post will lack a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskReason {
    /// It expires before the post is due, or within an hour after.
    ExpiresBeforePost,
    /// It has expired, or no gallery lists it any more.
    AlreadyGone,
}

/// How a file stands at the moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its expiry is now or in the past.
    Expired,
    /// Its expiry is ahead, within a threshold.
    Expiring,
    /// It has no expiry that could be read.
    Undated,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_from_the_extension_of_the_url_or_the_id() {
        let check = |url: Option<&str>, id: Option<&str>, expected: MediaKind| {
            let media = Media { url: url.map(Into::into), id: id.map(Into::into), ..Media::default() };
            assert_eq!(media.kind(), expected, "{url:?} {id:?}");
        };
        check(Some("https://images.ayrshare.com/a/b.JPEG?x=.mp4"), None, MediaKind::Image);
        check(Some("https://images.ayrshare.com/a/b.mp4#t=1"), None, MediaKind::Video);
        check(Some("https://images.ayrshare.com/a/b"), Some("5553a26a-cffb-mov"), MediaKind::Video);
        check(None, Some("5553a26a-cffb-jpeg"), MediaKind::Image);
        check(Some("https://images.ayrshare.com/a.png/b"), None, MediaKind::Other);
        check(None, None, MediaKind::Other);
    }

    #[test]
    fn a_file_always_has_a_label() {
        let label = |media: Media| {
            Item { profile: ProfileName::new("A"), media, state: State::Undated, threshold: None }.label()
        };
        let named = |name: &str| Media { file_name: Some(name.into()), ..Media::default() };
        assert_eq!(label(named("a\nb.png")), "a b.png");
        assert_eq!(label(Media { url: Some("https://x/y/z.png?q".into()), ..Media::default() }), "z.png");
        assert_eq!(label(Media { id: Some("z-png".into()), ..Media::default() }), "z-png");
        assert_eq!(label(Media::default()), "(a file without a name)");
        assert_eq!(label(named("\u{202E}")), "(a file without a name)");
    }
}
