//! The oracle: checks what the channels have received and what the ledger contains.

use std::collections::{BTreeMap, BTreeSet};

use media_expiry_alerts::ledger::{Key, KnownBy, Memory};
use media_expiry_alerts::model::{ProfileName, Status};
use media_expiry_alerts::run::result::{Outcome, RunResult};

use super::expected::{expected_all_clear, expected_level, expected_status, possible_warnings, unverified_urls};
use super::links::LinkKind;
use super::news::{Deliveries, Delivery, News};
use super::world::{DAY_MS, HOUR_MS, Receiver, World, profile_name};

/// How long a record may exist after the end of its subject. The ledger keeps it for 90 days; the rest is a margin.
const MAX_RECORD_LIFE_MS: i64 = 140 * DAY_MS;
/// A profile that nobody watches is told again after 30 days, and never an hour before that.
const UNWATCHED_AGAIN_MS: i64 = 30 * DAY_MS - HOUR_MS;
/// How long a record must exist after its announcement though no run renews it.
const UNRENEWED_KEPT_MS: i64 = 85 * DAY_MS;
/// An upper bound for how far ahead a post is scheduled: at most 45 days when it is created, and slightly more when it is
/// moved.
const MAX_POST_AHEAD_MS: i64 = 60 * DAY_MS;

/// The world and everything that the channels have received, after one invocation.
pub struct Oracle<'a> {
    pub world: &'a World,
    pub deliveries: &'a Deliveries,
}

