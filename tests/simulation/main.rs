//! Simulates months of runs, and proves that no alert is lost and none is repeated.
//!
//! Each seed is a random world: files are uploaded, extended and deleted; posts are scheduled, moved and deleted; profiles,
//! channels and the ledger fail; thresholds change; runs crash at any step, and overlap. After every run an oracle, which
//! shares no code with the crate, checks what was sent and what was recorded.
//!
//! `SIMULATION_SEEDS=10000 cargo test --test simulation` simulates that many worlds, and `SIMULATION_SEED=7` one of them.
//! `tests/tools/ledger.rs` runs the same simulation on the DynamoDB of moto.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod in_memory;
mod simulator;

use std::panic::{AssertUnwindSafe, catch_unwind};

use media_expiry_alerts::net::environment::Environment;

use self::in_memory::InMemoryLedger;
use self::simulator::simulate;

/// How many worlds are simulated unless `SIMULATION_SEEDS` says otherwise.
const DEFAULT_SEEDS: u64 = 8;
/// How long a world is simulated.
const DAYS: i64 = 130;
/// How long each sixteenth world is simulated: long enough to see a record that is never deleted.
const MANY_DAYS: i64 = 320;
/// How many worlds are simulated at the same time.
const THREADS: u64 = 2;

#[test]
fn no_alert_is_lost_and_none_is_repeated() {
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let seeds = seeds().filter(move |seed| seed % THREADS == thread);
                scope.spawn(|| seeds.filter(|seed| !succeeds(*seed)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic leaves the thread")).collect()
    });
    if let Some(first) = failed.first() {
        panic!("seeds that failed: {failed:?}; replay one with `SIMULATION_SEED={first} cargo test --test simulation`");
    }
}

/// Whether the simulation of a seed succeeds. The panic message says why it does not.
fn succeeds(seed: u64) -> bool {
    let days = if seed.is_multiple_of(16) { MANY_DAYS } else { DAYS };
    // With a paused clock, waiting takes no time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(seed, days, &InMemoryLedger::default())))).is_ok()
}

fn seeds() -> std::ops::Range<u64> {
    let environment = Environment::process();
    let number = |name: &str| {
        let text = environment.non_blank_var(name)?;
        Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name} is not a number: {error}")))
    };
    match (number("SIMULATION_SEED"), number("SIMULATION_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(DEFAULT_SEEDS),
    }
}
