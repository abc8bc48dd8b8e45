//! What in a digest is new to a channel, and what to record once the channel has confirmed it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use crate::config::Repeat;
use crate::digest::{self, Digest, Entry, Subject};
use crate::ledger::{Change, Key, Memory, Record, post_id};
use crate::model::Level;
use crate::model::threshold::Thresholds;
use crate::model::{Item, Part, ProfileName};
use crate::scan::survey::Survey;

/// A profile that cannot be checked is announced again after this time: once a day. It is half an hour less than a day
/// because a daily schedule does not start the function at exactly the same time every day.
const FAILING_AGAIN: SignedDuration = SignedDuration::from_mins(23 * 60 + 30);

/// What a channel is told, and which changes to the ledger follow from it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The part of the digest that is new.
    pub digest: Digest,
    /// Changes that belong to everything in the digest except its entries, which the first message contains.
    with_first: Vec<Change>,
    /// Changes to make even if nothing is sent: records that would expire although their subject is still there are
    /// renewed, and records of posts whose due date has passed are deleted.
    pub silent: Vec<Change>,
}

impl Announcement {
    /// Selects what is new to a channel with this memory.
    ///
    /// An entry is not new if it was announced at the same threshold or a tighter one. A profile that cannot be checked
    /// is announced when it starts to fail, once a day while it fails, and when it has recovered. A post that was
    /// announced is reported as safe if it is no longer at risk and its due date has not passed.
    #[must_use]
    pub fn new(digest: Digest, survey: &Survey, memory: &Memory, repeat: Repeat) -> Self {
        let now = digest.now;
        let lost = lost_posts(memory);
        let is_new = |entry: &Entry| {
            let is_known = || match &entry.subject {
                // The key contains the expiry, and it changes when an expired file disappears from the gallery. For the
                // post that is no news.
                Subject::Post(post) if entry.level == Level::OVER => lost.contains(&(&post.profile, post_id(post))),
                _ => memory.get(&key(entry)).is_some_and(|record| record.level <= entry.level),
            };
            repeat == Repeat::EveryRun || !is_known()
        };
        let (new, known): (Vec<_>, Vec<_>) = digest.entries.iter().cloned().partition(is_new);
        // Two entries may have the same key, and a batch of writes must not contain a key twice.
        let keys: BTreeSet<_> = known.iter().map(key).collect();
        let renewals =
            keys.into_iter().filter_map(|key| Some(Change::Put(key.clone(), memory.get(&key)?.renewed(now)?)));

        let is_due = |profile: &ProfileName, part: Part| {
            let record = memory.get(&Key::of_failing(profile, part));
            record.is_none_or(|record| FAILING_AGAIN <= now.duration_since(record.announced_at))
        };
        let unchecked_is_news =
            repeat == Repeat::EveryRun || digest.unchecked.iter().any(|failed| is_due(&failed.profile, failed.what));
        let recovered = recovered(&digest, survey, memory);
        let FormerPosts { safe: resolved, saved, over } = former_posts(&digest, survey, memory);
        let silent = renewals.chain(over.into_iter().map(Change::Delete)).collect();

        let failing = digest.unchecked.iter().map(|failed| {
            let key = Key::of_failing(&failed.profile, failed.what);
            Change::Put(key, Record::new(Level::SEEN, now, None))
        });
        let mended = recovered.iter().map(|(profile, part)| Change::Delete(Key::of_failing(profile, *part)));
        let with_first = failing.chain(mended).chain(saved.into_iter().map(Change::Delete)).collect();
        let announced_before = known.len();
        let digest = Digest { entries: new, unchecked_is_news, recovered, resolved, announced_before, ..digest };
        Self { digest, with_first, silent }
    }

    /// The changes to make once the channel has confirmed the message with these entries of the digest.
    #[must_use]
    pub fn changes(&self, entries: Range<usize>, is_first: bool) -> Vec<Change> {
        let now = self.digest.now;
        // Two files without an id share a key, and a batch of writes must not contain a key twice.
        let records: BTreeMap<_, _> =
            self.digest.entries[entries].iter().map(|entry| (key(entry), record(entry, now))).collect();
        let mut changes = if is_first { self.with_first.clone() } else { Vec::new() };
        changes.extend(records.into_iter().map(|(key, record)| Change::Put(key, record)));
        changes
    }
}

