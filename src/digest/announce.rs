//! Announcing: what of a digest is new to a channel, and what to remember once the channel has confirmed it. Pure.

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

/// How often a profile is announced while it cannot be checked: once a day. A daily schedule never wakes the function
/// at the same second twice, so half an hour less is a day too.
const FAILING_AGAIN: SignedDuration = SignedDuration::from_mins(23 * 60 + 30);

/// What a channel is told, and what to remember of it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// What is said.
    pub digest: Digest,
    /// To remember with the digest's first message: what it says beside its entries.
    with_first: Vec<Change>,
    /// To remember whether anything is said or not: records that would be forgotten although their subject is still
    /// there, and those of posts that are over.
    pub silent: Vec<Change>,
}

impl Announcement {
    /// What of `digest` is new to a channel with this memory.
    ///
    /// An entry is quiet when it was announced at this threshold or a tighter one. A profile that cannot be checked is
    /// said when it begins to fail, once a day while it does, and when it has recovered. A post that was announced is
    /// said to be safe when it is no longer at risk before it is due.
    #[must_use]
    pub fn new(digest: Digest, survey: &Survey, memory: &Memory, repeat: Repeat) -> Self {
        let now = digest.now;
        let lost = lost_posts(memory);
        let is_new = |entry: &Entry| {
            let is_known = || match &entry.subject {
                // A file that has expired and then leaves the gallery is the same news with another expiry.
                Subject::Post(post) if entry.level == Level::OVER => lost.contains(&(&post.profile, post_id(post))),
                _ => memory.get(&key(entry)).is_some_and(|record| record.level <= entry.level),
            };
            repeat == Repeat::EveryRun || !is_known()
        };
        let (new, known): (Vec<_>, Vec<_>) = digest.entries.iter().cloned().partition(is_new);
        // By key: two entries may have the same, and a batch may not name it twice.
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
        let Resolved { posts: resolved, saved, over } = resolved(&digest, survey, memory);
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

    /// What to remember once a message has been confirmed that announces these entries of the digest.
    #[must_use]
    pub fn changes(&self, entries: Range<usize>, is_first: bool) -> Vec<Change> {
        let now = self.digest.now;
        // By key: two files without an id are one record, and a batch may not name a key twice.
        let records: BTreeMap<_, _> =
            self.digest.entries[entries].iter().map(|entry| (key(entry), record(entry, now))).collect();
        let mut changes = if is_first { self.with_first.clone() } else { Vec::new() };
        changes.extend(records.into_iter().map(|(key, record)| Change::Put(key, record)));
        changes
    }
}

/// What each channel has confirmed of a file: the tightest threshold as the configuration writes it, or `expired`.
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

/// The posts that were announced as lacking a file already.
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

/// The parts of profiles that are remembered as failing and were looked at in this run.
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

/// The posts that were announced and are no longer at risk.
#[derive(Default)]
struct Resolved {
    /// Whose they are and what they are called, of those that were saved before they were due.
    posts: Vec<(ProfileName, String)>,
    /// Every key of those.
    saved: Vec<Key>,
    /// Every key of those that are due already: there is nothing left to say of them.
    over: Vec<Key>,
}

fn resolved(digest: &Digest, survey: &Survey, memory: &Memory) -> Resolved {
    let at_risk: BTreeSet<_> = survey.posts_at_risk.iter().map(|post| (post.profile.clone(), post_id(post))).collect();
    let mut resolved = Resolved::default();
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
            resolved.over.push(key.clone());
            continue;
        }
        resolved.saved.push(key.clone());
        if said.insert((profile, id)) {
            resolved.posts.push((profile.clone(), record.label.clone().unwrap_or_else(|| id.clone())));
        }
    }
    resolved
}
