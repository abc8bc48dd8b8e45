//! Where a file is served, so that two URLs of the same file are recognized. Pure.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;
use uuid::Uuid;

/// The host on which Ayrshare serves galleries.
const GALLERY_HOST: &str = "images.ayrshare.com";

/// The normalized location of a file: the host in lower case and the decoded path, without query and fragment.
///
/// Two URLs of the same file give equal places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    host: Cow<'a, str>,
    path: Cow<'a, str>,
}

impl<'a> Place<'a> {
    /// Parses an HTTP URL.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        Self::of_gallery(url).or_else(|| Self::of_any(url))
    }

    /// The fast path: a gallery URL as Ayrshare writes it, which is normalized already. Nearly every URL is one.
    fn of_gallery(url: &'a str) -> Option<Self> {
        let path = url.strip_prefix("https://")?.strip_prefix(GALLERY_HOST)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_');
        // A segment that begins with a dot may be `..`, which normalization would remove.
        let is_normalized = path.starts_with('/') && path.bytes().all(is_plain) && !path.contains("/.");
        is_normalized.then_some(Self { host: GALLERY_HOST.into(), path: path.into() })
    }

    /// The general path: parses and normalizes any HTTP URL.
    fn of_any(url: &str) -> Option<Self> {
        let url = Url::parse(url.trim()).ok()?;
        let host = url.host_str()?.to_ascii_lowercase();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
        matches!(url.scheme(), "http" | "https").then_some(Self { host: host.into(), path: path.into() })
    }

    /// Returns the host and the UUID in the last segment of the path, if the segment is nothing but a UUID and an
    /// extension.
    ///
    /// A segment with anything else in it is a different file: a resized picture carries the UUID of its original.
    #[must_use]
    pub fn uuid(&self) -> Option<(Cow<'a, str>, Uuid)> {
        let segment = self.path.rsplit('/').next()?;
        let stem = segment.split_once('.').map_or(segment, |(stem, _)| stem);
        let uuid = (stem.len() == 36).then(|| Uuid::try_parse(stem).ok())??;
        Some((self.host.clone(), uuid))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_fast_path_gives_the_same_place_as_the_general_path(
            url in "https://images\\.ayrshare\\.com[/.a-zA-Z0-9_%?#: -]{0,12}(/\\.{0,2}[a-z.]{0,3}){0,4}",
        ) {
            if let Some(place) = Place::of_gallery(&url) {
                prop_assert_eq!(Some(place), Place::of_any(&url));
            }
        }
    }
}
