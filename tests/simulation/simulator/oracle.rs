//! The oracle: compares what the channels were told, and what the ledger holds, with what must be.

use std::collections::BTreeMap;

use media_expiry_alerts::ledger::{Key, Memory};
use media_expiry_alerts::model::ProfileName;
use media_expiry_alerts::run::result::{Outcome, RunResult};

use super::expected::{expected_all_clear, expected_level, possible_warnings};
use super::news::{Deliveries, Delivery, News};
use super::world::{DAY_MS, HOUR_MS, Receiver, World, profile_name};

/// How long a record may outlive its subject. The ledger keeps it for 90 days; the rest is a margin.
const MAX_RECORD_LIFE_MS: i64 = 140 * DAY_MS;
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
        let is_repeated = is_ledger_sound && is_repeated(delivery, earlier, self.deliveries);
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
            let Some(all_clear) = expected_all_clear(self.world, &deliveries[index]) else { continue };
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
fn is_repeated(delivery: &Delivery, earlier: &[Delivery], deliveries: &Deliveries) -> bool {
    match &delivery.news {
        // A profile that still fails is mentioned in every message: see `check_message_about_failures`.
        News::Failing { .. } => false,
        News::File { .. } => is_recorded(delivery, earlier),
        News::Post { profile, id, .. } => {
            // After an all-clear, the same risk is new again.
            let resolved = News::Resolved { profile: profile.clone(), id: id.clone() };
            let since = after_last(earlier, |news| *news == resolved);
            if delivery.level == 0 {
                let not_lost = deliveries.last_run_without_loss(profile, id);
                since.iter().any(|other| is_known_loss(other, profile, id) && not_lost <= other.run)
            } else {
                // A loss that is over says nothing about the thresholds of the other files.
                since.iter().any(|other| other.level != 0 && has_recorded(other, delivery))
            }
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
fn is_recorded(delivery: &Delivery, earlier: &[Delivery]) -> bool {
    earlier.iter().any(|other| has_recorded(other, delivery))
}

fn has_recorded(other: &Delivery, delivery: &Delivery) -> bool {
    other.news == delivery.news && other.is_recorded && other.level <= delivery.level
}

/// Whether this says that a post has lost a file, and the ledger must hold that.
fn is_known_loss(delivery: &Delivery, profile: &str, id: &str) -> bool {
    delivery.news.is_about_post(profile, id) && delivery.level == 0 && delivery.is_recorded
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
                let expiries = post.files.iter().filter_map(|used| world.file(used)?.expires_ms).map(Some);
                for expires_ms in expiries.chain([None]) {
                    let warning = News::Post { profile: profile_name(index), id: post.id.clone(), expires_ms };
                    // Its record is kept from the day on which it is due.
                    self.0.insert(warning, world.now_ms + MAX_POST_AHEAD_MS + MAX_RECORD_LIFE_MS);
                }
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
        News::Recovered { .. } | News::Resolved { .. } => None,
    }
}
