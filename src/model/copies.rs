//! The copies of files that the store keeps, and the files that could not be copied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::media::Item;
use super::post::MediaAtRisk;
use super::profile::ProfileName;

/// A copy of a file in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCopy {
    /// The profile under whose name the copy is kept. Several galleries may list the same file, which is copied once.
    profile: ProfileName,
    /// The key of the object in the store: `copies/PROFILE/ID.EXT`.
    key: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// Whether the run has made it. Else it was there before.
    #[serde(skip)]
    is_new: bool,
}

impl KeptCopy {
    /// Describes a copy.
    #[must_use]
    pub fn new(profile: ProfileName, key: String, size_bytes: u64, is_new: bool) -> Self {
        Self { profile, key, size_bytes, is_new }
    }

    /// Whether it is the object with this key.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.key == key
    }
}

/// How to download a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyAddress<'a> {
    /// What identifies the copy in links.
    pub id: String,
    /// The key of the object in the store.
    pub key: &'a str,
}

/// A file that was not copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedCopy {
    /// The profile whose gallery lists the file.
    pub profile: ProfileName,
    /// Ayrshare's id of the file.
    pub id: Option<String>,
    /// What people call the file.
    pub file_name: String,
    /// Why it was not copied, in words.
    pub reason: String,
    /// Whether it is larger than `rescue.max_file_size`. That is no fault, and another attempt would change nothing.
    pub is_too_large: bool,
}

/// The copies of the files of a gallery, by what identifies the file in it. There may be hundreds of thousands of copies, so
/// the surveys of all channels share them.
type CopiesOfProfile = HashMap<Box<str>, Arc<KeptCopy>>;

/// The copies of files, and the files that could not be copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Whether files are copied: whether there is `[rescue]`, and the run looks for copies.
    pub is_on: bool,
    /// The copies, by the profile whose gallery lists the file and by what identifies the file in it.
    kept: HashMap<ProfileName, Arc<CopiesOfProfile>>,
    /// The profiles whose names a reader may see; `None` for all.
    visible: Option<Arc<HashSet<ProfileName>>>,
    /// The files that were not copied.
    pub failed: Vec<FailedCopy>,
    /// How many files of each profile there was no time for.
    waiting: BTreeMap<ProfileName, usize>,
    /// Whether the store could not tell of every file whether there is a copy.
    pub is_incomplete: bool,
}

impl Copies {
    /// Creates an empty list for a run that copies files or looks for copies.
    #[must_use]
    pub fn on() -> Self {
        Self { is_on: true, ..Self::default() }
    }

    /// Adds the copy of a file.
    pub fn add(&mut self, profile: ProfileName, identity: &str, copy: Arc<KeptCopy>) {
        Arc::make_mut(self.kept.entry(profile).or_default()).insert(identity.into(), copy);
    }

    /// Counts a file that there was no time for.
    pub fn add_waiting(&mut self, profile: ProfileName) {
        *self.waiting.entry(profile).or_default() += 1;
    }

    /// Returns the copy of a file, if one is kept.
    #[must_use]
    pub fn of(&self, item: &Item) -> Option<&KeptCopy> {
        let copy = self.kept.get(&item.profile)?.get(item.media.identity())?;
        // A gallery may list two files with the same id.
        let listed = item.media.size_bytes;
        listed.is_none_or(|listed| listed == copy.size_bytes).then_some(copy)
    }

    /// Returns the copy of a file that a post will lack, if one is kept.
    #[must_use]
    pub fn of_media(&self, media: &MediaAtRisk) -> Option<&KeptCopy> {
        let identity = media.id.as_ref().unwrap_or(&media.url);
        Some(self.kept.get(media.owner.as_ref()?)?.get(identity.as_str())?)
    }

