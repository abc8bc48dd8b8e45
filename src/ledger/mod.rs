//! The ledger: remembers which announcement a channel has confirmed, and keeps a second run out.
//!
//! What is remembered and what follows from it is pure ([`record`]); where it is kept is an edge ([`dynamodb`],
//! [`mod@file`]).

mod dynamodb;
mod error;
mod file;
mod record;
#[cfg(test)]
mod simulation;

use jiff::{SignedDuration, Timestamp};

pub use self::dynamodb::DynamoDbLedger;
pub use self::error::LedgerError;
pub use self::file::FileLedger;
pub use self::record::{Change, Key, Memory, Record, post_id};
use crate::net::Deadline;

/// How long a lease lasts unless it is renewed. Lambda tries again a minute after a crash, and must find it free.
pub const LEASE_TTL: SignedDuration = SignedDuration::from_secs(45);
/// How far the clocks of two machines may be apart. A lease that ends later than this after its longest life was written
/// in error, and is free: nobody could hold it by renewing. It also leaves alone the leases of version 0.1, which lasted as
/// long as their run may, 15 minutes at most.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(15);

fn later(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

/// Where the ledger is kept.
#[derive(Debug)]
pub enum Ledger {
    /// In a DynamoDB table.
    DynamoDb(DynamoDbLedger),
    /// In a file of this machine.
    File(FileLedger),
    /// In this process: for the proof that no announcement is lost or repeated.
    #[cfg(test)]
    InProcess(simulation::InProcessLedger),
}

/// What keeps a second run out until it is given back, or for [`LEASE_TTL`] after it was taken or renewed.
#[derive(Debug)]
pub struct Lease {
    owner: String,
    /// The lock of a file ledger: open, and so held, for as long as the lease is.
    lock: Option<std::fs::File>,
    /// What happened to the ledger that people should hear of.
    pub note: Option<String>,
}

impl Ledger {
    /// The type as the configuration names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DynamoDb(_) => "dynamodb",
            Self::File(_) => "file",
            #[cfg(test)]
            Self::InProcess(_) => "in-process",
        }
    }

    /// Takes the lease for the run `owner` at `now`, by the clock at this moment; `None` while another run holds it.
    ///
    /// A lease in a table is held by its end alone: one that has no end, or none that can be read, is free. The lease of
    /// a file is a lock of the operating system and ends with its process.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered, and what to do about it.
    pub async fn lease(&self, owner: &str, now: Timestamp, deadline: Deadline) -> Result<Option<Lease>, LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.lease(owner, now, deadline).await,
            Self::File(ledger) => ledger.lease(owner, now),
            #[cfg(test)]
            Self::InProcess(ledger) => ledger.lease(owner, now).await,
        }
    }

    /// Lets the lease last for another [`LEASE_TTL`] from `now`, by the clock at this moment. `false` when it is lost:
    /// another run has taken it, or it ended and was cleared away, and then another run may have begun and ended since.
    ///
    /// A lease that ended and that nobody took is still ours.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered. Whether the lease is still ours is then unknown; it is until its end.
    pub async fn renew(&self, lease: &Lease, now: Timestamp, deadline: Deadline) -> Result<bool, LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.renew(lease, now, deadline).await,
            Self::File(ledger) => ledger.renew(lease),
            #[cfg(test)]
            Self::InProcess(ledger) => ledger.renew(lease, now).await,
        }
    }

    /// Gives the lease back. A lease that cannot be given back ends by itself.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered.
    pub async fn release(&self, lease: Lease, deadline: Deadline) -> Result<(), LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.release(lease, deadline).await,
            Self::File(_) => {
                drop(lease);
                Ok(())
            }
            #[cfg(test)]
            Self::InProcess(ledger) => ledger.release(&lease).await,
        }
    }

    /// Everything that `channel` has confirmed and that is still to be kept at `now`.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered, and what mends it.
    pub async fn read(&self, channel: &str, now: Timestamp, deadline: Deadline) -> Result<Memory, LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.read(channel, now, deadline).await,
            Self::File(ledger) => ledger.read(channel, now),
            #[cfg(test)]
            Self::InProcess(ledger) => ledger.read(channel).await,
        }
    }

    /// Remembers what `channel` has confirmed.
    ///
    /// # Errors
    ///
    /// Says what the ledger answered; what was written of the changes is then unknown.
    pub async fn write(
        &self,
        channel: &str,
        changes: &[Change],
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(), LedgerError> {
        if changes.is_empty() {
            return Ok(());
        }
        match self {
            Self::DynamoDb(ledger) => ledger.write(channel, changes, deadline).await,
            Self::File(ledger) => ledger.write(channel, changes, now),
            #[cfg(test)]
            Self::InProcess(ledger) => ledger.write(channel, changes, now).await,
        }
    }

    /// Proves that the ledger can be used: writes, reads and deletes one record.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and what mends it.
    pub async fn check(&self, now: Timestamp, deadline: Deadline) -> Result<(), LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.check(now, deadline).await,
            Self::File(ledger) => ledger.check(now),
            #[cfg(test)]
            Self::InProcess(_) => Ok(()),
        }
    }
}
