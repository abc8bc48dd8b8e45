//! The ledger: remembers which announcement a channel has confirmed, and keeps a second run out.
//!
//! What is remembered and what follows from it is pure ([`record`]); where it is kept is an edge ([`dynamodb`],
//! [`mod@file`]).

mod dynamodb;
mod error;
mod file;
mod record;
mod store;

use jiff::{SignedDuration, Timestamp};

pub use self::dynamodb::DynamoDbLedger;
pub use self::error::LedgerError;
pub use self::file::FileLedger;
pub use self::record::{Change, Key, KnownBy, Memory, Record, post_id};
pub use self::store::LedgerStore;
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

impl Lease {
    /// The lease of the run `owner`, for a ledger that holds nothing open for it.
    #[must_use]
    pub fn new(owner: &str) -> Self {
        Self { owner: owner.to_owned(), lock: None, note: None }
    }

    /// The run that holds it.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl Ledger {
    /// The type as the configuration names it.
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