impl Oracle<'_> {
    /// Checks that a run sent only what is true and new. `is_ledger_sound` is true if no call of its ledger failed. Without
    /// a working ledger, the run is allowed to repeat alerts.
    pub fn check_messages(&self, run: u32, is_ledger_sound: bool) {
        for receiver in &self.world.receivers {
            let deliveries = self.deliveries.of(receiver.name);
            let Some(first) = deliveries.iter().position(|delivery| delivery.run == run) else { continue };
            let (earlier, later) = deliveries.split_at(first);
            let of_run: Vec<_> = later.iter().filter(|delivery| delivery.run == run).collect();
            for (index, delivery) in of_run.iter().enumerate() {
                self.check_delivery(receiver, delivery, &of_run[..index], earlier, is_ledger_sound);
            }
            if is_ledger_sound {
                check_message_about_failures(receiver, earlier, &of_run);
            }
        }
    }

    /// Checks one delivery. `before` are the earlier deliveries of the same run, and `earlier` those of earlier runs.
    fn check_delivery(
        &self,
        receiver: &Receiver,
        delivery: &Delivery,
        before: &[&Delivery],
        earlier: &[Delivery],
        is_ledger_sound: bool,
    ) {
        let name = receiver.name;
        let is_double = before.iter().any(|other| other.news == delivery.news);
        assert!(!is_double, "one run sent {name} the same news twice: {delivery:?}");
        assert_eq!(
            Some(delivery.level),
            expected_level(self.world, receiver, &delivery.news),
            "{name} received something untrue, or at the wrong level: {delivery:?}"
        );
        let is_handled = is_ledger_sound && 0 < delivery.level && self.world.marks.forbid(receiver, &delivery.news);
        assert!(!is_handled, "{name} was told of a file that is marked as handled: {delivery:?}");
        assert!(follows_a_warning(delivery, earlier), "{name} got an all-clear without a warning: {delivery:?}");
        let is_repeated = is_ledger_sound && is_repeated(self.world, delivery, earlier, self.deliveries);
        assert!(!is_repeated, "{name} was told again what the ledger must hold: {delivery:?}");
    }

    /// Checks that everything that is due was sent to each channel without an error, and that the channel confirmed it.
    pub fn check_completeness(&self, result: &RunResult, is_ledger_sound: bool) {
        for (receiver, channel) in self.world.receivers.iter().zip(&result.channels) {
            if !matches!(channel.outcome, Outcome::Delivered | Outcome::NothingDue) {
                continue;
            }
            for warning in possible_warnings(self.world, receiver) {
                let Some(level) = expected_level(self.world, receiver, &warning) else { continue };
                if 0 < level && self.world.marks.excuse(receiver, &warning) {
                    continue;
                }
                let is_confirmed = self.is_confirmed(receiver, &warning, level);
                assert!(is_confirmed, "{} has not confirmed at level {level}: {warning:?}", receiver.name);
            }
            if is_ledger_sound {
                self.check_all_clears(receiver);
            }
        }
    }

    /// Checks the status of a run, and which URLs it reports as unverified.
    ///
    /// The status is not `failed` because of the ledger. Lambda would retry the run, and every retry would send all alerts
    /// again.
    pub fn check_result(&self, result: &RunResult) {
        let has_failed = result.channels.iter().any(|channel| channel.outcome == Outcome::Failed);
        let expected = match expected_status(self.world) {
            _ if has_failed => Status::Failed,
            Status::Ok if result.ledger_error.is_some() => Status::Partial,
            status => status,
        };
        assert_eq!(result.status, expected, "the run has another status than it should");
        let unverified = &result.survey.unverified;
        let unverified: BTreeSet<_> = unverified.iter().map(|found| (found.url.clone(), found.http_status)).collect();
        assert_eq!(unverified, unverified_urls(self.world), "the run reports other URLs as unverified than it should");
    }

    /// Returns whether a channel has confirmed a warning at this level or a more urgent one.
    fn is_confirmed(&self, receiver: &Receiver, warning: &News, level: u64) -> bool {
        // The latest come first, because most questions are about them.
        let mut confirmed = self.deliveries.of(receiver.name).iter().rev().filter(|delivery| delivery.is_confirmed);
        match warning {
            News::Failing { .. } => {
                confirmed.any(|delivery| delivery.news == *warning && self.world.now_ms - delivery.at_ms < DAY_MS)
            }
            News::Unwatched { .. } => {
                confirmed.any(|told| told.news == *warning && self.world.now_ms - told.at_ms < 30 * DAY_MS)
            }
            News::Post { profile, id, .. } => {
                let resolved = News::Resolved { profile: profile.clone(), id: id.clone() };
                // After an all-clear, the same warning is news again.
                let mut since = confirmed.take_while(|delivery| !delivery.is_recorded || delivery.news != resolved);
                // Once the file of a post has expired or is gone, its former expiry no longer makes a difference.
                match level {
                    0 => since.any(|delivery| delivery.news.is_about_post(profile, id) && delivery.level == 0),
                    _ => since.any(|delivery| delivery.news == *warning && delivery.level <= level),
                }
            }
            _ => confirmed.any(|delivery| delivery.news == *warning && delivery.level <= level),
        }
    }

    /// Checks that a channel got an all-clear after each recorded warning that no longer holds.
    fn check_all_clears(&self, receiver: &Receiver) {
        let deliveries = self.deliveries.of(receiver.name);
        let mut last = BTreeMap::new();
        let mut last_recorded = BTreeMap::new();
        let is_file = |delivery: &Delivery| matches!(delivery.news, News::File { .. });
        for (index, delivery) in deliveries.iter().enumerate().filter(|(_, delivery)| !is_file(delivery)) {
            last.insert(&delivery.news, index);
            if delivery.is_recorded {
                last_recorded.insert(&delivery.news, index);
            }
        }
        for (warning, index) in last_recorded {
            let Some(all_clear) = expected_all_clear(self.world, warning) else { continue };
            let is_told = last.get(&all_clear).is_some_and(|told| index < *told);
            assert!(is_told, "{} was told {warning:?}, but not {all_clear:?} afterwards", receiver.name);
        }
    }
}

/// Whether an all-clear follows on a warning.
fn follows_a_warning(delivery: &Delivery, earlier: &[Delivery]) -> bool {
    match &delivery.news {
        News::Recovered { profile, part } => {
            let failing = News::Failing { profile: profile.clone(), part: *part };
            earlier.iter().any(|other| other.news == failing)
        }
        News::Resolved { profile, id } => earlier.iter().any(|other| other.news.is_about_post(profile, id)),
        _ => true,
    }
}

