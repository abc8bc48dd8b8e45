//! The ledger: records which announcements each channel has confirmed, and prevents two runs at the same time.
//!
//! The records ([`record`]) and their keys ([`key`]) are pure data. The two implementations store them ([`dynamodb`], [`mod@file`]).

mod backend;
mod dynamodb;
mod error;
mod file;
mod key;
mod record;

use jiff::{SignedDuration, Timestamp};

pub use self::backend::LedgerStore;
pub use self::dynamodb::DynamoDbLedger;
pub use self::error::LedgerError;
pub use self::file::FileLedger;
pub use self::key::{Key, KnownBy, stored_profile};
pub use self::record::{Change, Memory, Record};
use crate::net::Deadline;

/// How long a lease lasts unless it is renewed. Lambda retries a minute after a crash, and the lease must be free by then.
pub const LEASE_TTL: SignedDuration = SignedDuration::from_secs(45);
/// The largest accepted difference between the clocks of two machines.
///
/// A lease with an end further away than [`LEASE_TTL`] plus this was written by mistake, so it counts as free.
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
}

/// The right to be the only run, until it is released or [`LEASE_TTL`] after it was taken or last renewed.
#[derive(Debug)]
pub struct Lease {
    owner: String,
    /// The lock of a file ledger. It is held as long as this file is open.
    lock: Option<std::fs::File>,
    /// A problem with the ledger that people should know about.
    pub note: Option<String>,
}

impl Lease {
    /// Creates the lease of the run `owner`, for a ledger without a lock file.
    #[must_use]
    pub fn new(owner: &str) -> Self {
        Self { owner: owner.to_owned(), lock: None, note: None }
    }

    /// The id of the run that holds the lease.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl Ledger {
    /// The type's name in the configuration.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DynamoDb(_) => "dynamodb",
            Self::File(_) => "file",
        }
    }
}

impl LedgerStore for Ledger {
    async fn lease(&self, owner: &str, now: Timestamp, deadline: Deadline) -> Result<Option<Lease>, LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.lease(owner, now, deadline).await,
            Self::File(ledger) => ledger.lease(owner, now),
        }
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, deadline: Deadline) -> Result<bool, LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.renew(lease, now, deadline).await,
            Self::File(ledger) => ledger.renew(lease),
        }
    }

    async fn release(&self, lease: Lease, deadline: Deadline) -> Result<(), LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.release(lease, deadline).await,
            Self::File(_) => {
                drop(lease);
                Ok(())
            }
        }
    }

    async fn read(&self, channel: &str, now: Timestamp, deadline: Deadline) -> Result<Memory, LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.read(channel, now, deadline).await,
            Self::File(ledger) => ledger.read(channel, now),
        }
    }

    async fn write(
        &self,
        channel: &str,
        changes: impl Iterator<Item = Change>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(), LedgerError> {
        let mut changes = changes.peekable();
        if changes.peek().is_none() {
            return Ok(());
        }
        match self {
            Self::DynamoDb(ledger) => ledger.write(channel, changes, deadline).await,
            Self::File(ledger) => ledger.write(channel, changes, now),
        }
    }

    async fn check(&self, now: Timestamp, deadline: Deadline) -> Result<(), LedgerError> {
        match self {
            Self::DynamoDb(ledger) => ledger.check(now, deadline).await,
            Self::File(ledger) => ledger.check(now),
        }
    }
}
