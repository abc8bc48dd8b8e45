//! Files of a gallery.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::profile::ProfileName;
use super::text::one_line;
use super::threshold::Threshold;

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
        let name = one_line(name.unwrap_or_default());
        if name.is_empty() { "(a file without a name)".to_owned() } else { name }
    }

    /// How long it still has at `now`; negative once it has expired. `None` when it does not say.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<SignedDuration> {
        self.media.expires_at.map(|expires_at| expires_at.duration_since(now))
    }
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
