//! Simulates months of runs in a random world, and checks each run with an oracle.
//!
//! The configuration, selection, digest, announcements, run and lease are the real code of the crate. The rest is simulated:
//!
//! - [`services`]: Ayrshare, the copies of files, and the channels.
//! - [`world`]: files and posts change, dates become unreadable, and services fail.
//! - [`links`]: posts use URLs that are hosted elsewhere. Some are presigned; of the others Ayrshare's check says something
//!   or nothing.
//! - [`listing`]: profiles come from a list, which cannot be read at times and has invalid entries.
//! - [`marks`]: people mark files as handled, and take the marks back.
//! - [`steps`] and [`unreliable`]: runs crash, freeze and overlap, and ledger calls fail, sometimes for days.
//!
//! Failed invocations are retried as in Lambda. After each invocation, the [`oracle`] compares the messages that the channels
//! received ([`news`]) with those that they should have received ([`expected`]).

mod expected;
mod links;
mod listing;
mod marks;
mod news;
mod oracle;
mod services;
mod steps;
mod unreliable;
mod world;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use media_expiry_alerts::config::CONFIG_VARIABLE;
use media_expiry_alerts::ledger::LedgerStore;
use media_expiry_alerts::model::Status;
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;
use media_expiry_alerts::net::{self, Deadline};
use media_expiry_alerts::run::Run;
use media_expiry_alerts::run::command::Command;
use media_expiry_alerts::run::loaded_config::{ConfigSource, LoadedConfig};
use media_expiry_alerts::run::result::RunResult;
use media_expiry_alerts::run::roster::Roster;
use tempfile::NamedTempFile;

use self::news::Deliveries;
use self::oracle::{Oracle, RecordLifetimes};
use self::services::Services;
use self::steps::{Faults, Steps};
use self::unreliable::UnreliableLedger;
use self::world::{DAY_MS, World, profile_name};

/// The ledger that all runs of a simulation use.
pub trait SimulatedLedger {
    /// How many changes are written together. A run may fail or crash between two writes.
    const WRITE_BATCH: usize;

    /// Returns the ledger itself, which never fails.
    fn store(&self) -> &impl LedgerStore;

    /// Returns whether no run holds the lease at `now`.
    async fn is_lease_free(&self, now: Timestamp) -> bool;
}

/// Simulates this many days of the world of a seed.
///
/// # Panics
///
/// Panics if the oracle finds an error. The message gives the reason.
pub async fn simulate(seed: u64, days: i64, ledger: &impl SimulatedLedger) {
    let documents = Documents::new();
    let environment = Environment::of([(CONFIG_VARIABLE, path(&documents.configuration))]);
    let simulation = Simulation {
        ledger,
        aws: Aws::new(net::client().expect("an HTTP client"), environment.clone()),
        world: Mutex::new(World::new(seed)),
        deliveries: Mutex::default(),
        runs: Mutex::new(0),
        lease_request: tokio::sync::Mutex::default(),
    };
    let end_ms = simulation.world().now_ms + days * DAY_MS;
    let mut lifetimes = RecordLifetimes::default();
    let mut process = None;
    while simulation.world().now_ms < end_ms {
        simulation.advance(&mut lifetimes);
        let has_changed = documents.write(&simulation.world());
        let source = ConfigSource { environment: &environment, aws: &simulation.aws, now: simulation.world().now() };
        let before = process.take().filter(|_| !simulation.world().is_new_process);
        let loaded = process.insert(load(before, has_changed, &source).await);
        simulation.mark_between_runs().await;
        simulation.handle_event(loaded, &lifetimes).await;
    }
    let deliveries = simulation.deliveries().count();
    assert!(10 < deliveries, "too few deliveries for a meaningful simulation: {deliveries} in {days} days");
}

struct Simulation<'a, L> {
    ledger: &'a L,
    aws: Aws,
    world: Mutex<World>,
    deliveries: Mutex<Deliveries>,
    runs: Mutex<u32>,
    lease_request: tokio::sync::Mutex<()>,
}

/// How long Lambda waits before it retries a failed event.
const RETRIES_AFTER_MS: [i64; 2] = [60_000, 120_000];

