//! The marks of files that people have handled, at random moments between and during runs.

use std::collections::BTreeSet;
use std::time::Duration;

use media_expiry_alerts::ledger::{Change, Key, LedgerStore as _, Memory, Record};
use media_expiry_alerts::model::ProfileName;
use media_expiry_alerts::net::Deadline;

use super::news::News;
use super::world::{DAY_MS, Receiver, World, profile_name, timestamp};
use super::{SimulatedLedger, Simulation};

/// How long the mark of a file is kept after its expiry at least.
const KEPT_MS: i64 = 90 * DAY_MS;

/// What people have marked.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The name of the channel and the file of each mark.
    marked: BTreeSet<(&'static str, News)>,
    /// The marks that were changed while the last runs were in progress. Those runs may know them or not.
    unsettled: BTreeSet<(&'static str, News)>,
    /// All files that were ever marked.
    ever: BTreeSet<(&'static str, News)>,
}

impl Marks {
    /// Returns whether a channel must not be told of a file before it has expired.
    pub fn forbid(&self, receiver: &Receiver, news: &News) -> bool {
        self.has(receiver, news) && !self.unsettled.contains(&(receiver.name, news.clone()))
    }

    /// Returns whether a channel need not be told of a file before it has expired.
    pub fn excuse(&self, receiver: &Receiver, news: &News) -> bool {
        self.has(receiver, news) || self.unsettled.contains(&(receiver.name, news.clone()))
    }

    fn has(&self, receiver: &Receiver, news: &News) -> bool {
        self.marked.contains(&(receiver.name, news.clone()))
    }

    /// Checks that the ledger has exactly the marks of a channel. Returns how many it has.
    pub fn check(&self, world: &World, receiver: &Receiver, memory: &Memory) -> usize {
        let of_channel = self.ever.iter().filter(|(channel, _)| *channel == receiver.name);
        let mut held = 0;
        for (_, news) in of_channel {
            let (key, expires_ms) = key_of(news);
            let is_held = memory.contains(&key);
            held += usize::from(is_held);
            let is_kept = expires_ms.is_none_or(|expires_ms| world.now_ms < expires_ms + KEPT_MS);
            let is_marked = self.has(receiver, news);
            assert!(is_marked || !is_held, "a mark that was taken back is there again: {news:?}");
            assert!(is_held || !is_marked || !is_kept, "a mark is lost: {news:?}");
        }
        held
    }
}

impl<L: SimulatedLedger> Simulation<'_, L> {
    /// Marks a few files, and takes other marks back, while no run is in progress.
    pub(super) async fn mark_between_runs(&self) {
        self.world().marks.unsettled.clear();
        if self.world().chance(40) {
            for _ in 0..3 {
                self.change_mark().await;
            }
        }
        self.world().marks.unsettled.clear();
    }

    /// Marks a file, or takes its mark back, at some time during a run.
    pub(super) async fn mark_during_run(&self) {
        let (is_due, yields) = {
            let mut world = self.world();
            world.marks.unsettled.clear();
            (world.chance(20), world.rng.u32(0..80))
        };
        if is_due {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            self.change_mark().await;
        }
    }

    async fn change_mark(&self) {
        let (channel, change, now) = {
            let mut world = self.world();
            let receivers = world.receivers.len();
            let receiver = world.rng.usize(0..receivers);
            let (name, accounts) = (world.receivers[receiver].name, world.receivers[receiver].accounts.clone());
            let marked: Vec<_> = world.marks.marked.iter().filter(|(channel, _)| *channel == name).cloned().collect();
            let takes_back = world.chance(30) && !marked.is_empty();
            let mark = if takes_back {
                marked[world.rng.usize(0..marked.len())].clone()
            } else {
                let files = accounts.iter().flat_map(|index| {
                    let file = |file: &super::world::File| News::File {
                        profile: profile_name(*index),
                        id: file.id.clone(),
                        expires_ms: file.stated_expiry_ms(),
                    };
                    world.accounts[*index].files.iter().map(file)
                });
                let files: Vec<_> = files.collect();
                if files.is_empty() {
                    return;
                }
                (name, files[world.rng.usize(0..files.len())].clone())
            };
            let (key, expires_ms) = key_of(&mark.1);
            let change = if takes_back {
                world.marks.marked.remove(&mark);
                Change::Delete(key)
            } else {
                world.marks.marked.insert(mark.clone());
                world.marks.ever.insert(mark.clone());
                Change::Put(key, Record::handled(world.now(), expires_ms.map(timestamp)))
            };
            world.marks.unsettled.insert(mark);
            (name, change, world.now())
        };
        let deadline = Deadline::after(Duration::from_mins(1));
        let written = self.ledger.store().write(channel, std::iter::once(change), now, deadline).await;
        written.expect("the ledger itself works");
    }
}

fn key_of(news: &News) -> (Key, Option<i64>) {
    let News::File { profile, id, expires_ms } = news else { panic!("only files are marked, not {news:?}") };
    let (profile, id, expires_at_ms) = (ProfileName::new(profile), id.clone(), *expires_ms);
    (Key::Handled { profile, id, expires_at_ms }, *expires_ms)
}
