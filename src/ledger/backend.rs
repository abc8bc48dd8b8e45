//! The operations of a ledger, independent of where it is stored.

use jiff::Timestamp;

use super::{Change, Lease, LedgerError, Memory};
use crate::net::Deadline;

/// The operations of a ledger. [`super::Ledger`] implements them for the configured ledger; tests have their own.
pub trait LedgerStore {
    /// Takes the lease for the run `owner`. Returns `None` while another run holds it.
    ///
    /// `now` must be the current time and not the start of the run.
    ///
    /// A lease in a table is held until its end time. One without a readable end time is free. The lease of a file is a
    /// lock of the operating system, which ends with its process.
    ///
    /// # Errors
    ///
    /// Returns an error that contains the response and says how to fix the problem.
    fn lease(
        &self,
        owner: &str,
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Option<Lease>, LedgerError>>;

    /// Extends the lease to [`super::LEASE_TTL`] from `now`, which must be the current time.
    ///
    /// Returns false if the lease is lost: another run has taken it, or it has expired and was deleted. In the second
    /// case another run may have taken and released it. A lease that has expired but was not taken can still be renewed.
    ///
    /// # Errors
    ///
    /// After an error it is unknown whether the lease is still held.
    fn renew(
        &self,
        lease: &Lease,
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<bool, LedgerError>>;

    /// Releases the lease.
    ///
    /// # Errors
    ///
    /// Returns an error that contains the response. The lease then ends by itself.
    fn release(&self, lease: Lease, deadline: Deadline) -> impl Future<Output = Result<(), LedgerError>>;

    /// Reads the records of `channel` that have not expired at `now`.
    ///
    /// # Errors
    ///
    /// Returns an error that contains the response and says how to fix the problem.
    fn read(
        &self,
        channel: &str,
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Memory, LedgerError>>;

    /// Writes the changes of the records of `channel`.
    ///
    /// # Errors
    ///
    /// After an error it is unknown which of the changes were written.
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
    /// Returns an error that says how to fix the problem.
    fn check(&self, now: Timestamp, deadline: Deadline) -> impl Future<Output = Result<(), LedgerError>>;
}
