//! Scheduled posts, and the posts that will fail.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::profile::ProfileName;
use super::text::one_line;

/// A post that is waiting to be published. A field that Ayrshare left out or that is unreadable is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScheduledPost {
    /// Ayrshare's id of the post.
    pub id: Option<String>,
    /// The text of the post.
    pub text: Option<String>,
    /// The platforms on which the post will be published.
    pub platforms: Vec<String>,
    /// When the post will be published.
    pub scheduled_at: Option<Timestamp>,
    /// The URLs of the post's media.
    pub media_urls: Vec<String>,
}

impl ScheduledPost {
    /// Returns what identifies the post in its profile.
    #[must_use]
    pub fn identity(&self) -> String {
        identity(self.id.as_deref(), self.text.as_deref(), &self.platforms, self.scheduled_at)
    }
}

/// The longest id that identifies a post as it is.
const MAX_ID_BYTES: usize = 100;

/// Identifies a post in its profile: by its id, or by a hash of what it says where it has none.
///
/// The media are no part of it, so a post whose media were replaced is still the same post. A long or unusual id is
/// replaced with its hash, because the identity becomes a part of a database key.
fn identity(id: Option<&str>, text: Option<&str>, platforms: &[String], scheduled_at: Option<Timestamp>) -> String {
    let hash = |text: &str| format!("sha256:{}", hex::encode(Sha256::digest(text)));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match id {
        Some(id) if id.len() <= MAX_ID_BYTES && id.bytes().all(is_plain) => id.to_owned(),
        Some(id) => hash(id),
        None => hash(&format!("{text:?} {platforms:?} {scheduled_at:?}")),
    }
}

/// A scheduled post that will fail because of its media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostAtRisk {
    /// The profile that will publish the post.
    pub profile: ProfileName,
    /// Ayrshare's id of the post.
    pub id: Option<String>,
    /// The text of the post.
    pub text: Option<String>,
    /// The platforms on which the post will be published.
    pub platforms: Vec<String>,
    /// When the post will be published.
    pub scheduled_at: Option<Timestamp>,
    /// The files that will be missing when the post is published, earliest expiry first.
    pub media: Vec<MediaAtRisk>,
}

impl PostAtRisk {
    /// Returns what identifies the post in its profile.
    #[must_use]
    pub fn identity(&self) -> String {
        identity(self.id.as_deref(), self.text.as_deref(), &self.platforms, self.scheduled_at)
    }
}

/// A file that will be missing when a scheduled post is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaAtRisk {
    /// The file's id in the gallery, if a gallery still lists it.
    pub id: Option<String>,
    /// The profile whose gallery contains the file, because files of two profiles can have the same id.
    #[serde(skip)]
    pub owner: Option<ProfileName>,
    /// The file's name in the gallery, for messages. Results identify files by id and URL.
    #[serde(skip)]
    pub file_name: Option<String>,
    /// The URL that the post uses.
    pub url: String,
    /// When the file expires or expired.
    pub expires_at: Option<Timestamp>,
    /// Why the file will be missing.
    pub reason: RiskReason,
}

impl MediaAtRisk {
    /// Returns what people call the file: its name, else the last part of its URL.
    #[must_use]
    pub fn label(&self) -> String {
        let end_of_url = self.url.split(['?', '#']).next().and_then(|url| url.rsplit('/').next());
        let label = one_line(self.file_name.as_deref().or(end_of_url).unwrap_or_default());
        if label.is_empty() { one_line(&self.url) } else { label }
    }
}

/// Why a file will be missing when a post is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskReason {
    /// The file expires before the post is published, or within an hour after.
    ExpiresBeforePost,
    /// The URL is presigned, and ends before the post is published, or within an hour after.
    LinkExpiresBeforePost,
    /// The file has expired, or Ayrshare could not find it: HTTP status 404 or 410.
    AlreadyGone,
}

/// A URL of a post that Ayrshare could not open. That proves nothing: the host may refuse such checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnverifiedUrl {
    /// The profile that will publish the post.
    pub profile: ProfileName,
    /// Ayrshare's id of the post.
    pub post_id: Option<String>,
    /// The URL.
    pub url: String,
    /// The HTTP status that Ayrshare got, if it said.
    pub http_status: Option<u16>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_file_that_a_post_will_lack_always_has_a_label() {
        let label = |url: &str, file_name: Option<&str>| {
            MediaAtRisk {
                id: None,
                owner: None,
                file_name: file_name.map(ToOwned::to_owned),
                url: url.to_owned(),
                expires_at: None,
                reason: RiskReason::AlreadyGone,
            }
            .label()
        };
        assert_eq!(label("https://x/y/z.png?q", Some("a\nb.png")), "a b.png");
        assert_eq!(label("https://x/y/z.png?q", None), "z.png");
        assert_eq!(label("https://x/y/?q", None), "https://x/y/?q");
        assert_eq!(label("https://x/y/z.png", Some("\u{202E}")), "https://x/y/z.png");
    }

    #[test]
    fn a_post_is_identified_by_its_id_or_by_a_hash() {
        let post = |id: Option<&str>, text: &str| ScheduledPost {
            id: id.map(ToOwned::to_owned),
            text: Some(text.to_owned()),
            ..ScheduledPost::default()
        };
        let longest = "a".repeat(MAX_ID_BYTES);
        for id in ["Post_1-a.b", &longest] {
            assert_eq!(post(Some(id), "Hello").identity(), id);
        }
        let hashed =
            [post(Some(&format!("{longest}a")), ""), post(Some("a#b"), ""), post(None, "Hello"), post(None, "Bye")];
        let identities: HashSet<_> = hashed.iter().map(ScheduledPost::identity).collect();
        assert_eq!(identities.len(), hashed.len());
        assert!(identities.iter().all(|identity| identity.starts_with("sha256:") && identity.len() == 71));
    }
}
