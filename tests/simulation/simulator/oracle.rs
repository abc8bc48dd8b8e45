//! The oracle: compares what the channels were told, and what the ledger holds, with what must be.

use std::collections::BTreeMap;

use media_expiry_alerts::ledger::{Key, KnownBy, Memory};
use media_expiry_alerts::model::ProfileName;
use media_expiry_alerts::run::result::{Outcome, RunResult};

use super::expected::{expected_all_clear, expected_level, possible_warnings};
use super::news::{Deliveries, Delivery, News};
use super::world::{DAY_MS, HOUR_MS, Receiver, World};

/// How long a record may outlive its subject. The ledger keeps it for 90 days; the rest is a margin.
const MAX_RECORD_LIFE_MS: i64 = 140 * DAY_MS;
/// A profile that nobody watches is told again after 30 days, and never an hour before that.
const UNWATCHED_AGAIN_MS: i64 = 30 * DAY_MS - HOUR_MS;
/// Longer than any simulated post is scheduled ahead: at most 45 days when it is created, and a little more when it is moved.
const MAX_POST_AHEAD_MS: i64 = 60 * DAY_MS;

/// The world and everything that was said in it, after one invocation.
pub struct Oracle<'a> {
    pub world: &'a World,
    pub deliveries: &'a Deliveries,
}

impl Oracle<'_> {
    /// Checks that a run told each channel only what is true and new. `is_ledger_sound` says that no call of its ledger
    /// failed: without the ledger, repeating is correct.
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

    /// Checks one delivery. `before` are the earlier ones of the same run, and `earlier` those of the runs before it.
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
        assert!(!is_double, "one run told {name} the same thing twice: {delivery:?}");
        assert_eq!(
            Some(delivery.level),
            expected_level(self.world, receiver, &delivery.news),
            "{name} was told something untrue, or at the wrong level: {delivery:?}"
        );
        assert!(follows_a_warning(delivery, earlier), "{name} got an all-clear without a warning: {delivery:?}");
        let is_repeated = is_ledger_sound && is_repeated(self.world, delivery, earlier);
        assert!(!is_repeated, "{name} was told again what the ledger must hold: {delivery:?}");
    }

    /// Checks that a run told each channel that it served everything that is due, and that the channel confirmed it.
    pub fn check_completeness(&self, result: &RunResult, is_ledger_sound: bool) {
        for (receiver, channel) in self.world.receivers.iter().zip(&result.channels) {
            if !matches!(channel.outcome, Outcome::Delivered | Outcome::NothingDue) {
                continue;
            }
            for warning in possible_warnings(self.world, receiver) {
                let Some(level) = expected_level(self.world, receiver, &warning) else { continue };
                let is_told = self.is_told(receiver, &warning, level);
                assert!(is_told, "{} was never told at level {level}: {warning:?}", receiver.name);
            }
            if is_ledger_sound {
                self.check_all_clears(receiver);
            }
        }
    }

    /// Whether a channel has confirmed a warning at this level or a more urgent one.
    fn is_told(&self, receiver: &Receiver, warning: &News, level: u64) -> bool {
        let mut confirmed = self.deliveries.of(receiver.name).iter().filter(|delivery| delivery.is_confirmed);
        match warning {
            News::Failing { .. } => {
                confirmed.any(|told| told.news == *warning && self.world.now_ms - told.at_ms < DAY_MS)
            }
            News::Unwatched { .. } => {
                confirmed.any(|told| told.news == *warning && self.world.now_ms - told.at_ms < 30 * DAY_MS)
            }
            // Once its file is gone or expired, a post is the same news whatever the expiry of the file was.
            News::Post { profile, id, .. } if level == 0 => {
                confirmed.any(|told| told.news.is_about_post(profile, id) && told.level == 0)
            }
            _ => confirmed.any(|told| told.news == *warning && told.level <= level),
        }
    }

    /// Checks that a channel got an all-clear after each recorded warning that does not hold any more.
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
            let Some(all_clear) = expected_all_clear(self.world, receiver, &deliveries[index]) else { continue };
            let is_told = last.get(&all_clear).is_some_and(|told| index < *told);
            assert!(is_told, "{} was told {warning:?}, but not {all_clear:?} afterwards", receiver.name);
        }
    }
}

/// Whether an all-clear follows on a warning. No all-clear is due for a post whose time had come in between: it failed, or
/// it was published.
fn follows_a_warning(delivery: &Delivery, earlier: &[Delivery]) -> bool {
    match &delivery.news {
        News::Recovered { profile, part } => {
            let failing = News::Failing { profile: profile.clone(), part: *part };
            earlier.iter().any(|other| other.news == failing)
        }
        News::Resolved { profile, id } => {
            earlier.iter().any(|other| other.news.is_about_post(profile, id) && other.is_before_due(delivery.at_ms))
        }
        _ => true,
    }
}