/// What each channel has been told about a file: the tightest threshold as the configuration writes it, `expired` or
/// `undated`.
#[must_use]
pub fn announced(item: &Item, memories: &BTreeMap<&str, Memory>, thresholds: &Thresholds) -> BTreeMap<String, String> {
    let key = Key::of_item(&item.profile, &item.media);
    let label = |level: Level| match level {
        Level::OVER => "expired".to_owned(),
        Level::SEEN => "undated".to_owned(),
        _ => thresholds
            .iter()
            .find(|threshold| Level::of(threshold) == level)
            .map_or_else(|| format!("{}s", level.seconds()), |threshold| threshold.label().to_owned()),
    };
    memories
        .iter()
        .filter_map(|(channel, memory)| Some(((*channel).to_owned(), label(memory.get(&key)?.level))))
        .collect()
}

/// The posts that were announced with a file that is already gone.
fn lost_posts(memory: &Memory) -> BTreeSet<(&ProfileName, String)> {
    let lost = memory.iter().filter(|(_, record)| record.level == Level::OVER);
    lost.filter_map(|(key, _)| match key {
        Key::Post { profile, id, .. } => Some((profile, id.clone())),
        Key::Item { .. } | Key::Failing { .. } => None,
    })
    .collect()
}

fn key(entry: &Entry) -> Key {
    match &entry.subject {
        Subject::File(item) => Key::of_item(&item.profile, &item.media),
        Subject::Post(post) => Key::of_post(post),
    }
}

fn record(entry: &Entry, now: Timestamp) -> Record {
    match &entry.subject {
        Subject::File(item) => Record::new(entry.level, now, item.media.expires_at),
        Subject::Post(post) => Record {
            due_at: post.scheduled_at,
            label: Some(digest::post_label(post)),
            ..Record::new(entry.level, now, post.scheduled_at)
        },
    }
}

/// The parts of profiles that were announced as failing and were checked in this run.
fn recovered(digest: &Digest, survey: &Survey, memory: &Memory) -> Vec<(ProfileName, Part)> {
    let is_unchecked = |profile: &ProfileName, part: Part| {
        digest.unchecked.iter().any(|failed| failed.profile == *profile && failed.what == part)
    };
    digest
        .profiles
        .iter()
        .flat_map(|profile| [(profile.clone(), Part::Media), (profile.clone(), Part::Posts)])
        .filter(|(profile, part)| {
            memory.contains_key(&Key::of_failing(profile, *part))
                && !is_unchecked(profile, *part)
                && survey.has_seen(profile, *part)
        })
        .collect()
}

/// The posts that were announced and are no longer at risk, with the records to delete.
#[derive(Default)]
struct FormerPosts {
    /// Profile and label of each post that is safe before it is due.
    safe: Vec<(ProfileName, String)>,
    /// All records of these posts.
    saved: Vec<Key>,
    /// All records of posts whose due date has passed. Whether they were published is not known, so nothing is said.
    over: Vec<Key>,
}

fn former_posts(digest: &Digest, survey: &Survey, memory: &Memory) -> FormerPosts {
    let at_risk: BTreeSet<_> = survey.posts_at_risk.iter().map(|post| (post.profile.clone(), post_id(post))).collect();
    let mut former = FormerPosts::default();
    let mut said = BTreeSet::new();
    for (key, record) in memory {
        let Key::Post { profile, id, .. } = key else { continue };
        let is_seen = digest.profiles.contains(profile)
            && survey.has_seen(profile, Part::Media)
            && survey.has_seen(profile, Part::Posts);
        if !is_seen || at_risk.contains(&(profile.clone(), id.clone())) {
            continue;
        }
        if record.due_at.is_some_and(|due_at| due_at <= digest.now) {
            former.over.push(key.clone());
            continue;
        }
        former.saved.push(key.clone());
        if said.insert((profile, id)) {
            former.safe.push((profile.clone(), record.label.clone().unwrap_or_else(|| id.clone())));
        }
    }
    former
}
