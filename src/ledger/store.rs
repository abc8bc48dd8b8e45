//! What a run needs of a ledger, wherever it is kept.

use jiff::Timestamp;

use super::{Change, Lease, LedgerError, Memory};
use crate::net::Deadline;

/// What a run needs of a ledger. [`super::Ledger`] is the one that a configuration names; a test can bring its own.
pub trait LedgerStore {
    /// Takes the lease for the run `owner` at `now`, by the clock at this moment; `None` while another run holds it.
    ///
    /// A lease in a table is held by its end alone: one that has no end, or none that can be read, is free. The lease of
    /// a file is a lock of the operating system and ends with its process.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered, and how to correct it.
    fn lease(
        &self,
        owner: &str,
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Option<Lease>, LedgerError>>;

    /// Lets the lease last for another [`super::LEASE_TTL`] from `now`, by the clock at this moment. Returns false when it
    /// is lost: another run has taken it, or it ended and was deleted, so that another run may have come and gone since.
    ///
    /// A lease that ended and that nobody took is still ours.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered. It is then unknown whether the lease is still ours.
    fn renew(
        &self,
        lease: &Lease,
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<bool, LedgerError>>;

    /// Releases the lease. A lease that cannot be released ends by itself.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered.
    fn release(&self, lease: Lease, deadline: Deadline) -> impl Future<Output = Result<(), LedgerError>>;

    /// Reads everything that `channel` has confirmed and that must still be kept at `now`.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered, and how to correct it.
    fn read(
        &self,
        channel: &str,
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Memory, LedgerError>>;

    /// Records what `channel` has confirmed.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered. It is then unknown which of the changes were written.
    fn write(
        &self,
        channel: &str,
        changes: impl Iterator<Item = Change>,
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), LedgerError>>;

    /// Checks that the ledger can be used: writes, reads and deletes one record.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and how to correct it.
    fn check(&self, now: Timestamp, deadline: Deadline) -> impl Future<Output = Result<(), LedgerError>>;
}
