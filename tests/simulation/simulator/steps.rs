//! The steps of one simulated run. At each of them it may crash, fail, freeze, or let another run continue first.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use fastrand::Rng;
use media_expiry_alerts::ledger::LedgerError;
use tokio::sync::Notify;

/// What may go wrong in one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The step at which the run crashes.
    pub crash_at: Option<u32>,
    /// The step at which the process freezes.
    pub freeze_at: Option<u32>,
    /// The percentage of ledger calls that fail.
    pub ledger_percent: u8,
}

/// The steps of one run. There is one before and one after each effect outside of the process.
#[derive(Debug)]
pub struct Steps {
    faults: Faults,
    crashed: Notify,
    frozen: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    taken: u32,
    has_ledger_failed: bool,
    is_frozen: bool,
    /// Wakes the process when it thaws.
    waker: Option<Waker>,
}

impl Steps {
    pub fn new(rng: Rng, faults: Faults) -> Self {
        let state = State { rng, taken: 0, has_ledger_failed: false, is_frozen: false, waker: None };
        Self { faults, crashed: Notify::new(), frozen: Notify::new(), state: Mutex::new(state) }
    }

    /// Takes a step. An overlapping run may continue first. If the run crashes at this step, this never returns.
    pub async fn take(&self) {
        if Some(self.count()) == self.faults.freeze_at {
            self.state().is_frozen = true;
            self.frozen.notify_one();
            // The rest of the process must freeze too.
            tokio::task::yield_now().await;
        }
        self.crash_if_due().await;
        let yields = self.state().rng.u8(0..3);
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    /// Takes the step between the check of the lease and an effect: a message or a record. The process does not freeze here
    /// and no other run continues first, because no implementation could detect that its lease is lost after the check.
    pub async fn take_before_effect(&self) {
        self.count();
        self.crash_if_due().await;
    }

    /// Counts a step and returns its number.
    fn count(&self) -> u32 {
        let mut state = self.state();
        state.taken += 1;
        state.taken
    }

    async fn crash_if_due(&self) {
        if self.faults.crash_at == Some(self.state().taken) {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Takes the step before a call of the ledger.
    ///
    /// # Errors
    ///
    /// Fails at random.
    pub async fn before_ledger_call(&self) -> Result<(), LedgerError> {
        self.take().await;
        self.fail_at_random()
    }

    /// Takes the step before a write to the ledger.
    ///
    /// # Errors
    ///
    /// Fails at random.
    pub async fn before_ledger_write(&self) -> Result<(), LedgerError> {
        self.take_before_effect().await;
        self.fail_at_random()
    }

    fn fail_at_random(&self) -> Result<(), LedgerError> {
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

    /// Runs a process. While it is frozen, none of its tasks and timers make progress.
    pub async fn unless_frozen<T>(&self, process: impl Future<Output = T>) -> T {
        let mut process = pin!(process);
        poll_fn(|context| {
            {
                let mut state = self.state();
                if state.is_frozen {
                    state.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
            process.as_mut().poll(context)
        })
        .await
    }

    /// Waits until the process is frozen.
    pub async fn freeze(&self) {
        self.frozen.notified().await;
    }

    pub fn thaw(&self) {
        let waker = {
            let mut state = self.state();
            state.is_frozen = false;
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub fn has_ledger_failed(&self) -> bool {
        self.state().has_ledger_failed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
