//! The files that scheduled posts use. Pure: the current time is an argument.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use jiff::Timestamp;

use crate::config::RescueFiles;
use crate::model::{File, ScheduledPost};
use crate::scan::place::Place;
use crate::scan::presigned::Presigned;
use crate::scan::rules::Rules;

/// The hasher of this layer. Its key is random for each process, so no outsider can construct collisions.
pub(super) static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A place as hashes, because a run may hold hundreds of thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PlaceKeys {
    /// The hash of the host and the path.
    pub(super) exact: u64,
    /// The hash of the host and the UUID in the path, if there is one.
    pub(super) uuid: Option<u64>,
}

impl PlaceKeys {
    /// The keys of an HTTP URL.
    pub(super) fn of(url: &str) -> Option<Self> {
        let place = Place::parse(url)?;
        Some(Self { exact: HASHER.hash_one(&place), uuid: place.uuid().map(|uuid| HASHER.hash_one(uuid)) })
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u64> {
        [Some(self.exact), self.uuid].into_iter().flatten()
    }
}

/// Which files posts use, and until when.
///
/// It is built before the first gallery is read, so that of each gallery only the files that a post uses are kept.
#[derive(Clone, Debug, Default)]
pub struct FilesInPosts {
    /// Until when the file at each place is needed.
    needed: HashMap<u64, Timestamp>,
    /// Whether the files are copied, so that their own URLs and sizes are needed, too.
    are_copied: bool,
}

impl FilesInPosts {
    /// Creates it without any files.
    #[must_use]
    pub fn new(rules: &Rules<'_>) -> Self {
        Self { needed: HashMap::new(), are_copied: rules.copying == Some(&RescueFiles::OfPosts) }
    }

    /// Adds the media of these posts.
    pub fn add(&mut self, posts: &[ScheduledPost], rules: &Rules<'_>) {
        for post in posts {
            let until = rules.needed_until(post);
            for url in &post.media_urls {
                // A message about a presigned link names the file, however long the file itself lasts.
                let until = if Presigned::of(url) == Presigned::No { until } else { Timestamp::MAX };
                for key in PlaceKeys::of(url).into_iter().flat_map(PlaceKeys::iter) {
                    let latest = self.needed.entry(key).or_insert(until);
                    *latest = until.max(*latest);
                }
            }
        }
    }

    /// Returns what is kept of a file of a gallery, if a post uses it.
    #[must_use]
    pub fn keep(&self, file: &impl File) -> Option<UsedFile> {
        if self.needed.is_empty() {
            return None;
        }
        let place = Place::parse(file.url()?)?;
        let uuid = place.uuid().map(|uuid| HASHER.hash_one(uuid));
        // A post that uses a place uses its UUID, too. Nearly all files of large galleries are in no post.
        if uuid.is_some_and(|uuid| !self.needed.contains_key(&uuid)) {
            return None;
        }
        let keys = PlaceKeys { exact: HASHER.hash_one(&place), uuid };
        let needed_until = keys.iter().filter_map(|key| self.needed.get(&key)).max()?;
        let lasts = file.expires_at().is_some_and(|expires_at| *needed_until < expires_at);
        let expiring = || ExpiringFile {
            id: file.id().map(ToOwned::to_owned),
            file_name: file.file_name().map(ToOwned::to_owned),
            expires_at: file.expires_at(),
            source: self
                .are_copied
                .then(|| CopySource { url: file.url().map(ToOwned::to_owned), size_bytes: file.size_bytes() }),
        };
        Some(UsedFile { keys, expiring: (!lasts).then(|| Box::new(expiring())) })
    }
}

/// A file of a gallery that a post uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFile {
    pub(super) keys: PlaceKeys,
    /// What messages say about the file; `None` if it lasts longer than any post needs it.
    pub(super) expiring: Option<Box<ExpiringFile>>,
}

/// A file that may expire before a post is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExpiringFile {
    /// Ayrshare's id of the file.
    pub(super) id: Option<String>,
    /// The name under which the file was uploaded.
    pub(super) file_name: Option<String>,
    /// When the file expires.
    pub(super) expires_at: Option<Timestamp>,
    /// What its gallery says about where it can be copied from, if files of posts are copied.
    pub(super) source: Option<CopySource>,
}

/// Where a file can be copied from. The URL in a post may be another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopySource {
    pub(super) url: Option<String>,
    pub(super) size_bytes: Option<u64>,
}

impl UsedFile {
    /// Whether its gallery gives no date that can be read.
    pub(super) fn is_undated(&self) -> bool {
        self.expiring.as_deref().is_some_and(|file| file.expires_at.is_none())
    }

    /// Orders files by how soon they expire. One without a date comes last.
    pub(super) fn urgency(&self) -> (bool, Timestamp) {
        match self.expiring.as_deref() {
            None => (false, Timestamp::MAX),
            Some(file) => (self.is_undated(), file.expires_at.unwrap_or(Timestamp::MAX)),
        }
    }
}
