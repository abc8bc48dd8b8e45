//! The index of the files that galleries list and posts use. Pure.

use jiff::Timestamp;

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
    /// The order of the index: listings of the same place stand together, and those that expire first come first.
    fn rank(self, known: &[Known<'_>]) -> (u64, Option<(bool, Timestamp)>, u32, u32) {
        (self.place, self.resolve(known).map(|listed| listed.file.urgency()), self.profile, self.file)
    }

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
        // Most places differ, and a comparison of ranks would look up both files.
        listings.sort_unstable_by(|one, other| {
            one.place.cmp(&other.place).then_with(|| one.rank(known).cmp(&other.rank(known)))
        });
        Self { known, listings }
    }

    /// The listing of a file that decides: the one that expires first. Of several, it is that of the profile with this
    /// index, so that a post and the file in the gallery of its own profile belong together.
    pub(super) fn find(&self, keys: PlaceKeys, profile: usize) -> Option<FoundFile<'a>> {
        let listings = self.from(keys);
        let first = listings.first()?;
        let (place, urgency, _, _) = first.rank(self.known);
        let own = listings.binary_search_by(|listing| {
            listing.place.cmp(&place).then_with(|| {
                let (_, urgency_of_listing, of_profile, _) = listing.rank(self.known);
                (urgency_of_listing, of_profile as usize).cmp(&(urgency, profile))
            })
        });
        own.map_or(first, |own| &listings[own]).resolve(self.known)
    }

    /// Whether a gallery lists the file without a date, so that it may expire at any time.
    pub(super) fn has_undated(&self, keys: PlaceKeys) -> bool {
        let listings = self.from(keys);
        let Some(first) = listings.first() else { return false };
        // Of the listings of a file, those without a date come last.
        let same = listings.partition_point(|listing| listing.place <= first.place);
        let last = listings[..same].last().and_then(|last| last.resolve(self.known));
        last.is_some_and(|listed| listed.file.is_undated())
    }

    /// All listings of a file, those that expire first before the others.
    pub(super) fn all(&self, keys: PlaceKeys) -> impl Iterator<Item = FoundFile<'a>> {
        let listings = self.from(keys);
        let place = listings.first().map(|first| first.place);
        let same = listings.iter().take_while(move |listing| Some(listing.place) == place);
        same.filter_map(|listing| listing.resolve(self.known))
    }

    /// The listings from the first one of a file. Those of other files follow. Empty if no gallery lists the file.
    fn from(&self, keys: PlaceKeys) -> &[IndexEntry] {
        let from = |place| {
            let first = self.listings.partition_point(|listing| listing.place < place);
            Some(&self.listings[first..]).filter(|listings| listings.first().is_some_and(|first| first.place == place))
        };
        keys.iter().find_map(from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
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
                let expected = search(&galleries, keys(place));
                for (index, profile) in names.iter().enumerate() {
                    let found = files.find(keys(place), index);
                    prop_assert_eq!(found.map(|listed| listed.file.urgency()), expected);
                    let as_urgent = |listed: &FoundFile<'_>| Some(listed.file.urgency()) == expected;
                    let is_own = |listed: &FoundFile<'_>| listed.owner == profile;
                    if files.all(keys(place)).any(|listed| as_urgent(&listed) && is_own(&listed)) {
                        prop_assert!(found.is_some_and(|listed| is_own(&listed)));
                    }
                }
            }
        }
    }
}