    /// Returns how to download a copy. `None` if it is kept under the name of a profile that the reader may not see.
    #[must_use]
    pub fn address<'c>(&self, copy: &'c KeptCopy) -> Option<CopyAddress<'c>> {
        let is_visible = self.visible.as_ref().is_none_or(|visible| visible.contains(&copy.profile));
        is_visible.then(|| CopyAddress { id: id_of(&copy.key), key: &copy.key })
    }

    /// Returns the key of the copy with this id.
    #[must_use]
    pub fn key_of(&self, id: &str) -> Option<&str> {
        let copies = self.kept.values().flat_map(|copies| copies.values());
        copies.filter_map(|copy| self.address(copy)).find(|address| address.id == id).map(|address| address.key)
    }

    /// Iterates over the copies: the profile, what identifies the file in its gallery, and the copy.
    pub fn iter(&self) -> impl Iterator<Item = (&ProfileName, &str, &KeptCopy)> {
        let of_profile = |(profile, copies): (_, _)| {
            let copies: &Arc<CopiesOfProfile> = copies;
            copies.iter().map(move |(identity, copy)| (profile, &**identity, &**copy))
        };
        self.kept.iter().flat_map(of_profile)
    }

    /// The copies as in [`Self::iter`], in an order that does not change.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&ProfileName, &str, &KeptCopy)> {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_unstable_by_key(|(profile, identity, _)| (*profile, *identity));
        sorted
    }

    /// How many copies are kept. One for several galleries counts once.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.keys_of(|_| true).len()
    }

    /// How many copies the run has made.
    #[must_use]
    pub fn made(&self) -> usize {
        self.keys_of(|copy| copy.is_new).len()
    }

    /// How many bytes the copies have that the run has made.
    #[must_use]
    pub fn made_bytes(&self) -> u64 {
        let made = self.iter().filter(|(_, _, copy)| copy.is_new);
        made.map(|(_, _, copy)| (copy.key.as_str(), copy.size_bytes)).collect::<HashMap<_, _>>().values().sum()
    }

    fn keys_of(&self, filter: impl Fn(&KeptCopy) -> bool) -> HashSet<&str> {
        self.iter().filter(|(_, _, copy)| filter(copy)).map(|(_, _, copy)| copy.key.as_str()).collect()
    }

    /// How many files should have been copied and were not, for another reason than their size.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failed.iter().filter(|failed| !failed.is_too_large).count()
    }

    /// How many files there was no time for.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.values().sum()
    }

    /// The part that concerns files of these profiles, for readers who may not see others.
    #[must_use]
    pub fn of_profiles(&self, profiles: &HashSet<&ProfileName>) -> Self {
        let is_visible =
            |profile: &&ProfileName| self.visible.as_ref().is_none_or(|visible| visible.contains(*profile));
        let visible: HashSet<_> = profiles.iter().copied().filter(is_visible).cloned().collect();
        let kept = self.kept.iter().filter(|(profile, _)| profiles.contains(profile));
        let waiting = self.waiting.iter().filter(|(profile, _)| profiles.contains(profile));
        Self {
            is_on: self.is_on,
            kept: kept.map(|(profile, copies)| (profile.clone(), Arc::clone(copies))).collect(),
            visible: Some(Arc::new(visible)),
            failed: self.failed.iter().filter(|failed| profiles.contains(&failed.profile)).cloned().collect(),
            waiting: waiting.map(|(profile, count)| (profile.clone(), *count)).collect(),
            is_incomplete: self.is_incomplete,
        }
    }
}

