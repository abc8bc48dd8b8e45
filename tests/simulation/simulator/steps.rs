//! The steps of one simulated run, at which it may crash, fail, freeze or be overtaken by another run.

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
    /// How many of a hundred calls of the ledger fail.
    pub ledger_percent: u8,
}

/// The steps of one run. A step is taken before and after each effect outside of the process.
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
    /// Wakes the process once it is thawed.
    waker: Option<Waker>,
}

impl Steps {
    pub fn new(rng: Rng, faults: Faults) -> Self {
        let state = State { rng, taken: 0, has_ledger_failed: false, is_frozen: false, waker: None };
        Self { faults, crashed: Notify::new(), frozen: Notify::new(), state: Mutex::new(state) }
    }

    /// Takes a step. An overlapping run may go first. If this is the step at which the run crashes, this never returns.
    pub async fn take(&self) {
        if Some(self.count()) == self.faults.freeze_at {
            self.state().is_frozen = true;
            self.frozen.notify_one();
            // Nothing else of the process runs either.
            tokio::task::yield_now().await;
        }
        self.crash_if_due().await;
        let yields = self.state().rng.u8(0..3);
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    /// Takes the step between the check of the lease and what others see: a message or a record. The process does not freeze
    /// here, and nothing else goes first: nothing could find out that time has passed.
    pub async fn take_before_effect(&self) {
        self.count();
        self.crash_if_due().await;
    }

    /// Counts a step, and returns its number.
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
    /// Fails at random, as a ledger may.
    pub async fn before_ledger_call(&self) -> Result<(), LedgerError> {
        self.take().await;
        self.fail_at_random()
    }

    /// Takes the step before a write into the ledger.
    ///
    /// # Errors
    ///
    /// Fails at random, as a ledger may.
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

    /// Runs a process, nothing of which goes on while it is frozen: no timer, and no request.
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
