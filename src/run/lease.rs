//! The lease of one run: renewed while the run lives, and checked before each step that others would notice.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::{Lease, LedgerStore};
use crate::net::Deadline;

/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// How long one renewal may take.
const RENEW_TIMEOUT: Duration = Duration::from_secs(5);
/// How long releasing it may take. A lease that is not released ends by itself, and the answer of the run waits for this.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// A lease that was renewed this recently needs no check. It must be longer than [`RENEW_EVERY`], or every step would
/// ask the ledger, and so much shorter than [`LEASE_TTL`](crate::ledger::LEASE_TTL) that a step which begins now ends
/// before the lease does.
const TRUSTED: SignedDuration = SignedDuration::from_secs(25);
/// While the ledger does not answer, a lease that was renewed this recently is trusted. A message that is sent just
/// before may take [`SEND_TIMEOUT`](crate::net::SEND_TIMEOUT), and must not arrive after the lease has ended.
const TRUSTED_UNANSWERED: SignedDuration = SignedDuration::from_secs(35);

/// A lease that a run holds.
pub(super) struct HeldLease<'a, L, C> {
    ledger: &'a L,
    lease: Lease,
    /// The clock of the machine. It also counts the time in which the process was frozen.
    clock: C,
    renewed_at: Mutex<Timestamp>,
    is_lost: AtomicBool,
    deadline: Deadline,
}

impl<'a, L: LedgerStore, C: Fn() -> Timestamp> HeldLease<'a, L, C> {
    /// Holds a lease that was taken at `taken_at`.
    pub fn new(ledger: &'a L, lease: Lease, taken_at: Timestamp, clock: C, deadline: Deadline) -> Self {
        Self { ledger, lease, clock, renewed_at: Mutex::new(taken_at), is_lost: AtomicBool::new(false), deadline }
    }

    /// A problem with the ledger that people should know about.
    pub fn note(&self) -> Option<&str> {
        self.lease.note.as_deref()
    }

