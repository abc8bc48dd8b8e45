//! The index of the files that galleries list and posts use. Pure.

use crate::model::ProfileName;
use crate::scan::posts::Known;
use crate::scan::used_files::{PlaceKeys, UsedFile};

/// Finds a file by its place in the galleries of all profiles.
#[derive(Debug)]
pub(super) struct ListedFiles<'a> {
    known: &'a [Known<'a>],
    /// Of each place, the listing that expires first. Sorted by place.
    listings: Vec<IndexEntry>,
}

/// Where a file is listed. There may be hundreds of thousands, so it is small.
#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    /// One of the file's keys.
    place: u64,
    /// The index of the profile.
    profile: u32,
    /// The index of the file among the used ones of the profile.
    file: u32,
}

/// A used file with the profile whose gallery lists it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundFile<'a> {
    pub(super) owner: &'a ProfileName,
    pub(super) file: &'a UsedFile,
}

impl IndexEntry {
    fn resolve<'a>(self, known: &[Known<'a>]) -> Option<FoundFile<'a>> {
        let known = known.get(self.profile as usize)?;
        Some(FoundFile { owner: known.profile, file: known.used?.get(self.file as usize)? })
    }
}

impl<'a> ListedFiles<'a> {
    pub(super) fn new(known: &'a [Known<'a>]) -> Self {
        let keys = known.iter().filter_map(|known| known.used).flatten().flat_map(|file| file.keys.iter());
        let mut listings = Vec::with_capacity(keys.count());
        for (known, profile) in known.iter().zip(0..) {
            for (used, file) in known.used.iter().copied().flatten().zip(0..) {
                listings.extend(used.keys.iter().map(|place| IndexEntry { place, profile, file }));
            }
        }
        let urgency = |listing: &IndexEntry| listing.resolve(known).map(|listed| listed.file.urgency());
        listings.sort_unstable_by_key(|listing| (listing.place, urgency(listing), listing.profile, listing.file));
        listings.dedup_by_key(|listing| listing.place);
        Self { known, listings }
    }

    /// Finds a file by its host and path, or else by its host and UUID.
    ///
    /// When several galleries list it, returns the listing that expires first: it is one file, and one of the galleries is
    /// out of date.
    pub(super) fn find(&self, keys: PlaceKeys) -> Option<FoundFile<'a>> {
        keys.iter().find_map(|place| self.listing(place))?.resolve(self.known)
    }

    fn listing(&self, place: u64) -> Option<IndexEntry> {
        let found = self.listings.binary_search_by_key(&place, |listing| listing.place);
        found.ok().map(|at| self.listings[at])
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Packed, ScheduledPost};
    use crate::scan::used_files::ExpiringFile;

    /// A file at one of a few places, which expires after so many hours; `None` if it lasts.
    fn file((place, hours): (u64, Option<i64>)) -> UsedFile {
        let expiring = hours.map(|hours| {
            let expires_at = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(hours)).ok();
            Box::new(ExpiringFile { id: None, file_name: None, expires_at, source: None })
        });
        UsedFile { keys: keys(place), expiring }
    }

    /// Two places each share a UUID.
    fn keys(place: u64) -> PlaceKeys {
        PlaceKeys { exact: place, uuid: (place < 6).then_some(100 + place / 2) }
    }

    /// Searches all listings one by one.
    fn search(galleries: &[Vec<UsedFile>], keys: PlaceKeys) -> Option<(bool, Timestamp)> {
        keys.iter().find_map(|key| {
            let listed = galleries.iter().flatten().filter(|file| file.keys.iter().any(|of_file| of_file == key));
            listed.map(UsedFile::urgency).min()
        })
    }

    proptest! {
        #[test]
        fn a_file_is_found_as_by_searching_all_listings(
            galleries in proptest::collection::vec(
                proptest::collection::vec((0_u64..8, proptest::option::of(0_i64..9)).prop_map(file), 0..5),
                1..5,
            ),
        ) {
            let names: Vec<_> = (0..galleries.len()).map(|index| ProfileName::new(&index.to_string())).collect();
            let (posts, without_media) = (Packed::<ScheduledPost>::default(), Packed::default());
            let known: Vec<_> = names.iter().zip(&galleries).map(|(profile, used)| Known {
                profile, used: Some(used), posts: &posts, without_media: &without_media,
            }).collect();
            let files = ListedFiles::new(&known);
            for place in 0..8 {
                let found = files.find(keys(place)).map(|listed| listed.file.urgency());
                prop_assert_eq!(found, search(&galleries, keys(place)));
            }
        }
    }
}
