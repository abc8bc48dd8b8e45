//! The index of the files that galleries list and posts use. Pure.

use std::collections::HashMap;

use crate::model::ProfileName;
use crate::scan::posts::Known;
use crate::scan::used_files::{PlaceKeys, UsedFile};

/// Finds a file by its place in the galleries of all profiles.
#[derive(Debug)]
pub(super) struct ListedFiles<'a> {
    known: &'a [Known<'a>],
    /// Of each place and profile, the listing that expires first. Sorted by place and profile.
    listings: Vec<IndexEntry>,
    /// Of each place that several profiles list, the listing that expires first.
    earliest: HashMap<u64, IndexEntry>,
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
        listings.sort_unstable_by_key(|listing| (listing.place, listing.profile, urgency(listing), listing.file));
        listings.dedup_by_key(|listing| (listing.place, listing.profile));
        let shared = listings.chunk_by(|one, other| one.place == other.place).filter(|listings| listings.len() > 1);
        let earliest = shared.filter_map(|listings| listings.iter().copied().min_by_key(urgency));
        let earliest = earliest.map(|listing| (listing.place, listing)).collect();
        Self { known, listings, earliest }
    }

    /// Finds a file by its host and path, or else by its host and UUID.
    ///
    /// When several profiles list it, prefers the gallery of `profile`, then the listing that expires first.
    pub(super) fn find(&self, keys: PlaceKeys, profile: usize) -> Option<FoundFile<'a>> {
        keys.iter().find_map(|place| self.listing(place, profile))?.resolve(self.known)
    }

    fn listing(&self, place: u64, profile: usize) -> Option<IndexEntry> {
        let key = |listing: &IndexEntry| (listing.place, listing.profile as usize);
        let (Ok(at) | Err(at)) = self.listings.binary_search_by_key(&(place, profile), key);
        match self.listings.get(at) {
            Some(own) if key(own) == (place, profile) => Some(*own),
            _ => self.earliest.get(&place).copied().or_else(|| self.only(place, at)),
        }
    }

    /// The listing of a place that only one profile lists. It is beside the position where another profile's would be.
    fn only(&self, place: u64, position: usize) -> Option<IndexEntry> {
        let around = [position.checked_sub(1), Some(position)].into_iter().flatten();
        around.filter_map(|at| self.listings.get(at)).find(|listing| listing.place == place).copied()
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
            Box::new(ExpiringFile { id: None, file_name: None, expires_at })
        });
        UsedFile { keys: keys(place), expiring }
    }

    /// Two places each share a UUID.
    fn keys(place: u64) -> PlaceKeys {
        PlaceKeys { exact: place, uuid: (place < 6).then_some(100 + place / 2) }
    }

    /// Searches all listings one by one.
    fn search(galleries: &[Vec<UsedFile>], keys: PlaceKeys, profile: usize) -> Option<(bool, (bool, Timestamp))> {
        keys.iter().find_map(|key| {
            let listings =
                galleries.iter().enumerate().flat_map(|(owner, files)| files.iter().map(move |file| (owner, file)));
            let found = listings.filter(|(_, file)| file.keys.iter().any(|of_file| of_file == key));
            found.map(|(owner, file)| (owner != profile, file.urgency())).min()
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
                for (profile, name) in names.iter().enumerate() {
                    let found = files.find(keys(place), profile);
                    let found = found.map(|listed| (listed.owner != name, listed.file.urgency()));
                    prop_assert_eq!(found, search(&galleries, keys(place), profile));
                }
            }
        }
    }
}