    /// Renews the lease regularly, for as long as the future is polled.
    pub async fn keep(&self) -> Infallible {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            self.renew().await;
        }
    }

    /// Whether the run may send and record. A process that was frozen finds out here that its lease is gone.
    pub async fn is_ours(&self) -> bool {
        if self.is_lost() {
            return false;
        }
        if self.age() < TRUSTED { true } else { self.renew().await }
    }

    /// Whether another run has, or may have, taken the lease.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Releases the lease.
    pub async fn release(self) {
        if let Err(error) = self.ledger.release(self.lease, self.deadline.within(RELEASE_TIMEOUT)).await {
            tracing::warn!("the lease could not be released, and ends by itself: {error}");
        }
    }

    async fn renew(&self) -> bool {
        let now = (self.clock)();
        let is_ours = match self.ledger.renew(&self.lease, now, self.deadline.within(RENEW_TIMEOUT)).await {
            Ok(true) => {
                *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
                true
            }
            Ok(false) => {
                tracing::error!("another run has taken the lease; this run sends and records nothing more");
                false
            }
            Err(error) if self.age() < TRUSTED_UNANSWERED => {
                tracing::warn!("the lease could not be renewed; the next attempt follows: {error}");
                true
            }
            Err(error) => {
                tracing::error!(
                    "the lease ends because it could not be renewed; this run sends and records nothing more: {error}"
                );
                false
            }
        };
        if !is_ours {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        is_ours
    }

    /// How long ago the lease was renewed. A clock that was set back makes the lease old, not new.
    fn age(&self) -> SignedDuration {
        let renewed_at = *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let age = (self.clock)().duration_since(renewed_at);
        if age.is_negative() { SignedDuration::MAX } else { age }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ledger::{Change, LEASE_TTL, LedgerError, Memory};
    use crate::net::SEND_TIMEOUT;

    /// What the ledger answers to a renewal.
    #[derive(Clone, Copy)]
    enum Answer {
        Renewed,
        Taken,
        Nothing,
    }

    struct ScriptedLedger {
        answer: Cell<Answer>,
        renewals: Cell<usize>,
    }

    impl LedgerStore for ScriptedLedger {
        async fn lease(&self, owner: &str, _: Timestamp, _: Deadline) -> Result<Option<Lease>, LedgerError> {
            Ok(Some(Lease::new(owner)))
        }

        async fn renew(&self, _: &Lease, _: Timestamp, _: Deadline) -> Result<bool, LedgerError> {
            self.renewals.set(self.renewals.get() + 1);
            match self.answer.get() {
                Answer::Renewed => Ok(true),
                Answer::Taken => Ok(false),
                Answer::Nothing => Err(unanswered()),
            }
        }

        async fn release(&self, _: Lease, _: Deadline) -> Result<(), LedgerError> {
            Ok(())
        }

        async fn read(&self, _: &str, _: Timestamp, _: Deadline) -> Result<Memory, LedgerError> {
            Ok(Memory::default())
        }

        async fn write(
            &self,
            _: &str,
            _: impl Iterator<Item = Change>,
            _: Timestamp,
            _: Deadline,
        ) -> Result<(), LedgerError> {
            Ok(())
        }

        async fn check(&self, _: Timestamp, _: Deadline) -> Result<(), LedgerError> {
            Ok(())
        }
    }

    fn unanswered() -> LedgerError {
        LedgerError::Corrupt { path: "ledger.json".into(), reason: "a test".to_owned() }
    }

    /// Whether the lease is ours after so many seconds in which it was not renewed, and how many renewals that took.
    async fn after(seconds: i64, answer: Answer) -> (bool, bool, usize) {
        let start: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
        let ledger = ScriptedLedger { answer: Cell::new(answer), renewals: Cell::new(0) };
        let clock = || start + SignedDuration::from_secs(seconds);
        let deadline = Deadline::after(Duration::from_mins(5));
        let lease = HeldLease::new(&ledger, Lease::new("run"), start, clock, deadline);
        let is_ours = lease.is_ours().await;
        (is_ours, lease.is_lost(), ledger.renewals.get())
    }

    #[tokio::test]
    async fn a_step_asks_the_ledger_only_if_the_last_renewal_is_old() {
        assert_eq!(after(24, Answer::Taken).await, (true, false, 0));
        assert_eq!(after(25, Answer::Renewed).await, (true, false, 1));
        assert_eq!(after(25, Answer::Taken).await, (false, true, 1));
    }

    #[tokio::test]
    async fn a_run_that_was_frozen_keeps_a_lease_that_nobody_took_and_loses_one_that_was_taken() {
        assert_eq!(after(600, Answer::Renewed).await, (true, false, 1));
        assert_eq!(after(600, Answer::Taken).await, (false, true, 1));
        assert_eq!(after(600, Answer::Nothing).await, (false, true, 1), "nobody knows");
    }

    #[tokio::test]
    async fn without_an_answer_no_message_is_sent_that_may_outlast_the_lease() {
        assert_eq!(after(34, Answer::Nothing).await, (true, false, 1));
        assert_eq!(after(35, Answer::Nothing).await, (false, true, 1));
        assert!(TRUSTED_UNANSWERED.unsigned_abs() + SEND_TIMEOUT <= LEASE_TTL.unsigned_abs());
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_is_not_trusted() {
        assert_eq!(after(-1, Answer::Taken).await, (false, true, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_living_run_renews_every_15_seconds() {
        let start: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
        let ledger = ScriptedLedger { answer: Cell::new(Answer::Renewed), renewals: Cell::new(0) };
        let lease =
            HeldLease::new(&ledger, Lease::new("run"), start, || start, Deadline::after(Duration::from_mins(5)));
        assert!(tokio::time::timeout(Duration::from_secs(61), lease.keep()).await.is_err(), "it never ends");
        assert_eq!(ledger.renewals.get(), 4);
    }
}
