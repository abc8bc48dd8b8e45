//! What a run needs of a ledger, wherever it is kept.

use jiff::Timestamp;

use super::{Change, Lease, LedgerError, Memory};
use crate::net::Deadline;

/// What a run needs of a ledger. [`super::Ledger`] is the one that a configuration names; a test can bring its own.
pub trait LedgerStore {
    /// Takes the lease for the run `owner` until `ends_at`; `None` while another run holds it.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered, and how to correct it.
    fn lease(
        &self,
        owner: &str,
        now: Timestamp,
        ends_at: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Option<Lease>, LedgerError>>;

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
        changes: &[Change],
        now: Timestamp,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), LedgerError>>;

    /// Checks that the ledger exists and has the right shape, without changing it.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and how to correct it.
    fn check(&self, deadline: Deadline) -> impl Future<Output = Result<(), LedgerError>>;
}
