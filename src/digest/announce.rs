//! What in a digest is new to a channel, and what to record once the channel has confirmed it. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::config::Repeat;
use crate::digest::{self, Digest, Entry, Subject};
use crate::ledger::{Change, Key, Memory, Record, stored_profile};
use crate::model::Level;
use crate::model::threshold::Thresholds;
use crate::model::{AyrshareProfile, Item, Part, PostAtRisk, ProfileName};
use crate::scan::seen_posts::PostState;
use crate::scan::survey::Survey;

/// A profile that cannot be checked is announced again after this time: once a day. It is half an hour less than a day
/// because a daily schedule does not start the function at exactly the same time every day.
const FAILING_AGAIN: SignedDuration = SignedDuration::from_mins(23 * 60 + 30);

/// A profile that nobody watches is announced again after this time: after 30 days, and half an hour less for the same
/// reason.
const UNWATCHED_AGAIN: SignedDuration = SignedDuration::from_mins(30 * 24 * 60 - 30);

/// What a channel is told, and which changes to the ledger follow from it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The part of the digest that is new.
    pub digest: Digest,
    /// Changes for the parts of the digest that are not entries. The first message contains those parts.
    with_first: Vec<Change>,
    /// Changes to make even if nothing is sent: records that would expire although their subject is still there are
    /// renewed. Records of posts that are no longer scheduled, and of profiles that are no longer unwatched, are deleted.
    pub silent: Vec<Change>,
}

impl Announcement {
    /// Selects what is new to a channel with this memory.
    ///
    /// An entry is not new if it was announced at the same threshold or a shorter one, or if it is a file that is marked as
    /// handled and has not expired. A profile that cannot be checked is announced when it starts to fail, once a day while
    /// it fails, and when it has recovered. A profile that nobody watches is announced at first and every 30 days. A post
    /// that was announced is reported as safe when it is still scheduled and all its media will be there.
    #[must_use]
    pub fn new(mut digest: Digest, survey: &Survey, memory: &Memory, repeat: Repeat) -> Self {
        let now = digest.now;
        let lost = lost_posts(memory);
        let is_handled = |entry: &Entry| match &entry.subject {
            Subject::File(item) => memory.is_handled(item),
            // A post that will fail is always announced, whatever is marked.
            Subject::Post(_) => false,
        };
        let is_new = |entry: &Entry| {
            if entry.level != Level::OVER && is_handled(entry) {
                return false;
            }
            let is_known = || match &entry.subject {
                // The key contains the expiry, which changes when an expired file disappears from the gallery. The post is
                // not announced again for that reason.
                Subject::Post(post) if entry.level == Level::OVER => lost.contains_key(&identity(post)),
                _ => memory.get(&key(entry)).is_some_and(|record| record.level <= entry.level),
            };
            repeat == Repeat::EveryRun || !is_known()
        };
        let (new, known): (Vec<_>, Vec<_>) = std::mem::take(&mut digest.entries).into_iter().partition(is_new);
        // Two entries may have the same key.
        let renewals: BTreeMap<_, _> = known
            .iter()
            .flat_map(|entry| known_by(entry, &lost))
            .filter_map(|key| {
                let renewed = memory.get(&key)?.renewed(now)?;
                Some((key, renewed))
            })
            .collect();
        let renewals = renewals.into_iter().map(|(key, record)| Change::Put(key, record));
        let restored: Vec<_> = new
            .iter()
            .chain(&known)
            .filter(|entry| entry.level != Level::OVER)
            .flat_map(|entry| restored_post(entry, survey, memory, &lost))
            .collect();

        let is_due = |profile: &ProfileName, part: Part| {
            let record = memory.get(&Key::of_failing(profile, part));
            record.is_none_or(|record| FAILING_AGAIN <= now.duration_since(record.announced_at))
        };
        let unchecked_is_news =
            repeat == Repeat::EveryRun || digest.unchecked.iter().any(|failed| is_due(&failed.profile, failed.what));
        let recovered = recovered(&digest, survey, memory);
        let FormerPosts { safe: resolved, saved, gone } = former_posts(&digest, survey, memory);
        let unwatched: Arc<[_]> = match repeat {
            Repeat::EveryRun => Arc::clone(&digest.unwatched),
            Repeat::OncePerThreshold => {
                digest.unwatched.iter().filter(|profile| is_unwatched_due(profile, memory, now)).cloned().collect()
            }
        };
        let watched = if digest.knows_unwatched { no_longer_unwatched(&digest, memory) } else { Vec::new() };
        let gone = gone.into_iter().chain(watched).map(Change::Delete);
        let silent = renewals.chain(restored).chain(gone).collect();

        let failing = digest.unchecked.iter().map(|failed| {
            let key = Key::of_failing(&failed.profile, failed.what);
            Change::Put(key, Record::new(Level::SEEN, now, None))
        });
        let mended = recovered.iter().map(|(profile, part)| Change::Delete(Key::of_failing(profile, *part)));
        let named = unwatched
            .iter()
            .map(|profile| Change::Put(Key::of_unwatched(profile), Record::new(Level::SEEN, now, None)));
        let with_first = failing.chain(mended).chain(named).chain(saved.into_iter().map(Change::Delete)).collect();
        let handled = known.iter().filter(|entry| is_handled(entry)).count();
        let digest = Digest {
            entries: new,
            unchecked_is_news,
            recovered,
            unwatched,
            resolved,
            announced_before: known.len() - handled,
            handled,
            ..digest
        };
        Self { digest, with_first, silent }
    }