/// Whether a delivery repeats an earlier one that the ledger must hold.
fn is_repeated(world: &World, delivery: &Delivery, earlier: &[Delivery], deliveries: &Deliveries) -> bool {
    match &delivery.news {
        // Every message mentions all failing profiles; see `check_message_about_failures`.
        News::Failing { .. } => false,
        News::Unwatched { ref_id } => {
            // A profile that was watched in between is new.
            let watched_ms = world.watched_ms.get(ref_id).copied().unwrap_or_default();
            let since_ms = watched_ms.max(delivery.at_ms - UNWATCHED_AGAIN_MS);
            let is_since = |other: &Delivery| since_ms < other.at_ms && other.is_recorded;
            earlier.iter().any(|other| other.news == delivery.news && is_since(other))
        }
        News::File { profile, id, .. } => {
            let files = &world.accounts[world.account_index(profile)].files;
            let is_unreadable = files.iter().any(|file| file.id == *id && file.has_unreadable_expiry());
            // If an expiry becomes unreadable again after months, that is news again.
            let since_ms = if is_unreadable { delivery.at_ms - UNRENEWED_KEPT_MS } else { 0 };
            let first = earlier.partition_point(|other| other.at_ms < since_ms);
            is_recorded(delivery, &earlier[first..])
        }
        News::Post { profile, id, .. } => {
            // After an all-clear, the same warning is news again.
            let resolved = News::Resolved { profile: profile.clone(), id: id.clone() };
            let since = after_last(earlier, |news| *news == resolved);
            if delivery.level == 0 {
                let not_lost = deliveries.last_run_without_loss(profile, id);
                since.iter().any(|other| is_known_loss(other, profile, id) && not_lost <= other.run)
            } else {
                // A loss that is over says nothing about the thresholds of the other files.
                since_replaced(delivery, since).iter().any(|other| other.level != 0 && has_recorded(other, delivery))
            }
        }
        // After a new warning, the same all-clear is news again.
        News::Recovered { profile, part } => {
            let failing = News::Failing { profile: profile.clone(), part: *part };
            is_recorded(delivery, after_last(earlier, |news| *news == failing))
        }
        News::Resolved { profile, id } => {
            is_recorded(delivery, after_last(earlier, |news| news.is_about_post(profile, id)))
        }
    }
}

/// Returns whether the ledger must contain the same news at this level or a more urgent one.
fn is_recorded(delivery: &Delivery, earlier: &[Delivery]) -> bool {
    since_replaced(delivery, earlier).iter().any(|other| has_recorded(other, delivery))
}

/// Returns the deliveries after the last one that may have replaced a tighter level by a wider one.
///
/// A run that cannot read the ledger may still write to it, so this happens when the thresholds have changed in between.
fn since_replaced<'a>(delivery: &Delivery, earlier: &'a [Delivery]) -> &'a [Delivery] {
    let may_have_replaced = |other: &Delivery| {
        other.news == delivery.news && other.is_confirmed && !other.is_recorded && delivery.level < other.level
    };
    let start = earlier.iter().rposition(may_have_replaced).map_or(0, |index| index + 1);
    &earlier[start..]
}

fn has_recorded(other: &Delivery, delivery: &Delivery) -> bool {
    other.news == delivery.news && other.is_recorded && other.level <= delivery.level
}

/// Whether this says that a post has lost a file, and the ledger must hold that.
fn is_known_loss(delivery: &Delivery, profile: &str, id: &str) -> bool {
    delivery.news.is_about_post(profile, id) && delivery.level == 0 && delivery.is_recorded
}

/// Returns the deliveries after the last one with such news, or all of them if there is none.
fn after_last(deliveries: &[Delivery], is_such: impl Fn(&News) -> bool) -> &[Delivery] {
    let start = deliveries.iter().rposition(|delivery| is_such(&delivery.news)).map_or(0, |index| index + 1);
    &deliveries[start..]
}