/// What identifies a copy in links. It is as hard to guess as the key, and can stand in a path.
fn id_of(key: &str) -> String {
    hex::encode(&Sha256::digest(["copy\0", key].concat())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Media, RiskReason, State};

    #[test]
    fn a_copy_is_found_by_what_identifies_its_file() {
        let [acme, birch] = ["Acme", "Birch"].map(ProfileName::new);
        let copy = |key: &str| Arc::new(KeptCopy::new(acme.clone(), key.to_owned(), 5, true));
        assert!(copy("k").has_key("k") && !copy("k").has_key("other"));

        let mut copies = Copies::on();
        assert!(copies.is_on && !Copies::default().is_on);
        copies.add(acme.clone(), "b", copy("key of b"));
        copies.add(acme.clone(), "a", copy("key of a"));
        copies.add(acme.clone(), "https://a.example/u.png", copy("key of u"));
        let sorted: Vec<_> =
            copies.sorted().into_iter().map(|(_, identity, copy)| (identity, copy.key.as_str())).collect();
        assert_eq!(sorted, [("a", "key of a"), ("b", "key of b"), ("https://a.example/u.png", "key of u")]);

        assert_eq!((copies.kept(), copies.made()), (3, 3));

        let of = |profile: &ProfileName, id: &str, size_bytes: Option<u64>| {
            let media = Media { id: Some(id.to_owned()), size_bytes, ..Media::default() };
            let item = Item { profile: profile.clone(), media, state: State::Expired, threshold: None };
            copies.of(&item).map(|copy| copy.key.as_str())
        };
        assert_eq!(of(&acme, "a", None), Some("key of a"));
        assert_eq!(of(&acme, "a", Some(5)), Some("key of a"));
        assert_eq!(of(&acme, "a", Some(6)), None, "another file with the same id");
        assert_eq!((of(&acme, "c", None), of(&birch, "a", None)), (None, None));

        let of_media = |owner: Option<&ProfileName>, id: Option<&str>| {
            let media = MediaAtRisk {
                id: id.map(ToOwned::to_owned),
                owner: owner.cloned(),
                file_name: None,
                url: "https://a.example/u.png".to_owned(),
                expires_at: None,
                reason: RiskReason::AlreadyGone,
            };
            copies.of_media(&media).map(|copy| copy.key.as_str())
        };
        assert_eq!(of_media(Some(&acme), Some("b")), Some("key of b"));
        assert_eq!(of_media(Some(&acme), None), Some("key of u"));
        assert_eq!((of_media(None, Some("b")), of_media(Some(&birch), Some("b"))), (None, None));
    }

    #[test]
    fn every_file_that_there_was_no_time_for_is_counted() {
        let mut copies = Copies::on();
        let [acme, birch] = ["Acme", "Birch"].map(ProfileName::new);
        for profile in [&acme, &acme, &birch] {
            copies.add_waiting(profile.clone());
        }
        assert_eq!((copies.waiting(), copies.of_profiles(&HashSet::from([&acme])).waiting()), (3, 2));
    }

    #[test]
    fn a_reader_learns_of_no_other_profile() {
        let [acme, birch] = ["Acme", "Birch"].map(ProfileName::new);
        let shared = Arc::new(KeptCopy::new(acme.clone(), "copies/Acme/a.png".to_owned(), 5, true));
        let own = Arc::new(KeptCopy::new(birch.clone(), "copies/Birch/b.png".to_owned(), 6, false));
        let mut all = Copies::on();
        all.add(acme.clone(), "a", Arc::clone(&shared));
        all.add(birch.clone(), "a", Arc::clone(&shared));
        all.add(birch.clone(), "b", Arc::clone(&own));
        all.add_waiting(acme.clone());
        let failed = |profile: &ProfileName, is_too_large| FailedCopy {
            profile: profile.clone(),
            id: None,
            file_name: "c.png".to_owned(),
            reason: "no".to_owned(),
            is_too_large,
        };
        all.failed = vec![failed(&acme, false), failed(&birch, true)];
        assert_eq!((all.kept(), all.made(), all.failures(), all.waiting()), (2, 1, 1, 1));
        assert_eq!(all.made_bytes(), 5, "a copy for two galleries counts once");
        assert_eq!(all.address(&shared).map(|address| address.key), Some("copies/Acme/a.png"));

        let of_birch = all.of_profiles(&HashSet::from([&birch]));
        assert_eq!((of_birch.kept(), of_birch.failures(), of_birch.waiting()), (2, 0, 0));
        assert_eq!((of_birch.address(&shared), of_birch.failed.len()), (None, 1));
        let id = all.address(&own).expect("an address").id;
        assert_eq!((of_birch.key_of(&id), all.key_of(&id)), (Some("copies/Birch/b.png"), Some("copies/Birch/b.png")));
        let id = all.address(&shared).expect("an address").id;
        assert_eq!((of_birch.key_of(&id), of_birch.key_of("")), (None, None));
        // What was narrowed once does not become visible again.
        let wider = of_birch.of_profiles(&HashSet::from([&acme, &birch]));
        assert_eq!(wider.address(&shared), None);
    }
}
