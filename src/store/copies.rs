//! Copies of files: their keys, and how they get into the store.
//!
//! A copy becomes visible when it is complete, with the size that was announced. So an object under its key is a whole copy.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use url::Url;

use super::folder::{FolderUpload, UNFINISHED};
use super::multipart::S3Upload;
use super::{Store, StoreError};
use crate::model::text::byte_prefix;
use crate::model::{Media, ProfileName};
use crate::net::Deadline;

/// The longest part of a key between two slashes, apart from the extension. With the longest prefix of a store, a key then
/// has at most the 1,024 bytes that S3 allows, and each part is a valid file name.
const MAX_PART_BYTES: usize = 96;
/// The longest extension.
const MAX_EXTENSION_BYTES: usize = 8;
/// How old an unfinished upload must be before it is deleted. No run takes this long.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);
/// How long a download may be started.
const DOWNLOAD_TIME: Duration = Duration::from_mins(15);
/// Time for cancelling an upload after the deadline.
const TO_ABORT: Duration = Duration::from_secs(2);

/// The key of the copy of a file: `copies/PROFILE/ID.EXT`.
///
/// Text from outside cannot lead out of the folder of its profile: characters that a path or a file system treats in a special
/// way are percent-encoded. A text that is too long is cut and ends with a hash.
#[must_use]
pub fn copy_key(profile: &ProfileName, media: &Media) -> String {
    let id = match &media.id {
        Some(id) => part(id),
        // Without an id, a file is identified by its URL, which may be long and hard to read.
        None => hash(media.identity()),
    };
    let extension = extension(media).map(|extension| format!(".{extension}")).unwrap_or_default();
    format!("copies/{}/{id}{extension}", part(profile.as_str()))
}

/// Makes a part of a key out of outside text.
fn part(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut part = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        let is_safe = match c {
            // `..` would leave the folder, and Windows drops a dot or a space at the end.
            '.' => index != 0 && index != last,
            ' ' => index != last,
            '-' | '_' | '+' | '(' | ')' | ',' | '@' => true,
            c => c.is_alphanumeric(),
        };
        if is_safe {
            part.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(part, "%{byte:02X}");
        }
    }
    match part.len() {
        0 => "%".to_owned(),
        1..=MAX_PART_BYTES => part,
        // Only shortened parts contain `~`.
        _ => format!("{}~{}", byte_prefix(&part, MAX_PART_BYTES - 33), hash(text)),
    }
}

fn hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..16])
}

/// The extension of a file, in lower case: that of its URL, else that of its id.
fn extension(media: &Media) -> Option<String> {
    let of_url = media.url.as_deref().and_then(|url| {
        let path = Url::parse(url).ok()?.path().to_owned();
        Some(path.rsplit('/').next()?.rsplit_once('.')?.1.to_owned())
    });
    let of_id = || Some(media.id.as_deref()?.rsplit_once(['-', '.'])?.1.to_owned());
    let is_extension = |extension: &String| {
        (1..=MAX_EXTENSION_BYTES).contains(&extension.len())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let extension = of_url.filter(is_extension).or_else(|| of_id().filter(is_extension));
    extension.map(|extension| extension.to_ascii_lowercase())
}

/// The upload of a copy.
#[derive(Debug)]
pub enum CopyUpload<'a> {
    /// Into a folder.
    Folder(Box<FolderUpload>),
    /// Into a bucket.
    S3(Box<S3Upload<'a>>),
}

impl Store {
    /// Whether copies in this store can be downloaded with a link.
    #[must_use]
    pub fn has_downloads(&self) -> bool {
        matches!(self, Self::S3(_))
    }

    /// The size of an object, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read before the deadline.
    pub async fn size(&self, key: &str, deadline: Deadline) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Folder(store) => store.size(key),
            Self::S3(store) => store.size(key, deadline).await,
        }
    }

    /// Begins to upload an object of this size. Nothing of it is visible until [`CopyUpload::finish`] has succeeded.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written.
    pub fn upload(&self, key: &str, content_type: &str, size_bytes: u64) -> Result<CopyUpload<'_>, StoreError> {
        match self {
            Self::Folder(store) => store.upload(key).map(Box::new).map(CopyUpload::Folder),
            Self::S3(store) => Ok(CopyUpload::S3(Box::new(store.upload(key, content_type, size_bytes)))),
        }
    }

    /// Checks that copies can be found and made, and leaves nothing behind. `id` is a part of the key, so that two checks use
    /// different objects.
    ///
    /// # Errors
    ///
    /// Fails when the store does not allow it.
    pub async fn check_copies(&self, id: &str, deadline: Deadline) -> Result<(), StoreError> {
        let key = format!("copies/check-{id}");
        self.size(&key, deadline).await?;
        match self {
            Self::Folder(store) => store.upload(&key).map(drop),
            Self::S3(store) => store.upload(&key, "text/plain", 0).check(deadline).await,
        }
    }

    /// Deletes the remains of interrupted uploads, if the store does not do it by itself.
    pub fn delete_abandoned_uploads(&self) {
        self.delete_abandoned(UNFINISHED, ABANDONED_AFTER);
    }

    /// A URL at which anybody can download an object for 15 minutes, as a file with this name. `None` for a folder.
    ///
    /// # Errors
    ///
    /// Fails when the URL cannot be signed.
    pub async fn download_url(&self, key: &str, file_name: &str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::S3(store) => store.download_url(key, file_name, DOWNLOAD_TIME).await.map(Some),
        }
    }
}