/// Checks that messages about nothing but failing profiles are sent at most once a day.
fn check_message_about_failures(receiver: &Receiver, earlier: &[Delivery], of_run: &[&Delivery]) {
    if !of_run.iter().all(|delivery| matches!(delivery.news, News::Failing { .. })) {
        return;
    }
    let is_due = |delivery: &&Delivery| {
        let last = earlier.iter().rev().find(|other| other.news == delivery.news && other.is_recorded);
        last.is_none_or(|last| 23 * HOUR_MS <= delivery.at_ms - last.at_ms || has_recovered_since(last, earlier))
    };
    assert!(
        of_run.iter().any(is_due),
        "{} receives messages about failing profiles too often: {of_run:?}",
        receiver.name
    );
}

fn has_recovered_since(failing: &Delivery, deliveries: &[Delivery]) -> bool {
    let News::Failing { profile, part } = &failing.news else { return false };
    let recovered = News::Recovered { profile: profile.clone(), part: *part };
    deliveries.iter().any(|other| other.news == recovered && failing.run <= other.run)
}

/// When the ledger must have deleted the record of each subject that has ever existed.
#[derive(Debug, Default)]
pub struct RecordLifetimes(BTreeMap<News, i64>);

impl RecordLifetimes {
    /// Extends the lifetimes of the records of everything that exists now.
    pub fn extend(&mut self, world: &World) {
        for receiver in &world.receivers {
            for warning in possible_warnings(world, receiver) {
                let over_ms = match &warning {
                    News::File { expires_ms, .. } => expires_ms.unwrap_or(world.now_ms).max(world.now_ms),
                    // Added below, with every expiry that may stand in its key.
                    News::Post { .. } => continue,
                    _ => world.now_ms,
                };
                self.0.insert(warning, over_ms + MAX_RECORD_LIFE_MS);
            }
        }
        for (index, account) in world.accounts.iter().enumerate() {
            for post in &account.posts {
                // Which of the files a run knows about depends on the galleries that it reads.
                let ends = post.links.iter().filter_map(|link| match link.kind {
                    LinkKind::Presigned { ends_ms } => Some(ends_ms),
                    LinkKind::Checked { .. } => None,
                });
                let expiries = post.files.iter().filter_map(|used| world.file(used)?.expires_ms).chain(ends).map(Some);
                let warning = |expires_ms| News::Post { profile: profile_name(index), id: post.id.clone(), expires_ms };
                for expires_ms in expiries.chain([None]) {
                    self.0.insert(warning(expires_ms), world.now_ms);
                }
                // Its records are kept from the day on which it is due. While it lacks a file, this includes those with an
                // expiry that it had before.
                for (_, until_ms) in self.0.range_mut(warning(None)..=warning(Some(i64::MAX))) {
                    *until_ms = world.now_ms + MAX_POST_AHEAD_MS + MAX_RECORD_LIFE_MS;
                }
            }
        }
    }

    /// Checks that the ledger contains no records that should have been deleted, apart from its `marks` of files.
    pub fn check(&self, world: &World, memory: &Memory, marks: usize) {
        let is_alive = |until_ms: &i64| world.now_ms < *until_ms;
        let is_held = |warning: &News| key_of(warning).is_some_and(|key| memory.contains(&key));
        let held = self.0.iter().filter(|(warning, until_ms)| is_alive(until_ms) && is_held(warning)).count();
        let announced = memory.len() - marks;
        if announced != held {
            let dead = self.0.iter().filter(|(warning, until_ms)| !is_alive(until_ms) && is_held(warning));
            panic!(
                "the ledger has {} records too many; some are about {:?}",
                announced - held,
                dead.collect::<Vec<_>>()
            );
        }
    }
}

/// Returns the key of the record of a warning.
fn key_of(warning: &News) -> Option<Key> {
    let name = |profile: &String| ProfileName::new(profile);
    match warning {
        News::File { profile, id, expires_ms } => {
            Some(Key::Item { profile: name(profile), id: id.clone(), expires_at_ms: *expires_ms })
        }
        News::Post { profile, id, expires_ms } => {
            Some(Key::Post { profile: name(profile), id: id.clone(), expires_at_ms: *expires_ms })
        }
        News::Failing { profile, part } => Some(Key::Failing { profile: name(profile), part: *part }),
        News::Unwatched { ref_id } => Some(Key::Unwatched { by: KnownBy::RefId, id: ref_id.clone() }),
        News::Recovered { .. } | News::Resolved { .. } => None,
    }
}
