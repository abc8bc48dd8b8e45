//! Simulates months of runs, and checks that no alert is lost or repeated.
//!
//! Each seed gives a random world. Files are uploaded, extended and deleted. Posts are scheduled, moved and deleted, and some
//! use URLs of other hosts. Dates become unreadable. Profiles, their list, channels, copies and the ledger fail, and
//! thresholds change. Runs overlap, and crash at any step. After every run, an oracle that shares no code with the crate
//! checks what was sent and what was recorded.
//!
//! `SIMULATION_SEEDS=10000 cargo test --test simulation` simulates that many worlds, and `SIMULATION_FIRST_SEED=10000` begins
//! with that seed. `SIMULATION_SEED=7` simulates one world.
//! `tests/tools/ledger.rs` runs the same simulation with moto's DynamoDB.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod in_memory;
mod simulator;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use media_expiry_alerts::net::environment::Environment;

use self::in_memory::InMemoryLedger;
use self::simulator::simulate;

/// How many worlds are simulated if `SIMULATION_SEEDS` is not set.
const DEFAULT_SEEDS: u64 = 8;
/// How many days of a world are simulated.
const DAYS: i64 = 130;
/// How many days of every sixteenth world are simulated. This is long enough to detect records that are never deleted.
const MANY_DAYS: i64 = 320;
/// How many worlds are simulated at the same time.
const THREADS: usize = 2;

#[test]
fn no_alert_is_lost_or_repeated() {
    let seeds = Mutex::new(seeds());
    let next = || seeds.lock().expect("no thread panics while it takes a seed").next();
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| std::iter::from_fn(next).filter(|seed| !succeeds(*seed)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("panics are caught within the thread")).collect()
    });
    if let Some(first) = failed.first() {
        panic!("seeds that failed: {failed:?}; replay one with `SIMULATION_SEED={first} cargo test --test simulation`");
    }
}

/// Returns whether the simulation of a seed succeeds. If it fails, a panic message says why.
#[expect(
    clippy::print_stderr,
    reason = "ten thousand seeds take most of an hour, and the first failure can be replayed meanwhile"
)]
fn succeeds(seed: u64) -> bool {
    let days = if seed.is_multiple_of(16) { MANY_DAYS } else { DAYS };
    // With a paused clock, waiting takes no time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let simulated =
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(seed, days, &InMemoryLedger::default()))));
    if simulated.is_err() {
        eprintln!("seed {seed} failed");
    }
    simulated.is_ok()
}

fn seeds() -> std::ops::Range<u64> {
    let environment = Environment::process();
    let number = |name: &str| {
        let text = environment.non_blank_var(name)?;
        Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name} is not a number: {error}")))
    };
    if let Some(seed) = number("SIMULATION_SEED") {
        return seed..seed + 1;
    }
    let first = number("SIMULATION_FIRST_SEED").unwrap_or(0);
    first..first + number("SIMULATION_SEEDS").unwrap_or(DEFAULT_SEEDS)
}
