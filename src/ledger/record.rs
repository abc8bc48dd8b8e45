//! The records of the ledger, and how long they are kept. Pure.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Key, later};
use crate::model::{Item, Level};

/// The records of one channel: the announcements that it has confirmed.
///
/// There may be hundreds of thousands of files. A run only looks their records up, so it keeps fingerprints of the keys,
/// which need a fifth of the memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: HashMap<Fingerprint, FileRecord>,
    /// The files that people have marked as handled. They are apart from the others because most channels have none, and
    /// then nothing needs to be looked up.
    handled: HashMap<Fingerprint, FileRecord>,
    others: BTreeMap<Key, Record>,
    hashers: [RandomState; 2],
}

/// Two hashes of a key with random seeds. The seeds prevent collisions that somebody chooses, and 128 bits prevent random
/// ones.
type Fingerprint = [u64; 2];

/// The parts of a [`Record`] that the record of a file uses.
#[derive(Clone, Debug)]
struct FileRecord {
    level: Level,
    announced_at: Timestamp,
    keep_until: Timestamp,
}

impl Memory {
    /// Returns the record with this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Record> {
        let files = match key {
            Key::Item { .. } => &self.files,
            Key::Handled { .. } => &self.handled,
            _ => return self.others.get(key).cloned(),
        };
        let FileRecord { level, announced_at, keep_until } = files.get(&self.fingerprint(key))?.clone();
        Some(Record { level, announced_at, keep_until, label: None })
    }

    /// Returns whether there is a record with this key.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// Returns whether a file is marked as handled, at its present expiry.
    #[must_use]
    pub fn is_handled(&self, item: &Item) -> bool {
        !self.handled.is_empty() && self.contains(&Key::of_handled(&item.profile, &item.media))
    }

    /// Iterates over the records of posts, failing profiles and unwatched profiles.
    pub fn others(&self) -> impl Iterator<Item = (&Key, &Record)> {
        self.others.iter()
    }

    /// Adds a record, and replaces the one with the same key.
    pub fn insert(&mut self, key: Key, record: Record) {
        let Record { level, announced_at, keep_until, .. } = record;
        let of_file = FileRecord { level, announced_at, keep_until };
        match key {
            Key::Item { .. } => drop(self.files.insert(self.fingerprint(&key), of_file)),
            Key::Handled { .. } => drop(self.handled.insert(self.fingerprint(&key), of_file)),
            _ => drop(self.others.insert(key, record)),
        }
    }

    /// Removes the record with this key.
    pub fn remove(&mut self, key: &Key) {
        match key {
            Key::Item { .. } => drop(self.files.remove(&self.fingerprint(key))),
            Key::Handled { .. } => drop(self.handled.remove(&self.fingerprint(key))),
            _ => drop(self.others.remove(key)),
        }
    }

    /// Returns the number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len() + self.handled.len() + self.others.len()
    }

    /// Returns whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn fingerprint(&self, key: &Key) -> Fingerprint {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }
}

impl Extend<(Key, Record)> for Memory {
    fn extend<I: IntoIterator<Item = (Key, Record)>>(&mut self, records: I) {
        records.into_iter().for_each(|(key, record)| self.insert(key, record));
    }
}

impl FromIterator<(Key, Record)> for Memory {
    fn from_iter<I: IntoIterator<Item = (Key, Record)>>(records: I) -> Self {
        let mut memory = Self::default();
        memory.extend(records);
        memory
    }
}

/// How long a record is kept after its subject expires or after its last renewal.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// A record whose subject still exists is renewed when it has less than this time left.
const RENEWED: SignedDuration = SignedDuration::from_hours(45 * 24);
/// How long the mark of a file without an expiry is kept. No run renews it, because that could restore a mark that
/// somebody has just removed.
const UNDATED_MARK_KEPT: SignedDuration = SignedDuration::from_hours(365 * 24);
/// One announcement that a channel has confirmed, or one mark of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The most urgent level at which the subject was announced.
    pub level: Level,
    /// When it was last announced.
    pub announced_at: Timestamp,
    /// When the record may be deleted.
    pub keep_until: Timestamp,
    /// How messages name the post, for posts. It is needed to report that the post is no longer at risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Record {
    /// Creates the record of an announcement at `now`, about a subject that expires at `over_at`.
    #[must_use]
    pub fn new(level: Level, now: Timestamp, over_at: Option<Timestamp>) -> Self {
        let keep_until = later(over_at.map_or(now, |over_at| over_at.max(now)), KEPT);
        Self { level, announced_at: now, keep_until, label: None }
    }

    /// Creates the mark of a file at `now`.
    #[must_use]
    pub fn handled(now: Timestamp, expires_at: Option<Timestamp>) -> Self {
        let record = Self::new(Level::SEEN, now, expires_at);
        if expires_at.is_some() { record } else { Self { keep_until: later(now, UNDATED_MARK_KEPT), ..record } }
    }

    /// Returns the record with a later end if it would soon be deleted. The caller knows that its subject still exists.
    #[must_use]
    pub fn renewed(&self, now: Timestamp) -> Option<Self> {
        let keep_until = later(now, KEPT);
        (self.keep_until.duration_since(now) < RENEWED && self.keep_until < keep_until)
            .then(|| Self { keep_until, ..self.clone() })
    }
}