    /// The changes to make once the channel has confirmed the message with these entries of the digest.
    pub fn changes(&self, entries: Range<usize>, is_first: bool) -> impl Iterator<Item = Change> {
        let with_first = if is_first { self.with_first.as_slice() } else { &[] };
        let put = |entry: &Entry| Change::Put(key(entry), record(entry, self.digest.now));
        with_first.iter().cloned().chain(self.digest.entries[entries].iter().map(put))
    }
}

/// What each channel has been told about the files of a survey.
#[derive(Clone, Debug)]
pub struct Announced {
    /// What each channel has confirmed.
    pub channels: BTreeMap<String, Memory>,
    /// The thresholds of the run, for their names.
    pub thresholds: Thresholds,
}

impl Announced {
    /// What each channel has been told about a file: the shortest threshold as the configuration writes it, `expired` or
    /// `undated`.
    #[must_use]
    pub fn of(&self, item: &Item) -> BTreeMap<&str, String> {
        let key = Key::of_item(&item.profile, &item.media);
        let told =
            self.channels.iter().filter_map(|(channel, memory)| Some((channel.as_str(), memory.get(&key)?.level)));
        told.map(|(channel, level)| (channel, self.label(level))).collect()
    }

    /// The channels for which a file is marked as handled.
    #[must_use]
    pub fn handled(&self, item: &Item) -> Vec<&str> {
        let marked = self.channels.iter().filter(|(_, memory)| memory.is_handled(item));
        marked.map(|(channel, _)| channel.as_str()).collect()
    }

    fn label(&self, level: Level) -> String {
        match level {
            Level::OVER => "expired".to_owned(),
            Level::SEEN => "undated".to_owned(),
            _ => {
                let threshold = self.thresholds.iter().find(|threshold| Level::of(threshold) == level);
                threshold.map_or_else(|| format!("{}s", level.seconds()), |threshold| threshold.label().to_owned())
            }
        }
    }
}

/// The records of posts that were announced with a file that is already gone, by profile and identity.
type LostPosts = HashMap<(ProfileName, String), Vec<Key>>;

/// What identifies a post in [`LostPosts`].
fn identity(post: &PostAtRisk) -> (ProfileName, String) {
    (stored_profile(&post.profile), post.identity())
}

/// The keys of the records by which an entry is known: of a post that was announced as lost, those with any expiry.
fn known_by(entry: &Entry, lost: &LostPosts) -> impl Iterator<Item = Key> {
    let lost = match &entry.subject {
        Subject::Post(post) if entry.level == Level::OVER => lost.get(&identity(post)),
        Subject::Post(_) | Subject::File(_) => None,
    };
    let own = lost.is_none().then(|| key(entry));
    own.into_iter().chain(lost.into_iter().flatten().cloned())
}

fn lost_posts(memory: &Memory) -> LostPosts {
    let mut lost = LostPosts::new();
    for (key, _) in memory.others().filter(|(_, record)| record.level == Level::OVER) {
        if let Key::Post { profile, id, .. } = key {
            lost.entry((profile.clone(), id.clone())).or_default().push(key.clone());
        }
    }
    lost
}

/// Returns the changes for a post whose missing file is available again, although another file still expires too early. The
/// record must not keep the lowest level, or the next thresholds would not be announced. The thresholds that the expiry in
/// its key has entered by now count as announced, because the loss was.
fn restored_post(entry: &Entry, survey: &Survey, memory: &Memory, lost: &LostPosts) -> Vec<Change> {
    let Subject::Post(post) = &entry.subject else { return Vec::new() };
    let identity = post.identity();
    // A file about which nothing is known may still be gone.
    if survey.seen_posts.state(&post.profile, &identity) != PostState::Known {
        return Vec::new();
    }
    let records = lost.get(&(stored_profile(&post.profile), identity));
    let change = |key: &Key| {
        let level = key.expiry_of_post().map_or(Level::SEEN, |expiry| Level::until(expiry, survey.now));
        Some(Change::Put(key.clone(), Record { level, ..memory.get(key)? }))
    };
    records.into_iter().flatten().filter_map(change).collect()
}