impl CopyUpload<'_> {
    /// Takes the next piece of the object.
    ///
    /// # Errors
    ///
    /// Fails when the store does not take it before the deadline. The upload must then be given up.
    pub async fn write(&mut self, piece: &[u8], deadline: Deadline) -> Result<(), StoreError> {
        match self {
            Self::Folder(upload) => upload.write(piece),
            Self::S3(upload) => upload.write(piece, deadline).await,
        }
    }

    /// Makes the object visible. An upload that cannot be finished is given up.
    ///
    /// # Errors
    ///
    /// Fails when the store does not confirm it before the deadline.
    pub async fn finish(self, deadline: Deadline) -> Result<(), StoreError> {
        match self {
            Self::Folder(upload) => upload.finish(),
            Self::S3(mut upload) => {
                let finished = upload.finish(deadline).await;
                if finished.is_err() {
                    upload.abort(Deadline::after(TO_ABORT)).await;
                }
                finished
            }
        }
    }

    /// Gives the upload up.
    pub async fn abort(self) {
        match self {
            // The file deletes itself.
            Self::Folder(_) => {}
            Self::S3(mut upload) => upload.abort(Deadline::after(TO_ABORT)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn media(id: Option<&str>, url: Option<&str>) -> Media {
        Media { id: id.map(Into::into), url: url.map(Into::into), ..Media::default() }
    }

    fn key(profile: &str, id: &str, url: &str) -> String {
        copy_key(&ProfileName::new(profile), &media(Some(id), Some(url)))
    }

    #[test]
    fn a_key_has_the_profile_the_id_and_the_extension() {
        let url = "https://images.ayrshare.com/acme/5553a26a.JPEG?x=.mp4#.png";
        assert_eq!(key("Head office", "5553a26a-jpeg", url), "copies/Head office/5553a26a-jpeg.jpeg");
        assert_eq!(key("Café 東京", "a-mov", "https://a/b"), "copies/Café 東京/a-mov.mov");
        assert_eq!(key("A", "b", "https://a/b"), "copies/A/b");
        assert_eq!(key("A", "b", "https://a/b.not an extension"), "copies/A/b");
    }

    #[test]
    fn a_key_stays_in_its_folder() {
        let url = "https://a/b.png";
        assert_eq!(key("..", "../../x", url), "copies/%2E%2E/%2E.%2F..%2Fx.png");
        assert_eq!(key("A/B", "c\\d:e", url), "copies/A%2FB/c%5Cd%3Ae.png");
        assert_eq!(key("A. ", "\u{0}~", url), "copies/A.%20/%00%7E.png");
        assert_eq!(key(".", " ", url), "copies/%2E/%20.png");
        assert_eq!(key("", "", url), "copies/%/%.png");
        let without_id = copy_key(&ProfileName::new("A"), &media(None, Some("https://a/b.png?secret")));
        assert_eq!(without_id, format!("copies/A/{}.png", hash("https://a/b.png?secret")));
    }

    proptest! {
        #[test]
        fn different_files_have_different_short_keys(
            a in ("\\PC{1,200}", "\\PC{0,200}"),
            b in ("\\PC{1,200}", "\\PC{0,200}"),
        ) {
            let of = |(profile, id): &(String, String)| key(profile, id, "https://a/b.png");
            prop_assert_eq!(a == b, of(&a) == of(&b));
            let key = of(&a);
            prop_assert!(key.len() <= 1_024 - 801, "{}", key);
            let parts: Vec<_> = key.split('/').collect();
            prop_assert_eq!(parts.len(), 3);
            prop_assert!(parts.iter().all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains('\\')));
        }
    }
}