/// A change of the records of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds or replaces a record.
    Put(Key, Record),
    /// Deletes a record.
    Delete(Key),
}

impl Change {
    /// Applies the change.
    pub fn apply(self, memory: &mut Memory) {
        match self {
            Self::Put(key, record) => memory.insert(key, record),
            Self::Delete(key) => memory.remove(&key),
        }
    }

    /// Returns the key of the record that changes.
    #[must_use]
    pub fn key(&self) -> &Key {
        let (Self::Put(key, _) | Self::Delete(key)) = self;
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Media, ProfileName};

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    #[test]
    fn the_mark_of_a_file_has_its_own_key_and_ends_with_its_expiry() {
        let hour = |hours: i64| now() + SignedDuration::from_hours(hours);
        let item = |hours: Option<i64>| {
            let media = Media { id: Some("a".into()), expires_at: hours.map(hour), ..Media::default() };
            Item { profile: ProfileName::new("A"), media, state: crate::model::State::Undated, threshold: None }
        };
        let (marked, moved) = (item(Some(5)), item(Some(6)));
        let key = Key::of_handled(&marked.profile, &marked.media);
        assert_eq!(key.to_string(), "handled#A#a#1795431600000");
        let mut memory = Memory::default();
        assert!(!memory.is_handled(&marked));
        Change::Put(key.clone(), Record::handled(now(), Some(hour(5)))).apply(&mut memory);
        assert!(memory.is_handled(&marked) && !memory.is_handled(&moved) && !memory.is_handled(&item(None)));
        assert!(!memory.contains(&Key::of_item(&marked.profile, &marked.media)));
        assert_eq!((memory.len(), memory.others().count()), (1, 0));
        Change::Delete(key).apply(&mut memory);
        assert!(!memory.is_handled(&marked) && memory.is_empty());

        assert_eq!(Record::handled(now(), Some(hour(5))).keep_until, hour(5 + 90 * 24));
        assert_eq!(Record::handled(now(), None).keep_until, hour(365 * 24));
    }

    #[test]
    fn a_record_is_kept_after_the_expiry_and_renewed_while_its_subject_exists() {
        let days = |days: i64| SignedDuration::from_hours(days * 24);
        let record = Record::new(Level::within(86_400), now(), Some(now() + days(1)));
        assert_eq!(record.keep_until, now() + days(91));
        assert_eq!(record.renewed(now() + days(40)), None);
        let renewed = record.renewed(now() + days(50)).expect("a longer life");
        assert_eq!(renewed.keep_until, now() + days(140));
        assert_eq!(renewed.announced_at, now());
        assert_eq!(Record::new(Level::OVER, now(), Some(now() - days(400))).keep_until, now() + days(90));
    }

    #[test]
    fn records_of_all_kinds_are_counted_and_removed() {
        let (profile, media) = (ProfileName::new("A"), Media { id: Some("a".into()), ..Media::default() });
        let keys = [
            Key::of_item(&profile, &media),
            Key::of_handled(&profile, &media),
            Key::of_failing(&profile, crate::model::Part::Media),
        ];
        let record = Record::new(Level::SEEN, now(), None);
        let mut memory: Memory = keys.iter().map(|key| (key.clone(), record.clone())).collect();
        for (index, key) in keys.iter().enumerate() {
            assert_eq!((memory.len(), memory.is_empty(), memory.contains(key)), (3 - index, false, true));
            memory.remove(key);
            assert!(!memory.contains(key));
        }
        assert!(memory.is_empty());
    }

    #[test]
    fn a_record_is_renewed_from_45_days_before_its_end_on_and_never_beyond_the_last_time() {
        let record = Record::new(Level::SEEN, now(), None);
        let days = |days: i64| now() + SignedDuration::from_hours(days * 24);
        assert_eq!(record.renewed(days(45)), None);
        assert!(record.renewed(days(45) + SignedDuration::from_nanos(1)).is_some());
        let last = Record { keep_until: Timestamp::MAX, ..record };
        assert_eq!(last.renewed(Timestamp::MAX - SignedDuration::from_hours(1)), None);
    }
}