fn is_unwatched_due(profile: &AyrshareProfile, memory: &Memory, now: Timestamp) -> bool {
    let record = memory.get(&Key::of_unwatched(profile));
    record.is_none_or(|record| UNWATCHED_AGAIN <= now.duration_since(record.announced_at))
}

/// The records of profiles that were unwatched and are now configured, ignored or deleted. Nothing is announced about them.
fn no_longer_unwatched(digest: &Digest, memory: &Memory) -> Vec<Key> {
    let unwatched: BTreeSet<_> = digest.unwatched.iter().map(Key::of_unwatched).collect();
    let records = memory.others().map(|(key, _)| key).filter(|key| matches!(key, Key::Unwatched { .. }));
    records.filter(|key| !unwatched.contains(key)).cloned().collect()
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
        Subject::Post(post) => {
            Record { label: Some(digest::post_label(post)), ..Record::new(entry.level, now, post.scheduled_at) }
        }
    }
}

/// The parts of profiles that were announced as failing and were checked in this run.
fn recovered(digest: &Digest, survey: &Survey, memory: &Memory) -> Vec<(ProfileName, Part)> {
    let unchecked: HashSet<_> = digest.unchecked.iter().map(|failed| (&failed.profile, failed.what)).collect();
    // Failures of the list of profiles belong to no profile.
    let of_list = memory.others().filter_map(|(key, _)| match key {
        Key::Failing { profile, part: Part::Profiles } => Some(profile),
        _ => None,
    });
    let of_list = of_list
        .filter(|profile| !unchecked.contains(&(*profile, Part::Profiles)) && survey.listing.has_recovered(profile))
        .map(|profile| (profile.clone(), Part::Profiles));
    let parts = [Part::Media, Part::Dates, Part::Posts];
    survey
        .profiles
        .iter()
        .flat_map(|profile| parts.map(|part| (profile, part)))
        .filter(|(profile, part)| {
            profile.has_seen(*part)
                && !unchecked.contains(&(&profile.name, *part))
                && memory.contains(&Key::of_failing(&profile.name, *part))
        })
        .map(|(profile, part)| (profile.name.clone(), part))
        .chain(of_list)
        .collect()
}

/// The posts that were announced and are no longer at risk, with the records to delete.
#[derive(Default)]
struct FormerPosts {
    /// Profile and label of each post that is scheduled, and safe.
    safe: Vec<(ProfileName, String)>,
    /// All records of these posts.
    saved: Vec<Key>,
    /// All records of posts that are no longer scheduled. Whether they were published is not known, so nothing is said.
    gone: Vec<Key>,
}

