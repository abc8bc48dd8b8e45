//! Simulates months of runs in a random world, and checks each one against an oracle.
//!
//! Everything between the services and the ledger is the code of the crate: the configuration, selection, digest,
//! announcements, the run and its lease. The services are simulated ([`services`]), and so is what goes wrong: files and
//! posts change, and services fail ([`world`]); runs crash, freeze and overlap, and ledger calls fail
//! ([`steps`], [`unreliable`]), for days at times. Lambda tries again what failed. After each invocation the [`oracle`] compares what the channels were told ([`news`]) with what they
//! had to be told ([`expected`]).

mod expected;
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
use media_expiry_alerts::config::{CONFIG_VARIABLE, Config};
use media_expiry_alerts::ledger::LedgerStore;
use media_expiry_alerts::model::Status;
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;
use media_expiry_alerts::net::{self, Deadline};
use media_expiry_alerts::run::Run;
use media_expiry_alerts::run::command::Command;
use media_expiry_alerts::run::result::{Outcome, RunResult};
use media_expiry_alerts::run::roster::Roster;

use self::news::Deliveries;
use self::oracle::{Oracle, RecordLifetimes};
use self::services::Services;
use self::steps::{Faults, Steps};
use self::unreliable::UnreliableLedger;
use self::world::{DAY_MS, World};

/// A ledger for the simulation to use, which outlives its runs.
pub trait SimulatedLedger {
    /// How many changes are written at once. Between two writes a run may fail or crash.
    const WRITE_BATCH: usize;

    /// The ledger itself, which never fails.
    fn store(&self) -> &impl LedgerStore;

    /// Whether no run holds the lease at `now`.
    async fn is_lease_free(&self, now: Timestamp) -> bool;
}

/// Simulates `days` days of the world of a seed.
///
/// # Panics
///
/// Panics with a reason when a run does what the oracle does not allow.
pub async fn simulate(seed: u64, days: i64, ledger: &impl SimulatedLedger) {
    let simulation = Simulation {
        ledger,
        world: Mutex::new(World::new(seed)),
        deliveries: Mutex::default(),
        runs: Mutex::new(0),
        lease_request: tokio::sync::Mutex::default(),
    };
    let end_ms = simulation.world().now_ms + days * DAY_MS;
    let mut lifetimes = RecordLifetimes::default();
    let document = simulation.world().configuration();
    let mut configuration = Configuration::read(document).await;
    while simulation.world().now_ms < end_ms {
        simulation.advance(&mut lifetimes);
        let document = simulation.world().configuration();
        if document != configuration.document {
            configuration = Configuration::read(document).await;
        }
        simulation.handle_event(&configuration.config, &lifetimes).await;
    }
    let deliveries = simulation.deliveries().count();
    assert!(10 < deliveries, "the simulation proves nothing: only {deliveries} deliveries in {days} days");
}

struct Simulation<'a, L> {
    ledger: &'a L,
    world: Mutex<World>,
    deliveries: Mutex<Deliveries>,
    runs: Mutex<u32>,
    lease_request: tokio::sync::Mutex<()>,
}

/// When Lambda tries an event again that failed: after one minute, and after two more.
const RETRIES_AFTER_MS: [i64; 2] = [60_000, 120_000];

/// How another run meets the first one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    /// There is none.
    No,
    /// The event is delivered twice, so that both run at the same time.
    AtTheSameTime,
    /// It runs while the first one is frozen, after the lease of that has ended.
    WhileFrozen,
}

/// A run that has ended or crashed.
struct EndedRun {
    number: u32,
    /// When it started.
    now_ms: i64,
    /// `None` when it crashed.
    result: Option<RunResult>,
    /// Whether every call of its ledger succeeded.
    is_ledger_sound: bool,
}

impl EndedRun {
    fn is_busy(&self) -> bool {
        self.result.as_ref().is_some_and(RunResult::is_busy)
    }

    /// Whether it came to its end, and nothing was wrong with its ledger.
    fn is_clean(&self) -> bool {
        self.result.is_some() && self.is_ledger_sound && !self.is_busy()
    }

    /// Whether Lambda takes the invocation for a success.
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

    /// Invokes the function for one event, and again as Lambda does when it fails.
    async fn handle_event(&self, config: &Config, lifetimes: &RecordLifetimes) {
        for retry_after_ms in RETRIES_AFTER_MS.map(Some).into_iter().chain([None]) {
            let (faults, other) = self.next_faults();
            let ended = self.invoke(faults, other, config).await;
            self.check(&ended, lifetimes).await;
            if ended[0].is_success() {
                break;
            }
            self.world().now_ms += retry_after_ms.unwrap_or_default();
        }
    }

    /// Decides what goes wrong in an invocation.
    fn next_faults(&self) -> (Faults, Other) {
        let mut world = self.world();
        let crash_at = world.chance(15).then(|| world.rng.u32(1..40));
        let ledger_percent = match world.chance(8) {
            _ if world.is_ledger_away() => 100,
            true => 20,
            false => 0,
        };
        let other = match world.rng.u8(0..100) {
            0..15 => Other::AtTheSameTime,
            15..25 => Other::WhileFrozen,
            _ => Other::No,
        };
        let freeze_at = (other == Other::WhileFrozen).then(|| world.rng.u32(1..40));
        (Faults { crash_at, freeze_at, ledger_percent }, other)
    }

