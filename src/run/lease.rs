//! The lease of one run: renewed while the run lives, and checked before each step that others would notice.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::{LEASE_TTL, Lease, LedgerStore};
use crate::net::Deadline;

/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// How long one renewal may take.
const RENEW_TIMEOUT: Duration = Duration::from_secs(5);
/// A lease that was renewed this recently needs no check. It must be longer than [`RENEW_EVERY`], or every step would ask
/// the ledger, and so much shorter than [`LEASE_TTL`] that a step which begins now ends before the lease does.
const TRUSTED: SignedDuration = SignedDuration::from_secs(25);

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

    /// What happened to the ledger that people should hear of.
    pub fn note(&self) -> Option<&str> {
        self.lease.note.as_deref()
    }

    /// Renews the lease again and again, for as long as this is polled.
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

    /// Gives the lease back.
    pub async fn release(self) {
        if let Err(error) = self.ledger.release(self.lease, self.deadline).await {
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
            Ok(false) => false,
            Err(error) => {
                tracing::warn!("the lease could not be renewed: {error}");
                self.age() < LEASE_TTL
            }
        };
        if !is_ours {
            tracing::error!("another run has taken the lease; this run sends and records nothing more");
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