fn former_posts(digest: &Digest, survey: &Survey, memory: &Memory) -> FormerPosts {
    let of_digest: HashSet<_> = digest.profiles.iter().collect();
    let read: HashMap<_, _> = survey
        .profiles
        .iter()
        .filter(|profile| profile.has_seen(Part::Posts) && of_digest.contains(&profile.name))
        .map(|profile| (stored_profile(&profile.name), &profile.name))
        .collect();
    let at_risk: HashSet<_> = survey.posts_at_risk.iter().map(|post| (&post.profile, post.identity())).collect();
    let mut former = FormerPosts::default();
    let mut said = BTreeSet::new();
    for (key, record) in memory.others() {
        let Key::Post { profile, id, .. } = key else { continue };
        let Some(profile) = read.get(profile).copied() else { continue };
        if at_risk.contains(&(profile, id.clone())) {
            continue;
        }
        match survey.seen_posts.state(profile, id) {
            // It is not at risk, so all its files will be there.
            PostState::Known => {
                former.saved.push(key.clone());
                if said.insert((profile, id)) {
                    former.safe.push((profile.clone(), record.label.clone().unwrap_or_else(|| id.clone())));
                }
            }
            PostState::Unknown => {}
            PostState::NotScheduled => former.gone.push(key.clone()),
        }
    }
    former
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::digest::Urgency;
    use crate::digest::test_surveys::{digest, failure, file, file_of, hours, now, post, survey, thresholds};
    use crate::model::{
        DiscoveryStatus, FailedProfile, Failure, FailureKind, Listing, ListingOrigin, RiskReason, Threshold,
    };
    use crate::scan::seen_posts::SeenPosts;

    /// Shows what a channel with this memory is told about a survey, and every change that follows.
    fn announce(memory: &[(Key, Record)], survey: &Survey) -> String {
        shown(memory, survey, Repeat::OncePerThreshold)
    }

    fn shown(memory: &[(Key, Record)], survey: &Survey, repeat: Repeat) -> String {
        let announcement = Announcement::new(digest(survey), survey, &memory.iter().cloned().collect(), repeat);
        let digest = &announcement.digest;
        let mut lines: Vec<_> = digest
            .entries
            .iter()
            .map(|entry| match (&entry.subject, &entry.urgency) {
                (Subject::Post(_), _) => format!("tell: post, {}", name(entry.level)),
                (Subject::File(item), Urgency::Within(threshold)) => {
                    format!("tell: {} within {threshold}", item.label())
                }
                (Subject::File(item), urgency) => format!("tell: {} {urgency:?}", item.label()),
            })
            .collect();
        if digest.unchecked_is_news {
            lines.extend(digest.unchecked.iter().map(|failed| format!("tell: {:?} is failing", failed.what)));
        }
        lines.extend(digest.unwatched.iter().map(|profile| format!("tell: nobody watches {}", profile.label())));
        lines.extend(digest.recovered.iter().map(|(_, part)| format!("tell: {part:?} has recovered")));
        lines.extend(digest.resolved.iter().map(|(_, label)| format!("tell: {label} is safe")));
        if 0 < digest.announced_before {
            lines.push(format!("announced before: {}", digest.announced_before));
        }
        if 0 < digest.handled {
            lines.push(format!("handled: {}", digest.handled));
        }
        lines.extend(announcement.changes(0..digest.entries.len(), true).map(|change| said("confirmed", &change)));
        lines.extend(announcement.silent.iter().map(|change| said("silent", change)));
        lines.join("\n")
    }

    fn said(when: &str, change: &Change) -> String {
        match change {
            Change::Put(key, record) => {
                let keep = record.keep_until.duration_since(now()).as_hours() / 24;
                format!("{when}: put {key} {}, keep {keep} days", name(record.level))
            }
            Change::Delete(key) => format!("{when}: delete {key}"),
        }
    }

    fn name(level: Level) -> String {
        match level {
            Level::OVER => "over".to_owned(),
            Level::SEEN => "seen".to_owned(),
            _ if level.seconds().is_multiple_of(86_400) => format!("{}d", level.seconds() / 86_400),
            _ => format!("{}s", level.seconds()),
        }
    }

    fn within(threshold: &str) -> Level {
        Level::of(&Threshold::parse(threshold).expect("a threshold"))
    }

    fn of_file(item: &Item, level: Level) -> (Key, Record) {
        (Key::of_item(&item.profile, &item.media), Record::new(level, hours(-24), item.media.expires_at))
    }

    fn marked(item: &Item) -> (Key, Record) {
        (Key::of_handled(&item.profile, &item.media), Record::handled(hours(-24), item.media.expires_at))
    }

    fn of_post(post: &PostAtRisk, level: Level) -> (Key, Record) {
        let entry = Entry { urgency: Urgency::PostAtRisk, level, subject: Subject::Post(Arc::new(post.clone())) };
        (key(&entry), record(&entry, hours(-24)))
    }

    fn of_failing(hours_ago: i64) -> (Key, Record) {
        let key = Key::of_failing(&ProfileName::new("Acme"), Part::Media);
        (key, Record::new(Level::SEEN, hours(-hours_ago), None))
    }

    /// A survey for which an entry of `[profiles_from]` cannot be used, and the digest of it.
    fn listing(origin: ListingOrigin, names: &[&str]) -> (Survey, Digest) {
        let failed = |name: &&str| FailedProfile {
            profile: ProfileName::new(name),
            what: Part::Profiles,
            failure: Failure { kind: FailureKind::InvalidEntry, ..failure() },
        };
        let listing = Listing { origin, profiles: 1, failed: names.iter().map(failed).collect() };
        let found = Survey { listing: listing.clone(), ..survey(Vec::new(), Vec::new()) };
        let digest = digest(&Survey { listing: Listing::default(), ..found.clone() }).with_listing(&listing);
        (found, digest)
    }

    #[test]
    fn what_is_wrong_in_the_list_of_profiles_is_announced_daily_and_when_it_is_over() {
        let record = |hours_ago: i64| {
            let key = Key::of_failing(&ProfileName::new("Birch"), Part::Profiles);
            (key, Record::new(Level::SEEN, hours(-hours_ago), None))
        };
        let check = |(found, digest): (Survey, Digest), hours_ago: Option<i64>, is_news: bool, recovered: usize| {
            let memory: Memory = hours_ago.map(record).into_iter().collect();
            let told = Announcement::new(digest, &found, &memory, Repeat::OncePerThreshold);
            assert_eq!((!told.digest.is_empty(), told.digest.recovered.len()), (is_news, recovered), "{hours_ago:?}");
            let changes: Vec<_> = told.changes(0..0, true).map(|change| said("confirmed", &change)).collect();
            assert_eq!(
                changes.iter().filter(|change| change.contains("failing#Birch#profiles")).count(),
                1,
                "{changes:?}"
            );
        };
        check(listing(ListingOrigin::Read, &["Birch"]), None, true, 0);
        check(listing(ListingOrigin::Read, &["Birch"]), Some(5), false, 0);
        check(listing(ListingOrigin::Read, &["Birch"]), Some(24), true, 0);
        check(listing(ListingOrigin::Read, &[]), Some(5), true, 1);

        // A list that was not read, or a run about some profiles only, tells nothing about an entry.
        for origin in [ListingOrigin::None, ListingOrigin::Copy, ListingOrigin::Missing] {
            let (found, digest) = listing(origin, &[]);
            let memory: Memory = [record(5)].into_iter().collect();
            let told = Announcement::new(digest, &found, &memory, Repeat::OncePerThreshold);
            assert!(told.digest.recovered.is_empty(), "{origin:?}");
        }
    }

    #[test]
    fn posts_that_a_run_does_not_check_have_not_recovered() {
        let mut found = survey(Vec::new(), Vec::new());
        found.profiles[0].posts = None;
        let key = Key::of_failing(&ProfileName::new("Acme"), Part::Posts);
        assert_snapshot!(announce(&[(key, Record::new(Level::SEEN, hours(-5), None))], &found), @"");
    }

    fn failing() -> Survey {
        let mut survey = survey(Vec::new(), Vec::new());
        survey.profiles[0].failed = Some(failure());
        survey
    }

    #[test]
    fn a_file_is_announced_once_per_threshold() {
        let found = survey(vec![file("a.png", Some(50))], Vec::new());
        assert_snapshot!(announce(&[], &found), @"
        tell: a.png within 3d
        confirmed: put item#Acme#a.png#1795593600000 3d, keep 92 days
        ");
        assert_snapshot!(announce(&[of_file(&found.items[0], within("7d"))], &found), @"
        tell: a.png within 3d
        confirmed: put item#Acme#a.png#1795593600000 3d, keep 92 days
        ");
        assert_snapshot!(announce(&[of_file(&found.items[0], within("3d"))], &found), @"announced before: 1");
        assert_snapshot!(announce(&[of_file(&found.items[0], within("1d"))], &found), @"announced before: 1");
    }

    #[test]
    fn a_handled_file_is_not_announced_at_further_thresholds_but_counted() {
        let found = survey(vec![file("a.png", Some(50)), file("b.png", Some(60)), file("c.png", None)], Vec::new());
        let [a, b, c] = [0, 1, 2].map(|index| Arc::clone(&found.items[index]));
        assert_snapshot!(announce(&[marked(&a), of_file(&a, within("7d")), marked(&b), marked(&c)], &found), @"handled: 3");
        // Without the mark it is announced as if there had been none.
        assert_snapshot!(announce(&[of_file(&a, within("7d")), marked(&b), marked(&c)], &found), @"
        tell: a.png within 3d
        handled: 2
        confirmed: put item#Acme#a.png#1795593600000 3d, keep 92 days
        ");
        assert_snapshot!(announce(&[marked(&a), of_file(&b, within("3d")), marked(&c)], &found), @"
        announced before: 1
        handled: 2
        ");
        assert_snapshot!(shown(&[marked(&a), marked(&b), marked(&c)], &found, Repeat::EveryRun), @"handled: 3");
    }

    #[test]
    fn a_handled_file_is_announced_when_it_has_expired() {
        let found = survey(vec![file("a.png", Some(-1))], Vec::new());
        let item = &found.items[0];
        assert_snapshot!(announce(&[marked(item), of_file(item, within("1d"))], &found), @"
        tell: a.png Expired
        confirmed: put item#Acme#a.png#1795410000000 over, keep 90 days
        ");
        assert_snapshot!(announce(&[marked(item), of_file(item, Level::OVER)], &found), @"handled: 1");
    }

    #[test]
    fn a_handled_file_is_announced_when_its_expiry_changes() {
        let found = survey(vec![file("a.png", Some(50))], Vec::new());
        for before in [Some(51), Some(49), None] {
            assert!(
                announce(&[marked(&file("a.png", before))], &found).starts_with("tell: a.png within 3d"),
                "{before:?}"
            );
        }
        // The mark belongs to one file of one profile.
        let others = [marked(&file_of("Birch", "a.png", Some(50))), marked(&file("b.png", Some(50)))];
        assert!(announce(&others, &found).starts_with("tell: a.png within 3d"));
    }

    #[test]
    fn a_handled_file_never_hides_a_post_at_risk() {
        let found = survey(vec![file("a.png", Some(50))], vec![post(60, Some(50))]);
        let item = &found.items[0];
        assert_snapshot!(announce(&[marked(item), of_post(&found.posts_at_risk[0], within("7d"))], &found), @"
        tell: post, 3d
        handled: 1
        confirmed: put post#Acme#post-1#1795593600000 3d, keep 92 days
        ");
    }

    #[test]
    fn several_thresholds_crossed_at_once_are_one_announcement() {
        let found = survey(vec![file("a.png", Some(5))], Vec::new());
        assert_snapshot!(announce(&[of_file(&found.items[0], within("7d"))], &found), @"
        tell: a.png within 1d
        confirmed: put item#Acme#a.png#1795431600000 1d, keep 90 days
        ");
    }

    #[test]
    fn a_file_with_another_expiry_is_new() {
        let found = survey(vec![file("a.png", Some(50))], Vec::new());
        assert_snapshot!(announce(&[of_file(&file("a.png", Some(20)), within("1d"))], &found), @"
        tell: a.png within 3d
        confirmed: put item#Acme#a.png#1795593600000 3d, keep 92 days
        ");
    }

    #[test]
    fn expired_and_undated_files_are_announced_once() {
        let found = survey(vec![file("old.png", Some(0)), file("no date.png", None)], Vec::new());
        let memory = [of_file(&found.items[0], within("1d"))];
        assert_snapshot!(announce(&memory, &found), @"
        tell: old.png Expired
        tell: no date.png Undated
        confirmed: put item#Acme#old.png#1795413600000 over, keep 90 days
        confirmed: put item#Acme#no date.png#- seen, keep 90 days
        ");
        let memory = [of_file(&found.items[0], Level::OVER), of_file(&found.items[1], Level::SEEN)];
        assert_snapshot!(announce(&memory, &found), @"announced before: 2");
    }

    #[test]
    fn every_run_repeats_everything_that_is_open() {
        let found = survey(vec![file("a.png", Some(50))], Vec::new());
        assert_snapshot!(shown(&[of_file(&found.items[0], within("3d"))], &found, Repeat::EveryRun), @"
        tell: a.png within 3d
        confirmed: put item#Acme#a.png#1795593600000 3d, keep 92 days
        ");
        assert_snapshot!(shown(&[of_failing(1)], &failing(), Repeat::EveryRun), @"
        tell: Media is failing
        confirmed: put failing#Acme#media seen, keep 90 days
        ");
    }

    #[test]
    fn a_record_is_renewed_while_its_file_is_listed() {
        let found = survey(vec![file("old.png", Some(-60 * 24))], Vec::new());
        let key = Key::of_item(&found.items[0].profile, &found.items[0].media);
        let record = Record::new(Level::OVER, hours(-50 * 24), None);
        assert_snapshot!(announce(&[(key, record)], &found), @"
        announced before: 1
        silent: put item#Acme#old.png#1790229600000 over, keep 90 days
        ");
    }

    #[test]
    fn a_post_is_announced_when_first_seen_and_once_per_threshold() {
        let found = survey(Vec::new(), vec![post(60, Some(50))]);
        assert_snapshot!(announce(&[], &found), @"
        tell: post, 3d
        confirmed: put post#Acme#post-1#1795593600000 3d, keep 92 days
        ");
        assert_snapshot!(announce(&[of_post(&found.posts_at_risk[0], Level::SEEN)], &found), @"
        tell: post, 3d
        confirmed: put post#Acme#post-1#1795593600000 3d, keep 92 days
        ");
        assert_snapshot!(announce(&[of_post(&found.posts_at_risk[0], within("3d"))], &found), @"announced before: 1");
    }

    #[test]
    fn a_post_whose_file_is_gone_is_announced_once_more_whatever_its_expiry_was() {
        let lost = survey(Vec::new(), vec![post(60, None)]);
        assert_snapshot!(announce(&[of_post(&post(60, Some(50)), within("3d"))], &lost), @"
        tell: post, over
        confirmed: put post#Acme#post-1#- over, keep 92 days
        ");
        assert_snapshot!(announce(&[of_post(&post(60, Some(-1)), Level::OVER)], &lost), @"announced before: 1");
    }

    #[test]
    fn the_record_of_a_threshold_is_renewed_whatever_was_lost_before() {
        let found = survey(Vec::new(), vec![post(60, Some(50))]);
        let threshold = Record::new(within("3d"), hours(-50 * 24), None);
        let memory = [(Key::of_post(&found.posts_at_risk[0]), threshold), of_post(&post(60, None), Level::OVER)];
        assert_snapshot!(announce(&memory, &found), @"
        announced before: 1
        silent: put post#Acme#post-1#1795593600000 3d, keep 90 days
        ");
    }

    #[test]
    fn the_record_of_a_lost_post_is_renewed_whatever_its_expiry_was() {
        // The gallery no longer lists the file, so its expiry is not known any more.
        let lost = survey(Vec::new(), vec![post(60, None)]);
        let key = Key::of_post(&post(60, Some(-50 * 24)));
        let record = Record::new(Level::OVER, hours(-50 * 24), None);
        assert_snapshot!(announce(&[(key, record)], &lost), @"
        announced before: 1
        silent: put post#Acme#post-1#1791093600000 over, keep 90 days
        ");
    }

    /// A survey without a risk, in which the post is scheduled and may be safe.
    fn no_longer_at_risk(is_safe: Option<bool>) -> Survey {
        let mut survey = survey(Vec::new(), Vec::new());
        let mut seen = SeenPosts::default();
        if let Some(is_safe) = is_safe {
            let post = post(60, Some(50));
            seen.add(&post.profile, &post.identity(), is_safe);
        }
        survey.seen_posts = Arc::new(seen);
        survey
    }

    #[test]
    fn a_post_is_safe_only_when_it_was_seen_to_be_safe() {
        let announced = [of_post(&post(60, Some(50)), within("3d"))];
        assert_snapshot!(announce(&announced, &no_longer_at_risk(Some(true))), @"
        tell: “Our launch is near” is safe
        confirmed: delete post#Acme#post-1#1795593600000
        ");
        assert_snapshot!(announce(&announced, &no_longer_at_risk(Some(false))), @"");
        assert_snapshot!(announce(&announced, &no_longer_at_risk(None)), @"silent: delete post#Acme#post-1#1795593600000");
        // Without its posts, nothing is known about it.
        let mut unread = no_longer_at_risk(None);
        unread.profiles[0].posts = Some(Err(failure()));
        assert_snapshot!(announce(&announced, &unread), @"
        tell: Posts is failing
        confirmed: put failing#Acme#posts seen, keep 90 days
        ");
    }

    #[test]
    fn a_post_whose_gone_file_was_replaced_is_announced_at_the_next_threshold() {
        let mut found = survey(Vec::new(), vec![post(60, Some(50))]);
        let announced = [of_post(&found.posts_at_risk[0], Level::OVER), of_post(&post(60, None), Level::OVER)];
        // Nobody knows whether the file is still gone.
        assert_snapshot!(announce(&announced, &found), @"announced before: 1");
        found.seen_posts = no_longer_at_risk(Some(true)).seen_posts;
        assert_snapshot!(announce(&announced, &found), @"
        announced before: 1
        silent: put post#Acme#post-1#- seen, keep 92 days
        silent: put post#Acme#post-1#1795593600000 180000s, keep 92 days
        ");
    }

    #[test]
    fn a_post_with_a_link_that_has_ended_is_not_announced_again_after_a_loss() {
        let mut ended = post(60, Some(-5));
        ended.media[0].reason = RiskReason::LinkExpiresBeforePost;
        // The channel was told of the link at a threshold. Then another file of the post was gone, and now it is back.
        let announced = [of_post(&ended, Level::OVER)];
        let mut found = survey(Vec::new(), vec![ended]);
        found.seen_posts = no_longer_at_risk(Some(true)).seen_posts;
        // Whatever the thresholds will be, the link has entered them all.
        assert_snapshot!(announce(&announced, &found), @"
        announced before: 1
        silent: put post#Acme#post-1#1795395600000 1s, keep 92 days
        ");
    }

    #[test]
    fn a_post_without_an_id_is_the_same_when_its_media_change() {
        let nameless = |url: &str| {
            let mut post = post(60, Some(50));
            post.id = None;
            post.media[0].url = url.to_owned();
            post
        };
        let found = survey(Vec::new(), vec![nameless("https://images.example.com/b.png")]);
        let announced = [of_post(&nameless("https://images.example.com/a.png"), within("3d"))];
        assert_snapshot!(announce(&announced, &found), @"announced before: 1");
    }

    #[test]
    fn a_failing_profile_is_announced_at_first_and_once_a_day() {
        assert_snapshot!(announce(&[], &failing()), @"
        tell: Media is failing
        confirmed: put failing#Acme#media seen, keep 90 days
        ");
        assert_snapshot!(announce(&[of_failing(23)], &failing()), @"confirmed: put failing#Acme#media seen, keep 90 days");
        assert_snapshot!(announce(&[of_failing(24)], &failing()), @"
        tell: Media is failing
        confirmed: put failing#Acme#media seen, keep 90 days
        ");
        assert_snapshot!(announce(&[of_failing(1)], &survey(Vec::new(), Vec::new())), @"
        tell: Media has recovered
        confirmed: delete failing#Acme#media
        ");
    }

    fn unwatched(profiles: &[(&str, &str)]) -> Survey {
        let mut survey = survey(Vec::new(), Vec::new());
        let profile = |(title, ref_id): &(&str, &str)| AyrshareProfile {
            title: Some((*title).to_owned()),
            ref_id: (!ref_id.is_empty()).then(|| (*ref_id).to_owned()),
        };
        survey.discovery.status = DiscoveryStatus::Ok;
        survey.discovery.unwatched = profiles.iter().map(profile).collect();
        survey
    }

    fn of_unwatched(title: &str, ref_id: &str, hours_ago: i64) -> (Key, Record) {
        let survey = unwatched(&[(title, ref_id)]);
        (Key::of_unwatched(&survey.discovery.unwatched[0]), Record::new(Level::SEEN, hours(-hours_ago), None))
    }

    #[test]
    fn an_unwatched_profile_is_announced_at_first_and_every_30_days() {
        let found = unwatched(&[("Birch & Co", "r1"), ("Cafe", "")]);
        assert_snapshot!(announce(&[], &found), @"
        tell: nobody watches Birch & Co
        tell: nobody watches Cafe
        confirmed: put unwatched#r1#ref seen, keep 90 days
        confirmed: put unwatched#Cafe#title seen, keep 90 days
        ");
        let announced = [of_unwatched("Birch & Co", "r1", 1), of_unwatched("Cafe", "", 29 * 24)];
        assert_snapshot!(announce(&announced, &found), @"");
        // A profile that was renamed is the same.
        let announced = [of_unwatched("Birch", "r1", 30 * 24), of_unwatched("Cafe", "", 30 * 24 - 1)];
        assert_snapshot!(announce(&announced, &found), @"
        tell: nobody watches Birch & Co
        confirmed: put unwatched#r1#ref seen, keep 90 days
        ");
        assert_snapshot!(shown(&[of_unwatched("Birch & Co", "r1", 1)], &unwatched(&[("Birch & Co", "r1")]), Repeat::EveryRun), @"
        tell: nobody watches Birch & Co
        confirmed: put unwatched#r1#ref seen, keep 90 days
        ");
    }

    #[test]
    fn a_profile_that_is_no_longer_unwatched_is_forgotten_without_a_word() {
        let announced = [of_unwatched("Birch & Co", "r1", 1), of_unwatched("Cafe", "", 1)];
        assert_snapshot!(announce(&announced, &unwatched(&[("Cafe", "")])), @"silent: delete unwatched#r1#ref");
        assert_snapshot!(announce(&announced, &unwatched(&[])), @"
        silent: delete unwatched#r1#ref
        silent: delete unwatched#Cafe#title
        ");
        // While nobody can tell, nothing is forgotten.
        let mut unavailable = unwatched(&[]);
        unavailable.discovery.status = DiscoveryStatus::Unavailable;
        assert_snapshot!(announce(&announced, &unavailable), @"");
    }

    #[test]
    fn only_the_first_message_brings_what_is_no_entry() {
        let mut found = failing();
        found.items = vec![Arc::new(file("a.png", Some(50))), Arc::new(file("b.png", Some(60)))];
        let announcement = Announcement::new(digest(&found), &found, &Memory::default(), Repeat::OncePerThreshold);
        let keys = |entries: Range<usize>, is_first: bool| {
            let changes = announcement.changes(entries, is_first);
            changes.map(|change| said("confirmed", &change)).collect::<Vec<_>>().join("\n")
        };
        assert_snapshot!(keys(0..1, true), @"
        confirmed: put failing#Acme#media seen, keep 90 days
        confirmed: put item#Acme#a.png#1795593600000 3d, keep 92 days
        ");
        assert_snapshot!(keys(1..2, false), @"confirmed: put item#Acme#b.png#1795629600000 3d, keep 92 days");
        assert_snapshot!(keys(0..0, true), @"confirmed: put failing#Acme#media seen, keep 90 days");
    }

    #[test]
    fn a_file_says_what_each_channel_was_told() {
        let item = file("a.png", Some(50));
        let memory = |level: Level| Memory::from_iter([of_file(&item, level)]);
        let channels = BTreeMap::from([
            ("mail".to_owned(), memory(within("3d"))),
            ("none".to_owned(), Memory::default()),
            ("over".to_owned(), memory(Level::OVER)),
            ("seen".to_owned(), memory(Level::SEEN)),
            ("was 2d".to_owned(), memory(within("2d"))),
        ]);
        let announced = Announced { channels, thresholds: thresholds() };
        assert_snapshot!(format!("{:?}", announced.of(&item)), @r#"{"mail": "3d", "over": "expired", "seen": "undated", "was 2d": "172800s"}"#);
    }
}