/// Whether a delivery repeats an earlier one that the ledger must hold.
fn is_repeated(world: &World, delivery: &Delivery, earlier: &[Delivery]) -> bool {
    match &delivery.news {
        // A profile that still fails is mentioned in every message: see `check_message_about_failures`.
        News::Failing { .. } => false,
        News::Unwatched { ref_id } => {
            // A profile that was watched in between is new.
            let watched_ms = world.watched_ms.get(ref_id).copied().unwrap_or_default();
            let since_ms = watched_ms.max(delivery.at_ms - UNWATCHED_AGAIN_MS);
            let is_since = |other: &Delivery| since_ms < other.at_ms && other.is_recorded;
            earlier.iter().any(|other| other.news == delivery.news && is_since(other))
        }
        News::File { .. } => is_recorded(delivery, earlier),
        News::Post { profile, id, .. } => {
            // After an all-clear, the same risk is new again.
            let resolved = News::Resolved { profile: profile.clone(), id: id.clone() };
            let since = after_last(earlier, |news| *news == resolved);
            is_recorded(delivery, since) || is_known_loss(delivery, profile, id, since)
        }
        // An all-clear is new again after a new warning.
        News::Recovered { profile, part } => {
            let failing = News::Failing { profile: profile.clone(), part: *part };
            is_recorded(delivery, after_last(earlier, |news| *news == failing))
        }
        News::Resolved { profile, id } => {
            is_recorded(delivery, after_last(earlier, |news| news.is_about_post(profile, id)))
        }
    }
}

/// Whether the ledger must hold the same news at this level or a more urgent one.
///
/// A run that cannot read the ledger may still write to it, and so replace a tighter level by a wider one when the thresholds
/// have changed in between.
fn is_recorded(delivery: &Delivery, earlier: &[Delivery]) -> bool {
    let is_same = |other: &Delivery| other.news == delivery.news && other.is_confirmed;
    let may_have_replaced = |other: &Delivery| is_same(other) && !other.is_recorded && delivery.level < other.level;
    let start = earlier.iter().rposition(may_have_replaced).map_or(0, |index| index + 1);
    earlier[start..].iter().any(|other| is_same(other) && other.is_recorded && other.level <= delivery.level)
}

/// Whether this says that a post has lost its file, and the ledger must hold that already, maybe with another expiry. The
/// ledger forgets a post once it is due, so one that was moved to a later time after that is new again.
fn is_known_loss(delivery: &Delivery, profile: &str, id: &str, earlier: &[Delivery]) -> bool {
    let is_loss = |other: &Delivery| other.news.is_about_post(profile, id) && other.level == 0 && other.is_recorded;
    delivery.level == 0 && earlier.iter().any(|other| is_loss(other) && other.is_before_due(delivery.at_ms))
}

/// The deliveries after the last one with such news; all of them when there is none.
fn after_last(deliveries: &[Delivery], is_such: impl Fn(&News) -> bool) -> &[Delivery] {
    let start = deliveries.iter().rposition(|delivery| is_such(&delivery.news)).map_or(0, |index| index + 1);
    &deliveries[start..]
}

/// Checks that messages that state nothing but failing profiles come at most once a day.
fn check_message_about_failures(receiver: &Receiver, earlier: &[Delivery], of_run: &[&Delivery]) {
    if !of_run.iter().all(|delivery| matches!(delivery.news, News::Failing { .. })) {
        return;
    }
    let is_due = |delivery: &&Delivery| {
        let last = earlier.iter().rev().find(|other| other.news == delivery.news && other.is_recorded);
        last.is_none_or(|last| 23 * HOUR_MS <= delivery.at_ms - last.at_ms || has_recovered_since(last, earlier))
    };
    assert!(of_run.iter().any(is_due), "{} is told of failing profiles too often: {of_run:?}", receiver.name);
}

fn has_recovered_since(failing: &Delivery, deliveries: &[Delivery]) -> bool {
    let News::Failing { profile, part } = &failing.news else { return false };
    let recovered = News::Recovered { profile: profile.clone(), part: *part };
    deliveries.iter().any(|other| other.news == recovered && failing.run <= other.run)
}

/// Until when the ledger may hold a record of each thing that has ever existed.
#[derive(Debug, Default)]
pub struct RecordLifetimes(BTreeMap<News, i64>);

impl RecordLifetimes {
    /// Extends the lifetimes of the records of everything that exists now.
    pub fn extend(&mut self, world: &World) {
        for receiver in &world.receivers {
            for warning in possible_warnings(world, receiver) {
                let over_ms = match &warning {
                    News::File { expires_ms, .. } => expires_ms.unwrap_or(world.now_ms).max(world.now_ms),
                    // Its record is kept from the day on which it is due.
                    News::Post { .. } => world.now_ms + MAX_POST_AHEAD_MS,
                    _ => world.now_ms,
                };
                self.0.insert(warning, over_ms + MAX_RECORD_LIFE_MS);
            }
        }
    }

    /// Checks that the ledger holds no record longer than that. A record whose time is over counts as deleted: DynamoDB
    /// may take days to delete it.
    pub fn check(&self, world: &World, memory: &Memory) {
        let is_alive = |until_ms: &i64| world.now_ms < *until_ms;
        let is_held = |warning: &News| key_of(warning).is_some_and(|key| memory.contains(&key));
        let held = self.0.iter().filter(|(warning, until_ms)| is_alive(until_ms) && is_held(warning)).count();
        if memory.len() != held {
            let dead = self.0.iter().filter(|(warning, until_ms)| !is_alive(until_ms) && is_held(warning));
            panic!(
                "the ledger has {} records more than it should; some are of {:?}",
                memory.len() - held,
                dead.collect::<Vec<_>>()
            );
        }
    }
}

/// The key of the record of a warning.
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
