//! The steps of one simulated run, at which it may crash, fail or be overtaken by another run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use media_expiry_alerts::ledger::LedgerError;
use tokio::sync::Notify;

/// What may go wrong in one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The step at which the run crashes.
    pub crash_at: Option<u32>,
    /// How many of a hundred calls of the ledger fail.
    pub ledger_percent: u8,
}

/// The steps of one run. A step is taken before and after each effect outside of the process.
#[derive(Debug)]
pub struct Steps {
    faults: Faults,
    crashed: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    taken: u32,
    has_ledger_failed: bool,
}

impl Steps {
    pub fn new(rng: Rng, faults: Faults) -> Self {
        let state = State { rng, taken: 0, has_ledger_failed: false };
        Self { faults, crashed: Notify::new(), state: Mutex::new(state) }
    }

    /// Takes a step. An overlapping run may go first. If this is the step at which the run crashes, this never returns.
    pub async fn take(&self) {
        let taken = {
            let mut state = self.state();
            state.taken += 1;
            state.taken
        };
        if self.faults.crash_at == Some(taken) {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
        let yields = self.state().rng.u8(0..3);
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    /// Takes the step before a call of the ledger.
    ///
    /// # Errors
    ///
    /// Fails at random, as a ledger may.
    pub async fn before_ledger_call(&self) -> Result<(), LedgerError> {
        self.take().await;
        if self.chance(self.faults.ledger_percent) {
            self.state().has_ledger_failed = true;
            return Err(LedgerError::OutOfTime);
        }
        Ok(())
    }

    /// Returns true with a probability of `percent`.
    pub fn chance(&self, percent: u8) -> bool {
        self.state().rng.u8(0..100) < percent
    }

    /// Waits until the run has crashed.
    pub async fn crash(&self) {
        self.crashed.notified().await;
    }

    pub fn has_ledger_failed(&self) -> bool {
        self.state().has_ledger_failed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