/// Whether a second run overlaps with the first one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overlap {
    /// There is no second run.
    None,
    /// The event is delivered twice, so both runs start at the same time.
    Concurrent,
    /// The second run starts while the first one is frozen and its lease has ended.
    WhileFrozen,
}

/// A run that has completed or crashed.
struct EndedRun {
    number: u32,
    /// When it started.
    now_ms: i64,
    /// `None` if it crashed.
    result: Option<RunResult>,
    /// Whether all its calls of the ledger succeeded.
    is_ledger_sound: bool,
}

impl EndedRun {
    fn is_busy(&self) -> bool {
        self.result.as_ref().is_some_and(RunResult::is_busy)
    }

    /// Returns whether it completed without an error of its ledger.
    fn is_clean(&self) -> bool {
        self.result.is_some() && self.is_ledger_sound && !self.is_busy()
    }

    /// Returns whether Lambda counts the invocation as a success.
    fn is_success(&self) -> bool {
        self.result.as_ref().is_some_and(|result| !result.is_busy() && result.status != Status::Failed)
    }
}

impl<L: SimulatedLedger> Simulation<'_, L> {
    /// Lets time pass in the world.
    fn advance(&self, lifetimes: &mut RecordLifetimes) {
        let mut world = self.world();
        world.advance();
        lifetimes.extend(&world);
    }

    /// Invokes the function for one event, and retries it like Lambda if it fails.
    async fn handle_event(&self, loaded: &LoadedConfig, lifetimes: &RecordLifetimes) {
        for retry_after_ms in RETRIES_AFTER_MS.map(Some).into_iter().chain([None]) {
            let (faults, overlap) = self.next_faults();
            let (ended, ()) = tokio::join!(self.invoke(faults, overlap, loaded), self.mark_during_run());
            self.check(&ended, lifetimes).await;
            if ended[0].is_success() {
                break;
            }
            self.world().now_ms += retry_after_ms.unwrap_or_default();
        }
    }

    /// Chooses at random what goes wrong in an invocation.
    fn next_faults(&self) -> (Faults, Overlap) {
        let mut world = self.world();
        let crash_at = world.chance(15).then(|| world.rng.u32(1..40));
        let ledger_percent = match world.chance(8) {
            _ if world.is_ledger_failing() => 100,
            true => 20,
            false => 0,
        };
        let overlap = match world.rng.u8(0..100) {
            0..15 => Overlap::Concurrent,
            15..25 => Overlap::WhileFrozen,
            _ => Overlap::None,
        };
        let freeze_at = (overlap == Overlap::WhileFrozen).then(|| world.rng.u32(1..40));
        (Faults { crash_at, freeze_at, ledger_percent }, overlap)
    }

    async fn invoke(&self, faults: Faults, overlap: Overlap, loaded: &LoadedConfig) -> Vec<EndedRun> {
        let steps = self.steps(faults);
        let first = self.run(loaded, &steps);
        // Only the first run crashes or freezes.
        let others = self.steps(Faults { ledger_percent: faults.ledger_percent, ..Faults::default() });
        match overlap {
            Overlap::None => vec![first.await],
            Overlap::Concurrent => {
                let (first, second) = tokio::join!(first, self.run(loaded, &others));
                vec![first, second]
            }
            Overlap::WhileFrozen => {
                let mut first = pin!(first);
                tokio::select! {
                    biased;
                    ended = &mut first => return vec![ended],
                    () = steps.freeze() => {}
                }
                self.world().now_ms += RETRIES_AFTER_MS[0];
                let second = self.run(loaded, &others).await;
                steps.thaw();
                vec![first.await, second]
            }
        }
    }

    fn steps(&self, faults: Faults) -> Arc<Steps> {
        Arc::new(Steps::new(self.world().rng.fork(), faults))
    }

    /// Executes one run until it completes or crashes.
    async fn run(&self, loaded: &LoadedConfig, steps: &Arc<Steps>) -> EndedRun {
        let number = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            *runs += 1;
            *runs
        };
        let now = self.world().now();
        let ledger = UnreliableLedger {
            ledger: self.ledger.store(),
            steps: Arc::clone(steps),
            batch: L::WRITE_BATCH,
            lease_request: &self.lease_request,
        };
        let services =
            Services { world: &self.world, deliveries: &self.deliveries, steps: Arc::clone(steps), run: number };
        let profiles = self.world().narrowed_to.map(|account| vec![profile_name(account)]);
        let command = Command { profiles, ..Command::default() };
        let deadline = Deadline::after(Duration::from_mins(5));
        let roster = Roster::read(loaded, &self.aws, deadline).await;
        let plan = command.plan(&loaded.config, &roster).expect("the command fits every configuration");
        let run = Run::new(format!("run-{number}"), now, plan, &loaded.config, Some(&ledger), services, deadline);
        // `biased`, because `select!` otherwise polls in random order, and a seed could not be replayed.
        let result = tokio::select! {
            biased;
            result = steps.unless_frozen(run.execute()) => Some(result),
            () = steps.crash() => None,
        };
        EndedRun { number, now_ms: now.as_millisecond(), result, is_ledger_sound: !steps.has_ledger_failed() }
    }

    /// Checks everything that can be checked after an invocation.
    async fn check(&self, runs: &[EndedRun], lifetimes: &RecordLifetimes) {
        // Leases of earlier runs have ended, even if those crashed. So at least one of these runs must get the lease.
        assert!(!runs.iter().all(EndedRun::is_busy), "no run got the lease");
        let now = self.world().now();
        if runs.iter().all(EndedRun::is_clean) {
            assert!(self.ledger.is_lease_free(now).await, "a run has ended without releasing its lease");
        }
        for run in runs.iter().filter(|run| run.is_clean()) {
            self.deliveries().mark_recorded(run.number);
        }
        {
            let (world, mut deliveries) = (self.world(), self.deliveries());
            for run in runs {
                let world = world.at(run.now_ms);
                for (profile, id) in expected::posts_without_loss(&world) {
                    deliveries.mark_without_loss(profile, id, run.number);
                }
                let oracle = Oracle { world: &world, deliveries: &deliveries };
                oracle.check_messages(run.number, run.is_ledger_sound);
                if let Some(result) = run.result.as_ref().filter(|result| !result.is_busy()) {
                    oracle.check_completeness(result, run.is_ledger_sound);
                    oracle.check_result(result);
                }
            }
        }
        self.check_records(lifetimes, now).await;
    }

    async fn check_records(&self, lifetimes: &RecordLifetimes, now: Timestamp) {
        let receivers = self.world().receivers.clone();
        for receiver in receivers {
            let deadline = Deadline::after(Duration::from_mins(1));
            let memory = self.ledger.store().read(receiver.name, now, deadline).await.expect("the ledger itself works");
            let world = self.world();
            let marks = world.marks.check(&world, &receiver, &memory);
            lifetimes.check(&world, &memory, marks);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The documents that the function reads.
struct Documents {
    configuration: NamedTempFile,
    list: NamedTempFile,
}

impl Documents {
    fn new() -> Self {
        let file = || NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary file");
        Self { configuration: file(), list: file() }
    }

    /// Writes what they say in this world. Returns whether the configuration has changed.
    fn write(&self, world: &World) -> bool {
        if let Some(list) = &world.list {
            std::fs::write(self.list.path(), list.document()).expect("the list can be written");
        }
        let document = world.configuration(path(&self.list));
        let before = std::fs::read_to_string(self.configuration.path()).expect("the document can be read");
        std::fs::write(self.configuration.path(), &document).expect("the document can be written");
        document != before
    }
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("the path is Unicode")
}

/// Returns the configuration of a process. `before` is what the same process has read for the event before.
async fn load(before: Option<LoadedConfig>, has_changed: bool, source: &ConfigSource<'_>) -> LoadedConfig {
    let deadline = Deadline::after(Duration::from_mins(1));
    match before {
        // Reading it again would change nothing.
        Some(before) if !has_changed => before,
        Some(before) => source.refresh(before, deadline).await.expect("the document is valid"),
        None => source.read(deadline).await.expect("the document is valid"),
    }
}
