//! The files of a gallery.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::profile::ProfileName;
use super::text::one_line;
use super::threshold::Threshold;

/// A file of a gallery while the gallery is being read.
///
/// Most files need no alert. So only the fields that decide whether one does are parsed, and nothing is copied before that
/// is decided.
pub trait File {
    /// Returns Ayrshare's id of the file.
    fn id(&self) -> Option<&str>;
    /// Returns the name under which the file was uploaded.
    fn file_name(&self) -> Option<&str>;
    /// Returns the URL at which the file is served.
    fn url(&self) -> Option<&str>;
    /// Returns the size in bytes.
    fn size_bytes(&self) -> Option<u64>;
    /// Returns when the file expires.
    fn expires_at(&self) -> Option<Timestamp>;
    /// Returns whether the file has an expiry that is present but cannot be read.
    fn has_unreadable_expiry(&self) -> bool;
    /// Copies all fields, for a file that is kept.
    fn into_media(self) -> Media;
}

/// A file of a gallery. A field that Ayrshare left out, left empty or filled with something unreadable is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Ayrshare's id of the file: a UUID, `-` and the file extension.
    pub id: Option<String>,
    /// The name under which the file was uploaded.
    pub file_name: Option<String>,
    /// The URL at which the file is served.
    pub url: Option<String>,
    /// The size in bytes.
    pub size_bytes: Option<u64>,
    /// When the file was uploaded.
    pub created_at: Option<Timestamp>,
    /// When the file expires, as Ayrshare states it. It is never computed from the upload, because Ayrshare documents
    /// several lifetimes.
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

    fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    fn has_unreadable_expiry(&self) -> bool {
        false
    }

    fn into_media(self) -> Media {
        self.clone()
    }
}

impl Media {
    /// Returns what identifies the file in its gallery: its id, or its URL or name if it has no id.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.id.as_ref().or(self.url.as_ref()).or(self.file_name.as_ref()).map_or("", String::as_str)
    }

    /// Derives the kind from the file extension in the URL or, if that is unknown, in the id.
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

/// The kind of a file, derived from its extension because Ayrshare lists no content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// An image.
    Image,
    /// A video.
    Video,
    /// Any other kind, or an unknown one.
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

/// A file that a run reports: it has expired, expires within a threshold, or has no readable expiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The profile whose gallery contains the file.
    pub profile: ProfileName,
    /// The file.
    pub media: Media,
    /// Whether it has expired, expires soon or has no date.
    pub state: State,
    /// The shortest threshold that the file has entered. It is `None` unless the state is [`State::Expiring`].
    pub threshold: Option<Threshold>,
}

impl Item {
    /// Returns what people call the file: its name, else the last part of its URL, else its id.
    #[must_use]
    pub fn label(&self) -> String {
        let end_of_url = || {
            let url = self.media.url.as_deref()?;
            url.split(['?', '#']).next()?.rsplit('/').next().filter(|end| !end.is_empty())
        };
        let name = self.media.file_name.as_deref().or_else(end_of_url).or(self.media.id.as_deref());
        let name = one_line(name.unwrap_or_default());
        if name.is_empty() { "(a file without a name)".to_owned() } else { name }
    }

    /// Returns the time from `now` until the file expires, which is negative once it has expired.
    ///
    /// Returns `None` for a file without a readable expiry.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<SignedDuration> {
        self.media.expires_at.map(|expires_at| expires_at.duration_since(now))
    }
}

/// The state of a file at the start of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The file expires now or has expired.
    Expired,
    /// The file expires later, within a threshold.
    Expiring,
    /// The file has no readable expiry.
    Undated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_comes_from_the_extension_in_the_url_or_the_id() {
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

    #[test]
    fn a_file_that_was_read_gives_all_its_fields() {
        let media = Media { size_bytes: Some(7), ..Media::default() };
        assert_eq!((File::size_bytes(&&media), File::has_unreadable_expiry(&&media)), (Some(7), false));
    }
}