    async fn invoke(&self, faults: Faults, other: Other, config: &Config) -> Vec<EndedRun> {
        let steps = self.steps(faults);
        let first = self.run(config, &steps);
        // Of two runs only one crashes or freezes.
        let others = self.steps(Faults { ledger_percent: faults.ledger_percent, ..Faults::default() });
        match other {
            Other::No => vec![first.await],
            Other::AtTheSameTime => {
                let (first, second) = tokio::join!(first, self.run(config, &others));
                vec![first, second]
            }
            Other::WhileFrozen => {
                let mut first = pin!(first);
                tokio::select! {
                    biased;
                    ended = &mut first => return vec![ended],
                    () = steps.freeze() => {}
                }
                self.world().now_ms += RETRIES_AFTER_MS[0];
                let second = self.run(config, &others).await;
                steps.thaw();
                vec![first.await, second]
            }
        }
    }

    fn steps(&self, faults: Faults) -> Arc<Steps> {
        Arc::new(Steps::new(self.world().rng.fork(), faults))
    }

    /// Executes one run until it ends or crashes.
    async fn run(&self, config: &Config, steps: &Arc<Steps>) -> EndedRun {
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
        let roster = Roster::configured(config);
        let plan = Command::default().plan(config, &roster).expect("the default command fits every configuration");
        let deadline = Deadline::after(Duration::from_mins(5));
        let run = Run::new(format!("run-{number}"), now, plan, config, Some(&ledger), services, deadline);
        // Biased, because the random order of `select!` would make a seed impossible to replay.
        let result = tokio::select! {
            biased;
            result = steps.unless_frozen(run.execute()) => Some(result),
            () = steps.crash() => None,
        };
        EndedRun { number, now_ms: now.as_millisecond(), result, is_ledger_sound: !steps.has_ledger_failed() }
    }

    /// Checks everything that can be checked after an invocation.
    async fn check(&self, runs: &[EndedRun], lifetimes: &RecordLifetimes) {
        // The lease of an earlier run has ended, even if that run crashed. Of two overlapping runs, one gets the lease.
        assert!(!runs.iter().all(EndedRun::is_busy), "every run found another one under way");
        let now = self.world().now();
        if runs.iter().all(EndedRun::is_clean) {
            assert!(self.ledger.is_lease_free(now).await, "a run has ended without releasing its lease");
        }
        for run in runs.iter().filter(|run| run.is_clean()) {
            self.deliveries().mark_recorded(run.number);
        }
        {
            let (world, deliveries) = (self.world(), self.deliveries());
            for run in runs {
                let world = world.at(run.now_ms);
                let oracle = Oracle { world: &world, deliveries: &deliveries };
                oracle.check_messages(run.number, run.is_ledger_sound);
                if let Some(result) = run.result.as_ref().filter(|result| !result.is_busy()) {
                    oracle.check_completeness(result, run.is_ledger_sound);
                }
            }
        }
        for run in runs {
            check_status(run);
        }
        self.check_records(lifetimes, now).await;
    }

    async fn check_records(&self, lifetimes: &RecordLifetimes, now: Timestamp) {
        let channels: Vec<_> = self.world().receivers.iter().map(|receiver| receiver.name).collect();
        for channel in channels {
            let deadline = Deadline::after(Duration::from_mins(1));
            let memory = self.ledger.store().read(channel, now, deadline).await.expect("the ledger itself works");
            lifetimes.check(&self.world(), &memory);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that a run does not fail because of its ledger: Lambda would repeat it, and each repetition would send everything.
fn check_status(run: &EndedRun) {
    let Some(result) = run.result.as_ref().filter(|result| !result.is_busy()) else { return };
    let has_failed = result.channels.iter().any(|channel| channel.outcome == Outcome::Failed);
    if !has_failed && 0 < result.survey.checked() {
        assert_ne!(result.status, Status::Failed, "the run failed, although every channel was served");
        let is_sound = result.ledger_error.is_none();
        assert!(is_sound || result.status == Status::Partial, "the ledger failed, and the run does not say so");
    }
}

/// A configuration, and the document that it was read from.
struct Configuration {
    document: String,
    config: Config,
}

impl Configuration {
    async fn read(document: String) -> Self {
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary file");
        std::fs::write(file.path(), &document).expect("the document can be written");
        let path = file.path().to_str().expect("the path is Unicode");
        let environment = Environment::of([(CONFIG_VARIABLE, path)]);
        let aws = Aws::new(net::client().expect("an HTTP client"), environment.clone());
        let deadline = Deadline::after(Duration::from_mins(1));
        let config = Config::load(&environment, &aws, deadline).await.expect("the document is valid");
        Self { document, config }
    }
}
