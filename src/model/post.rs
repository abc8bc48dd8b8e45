//! Scheduled posts, and those that will fail.

use jiff::Timestamp;
use serde::Serialize;

use super::profile::ProfileName;
use super::text::one_line;

/// A post that is to be published, as far as Ayrshare told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScheduledPost {
    /// Ayrshare's id.
    pub id: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// Where it is to be published.
    pub platforms: Vec<String>,
    /// When it is due.
    pub scheduled_at: Option<Timestamp>,
    /// The URLs of its media.
    pub media_urls: Vec<String>,
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
        one_line(self.file_name.as_deref().or(end_of_url).unwrap_or_default())
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
