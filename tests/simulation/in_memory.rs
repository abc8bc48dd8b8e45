//! A ledger in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use media_expiry_alerts::ledger::{Change, Key, LEASE_TTL, Lease, LedgerError, LedgerStore, Memory, Record};
use media_expiry_alerts::net::Deadline;

use crate::simulator::SimulatedLedger;

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct InMemoryLedger(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    /// The run that holds the lease, and when the lease ends.
    lease: Option<(String, Timestamp)>,
    channels: BTreeMap<String, BTreeMap<Key, Record>>,
}

impl InMemoryLedger {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimulatedLedger for InMemoryLedger {
    const WRITE_BATCH: usize = 1;

    fn store(&self) -> &impl LedgerStore {
        self
    }

    async fn is_lease_free(&self, now: Timestamp) -> bool {
        self.contents().lease.as_ref().is_none_or(|(_, ends_at)| *ends_at <= now)
    }
}

impl LedgerStore for InMemoryLedger {
    async fn lease(&self, owner: &str, now: Timestamp, _: Deadline) -> Result<Option<Lease>, LedgerError> {
        let mut contents = self.contents();
        if contents.lease.as_ref().is_some_and(|(_, ends_at)| now < *ends_at) {
            return Ok(None);
        }
        contents.lease = Some((owner.to_owned(), now + LEASE_TTL));
        Ok(Some(Lease::new(owner)))
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, _: Deadline) -> Result<bool, LedgerError> {
        let mut contents = self.contents();
        let held = contents.lease.as_mut().filter(|(owner, _)| owner == lease.owner());
        Ok(held.map(|(_, ends_at)| *ends_at = now + LEASE_TTL).is_some())
    }

    async fn release(&self, lease: Lease, _: Deadline) -> Result<(), LedgerError> {
        self.contents().lease.take_if(|(owner, _)| owner == lease.owner());
        Ok(())
    }

    async fn read(&self, channel: &str, now: Timestamp, _: Deadline) -> Result<Memory, LedgerError> {
        let contents = self.contents();
        let records = contents.channels.get(channel).into_iter().flatten();
        let is_kept = |(_, record): &(&Key, &Record)| now < record.keep_until;
        Ok(records.filter(is_kept).map(|(key, record)| (key.clone(), record.clone())).collect())
    }

    async fn write(
        &self,
        channel: &str,
        changes: impl Iterator<Item = Change>,
        now: Timestamp,
        _: Deadline,
    ) -> Result<(), LedgerError> {
        let mut contents = self.contents();
        let records = contents.channels.entry(channel.to_owned()).or_default();
        for change in changes {
            match change {
                Change::Put(key, record) => {
                    records.insert(key, record);
                }
                Change::Delete(key) => {
                    records.remove(&key);
                }
            }
        }
        records.retain(|_, record| now < record.keep_until);
        Ok(())
    }

    async fn check(&self, _: Timestamp, _: Deadline) -> Result<(), LedgerError> {
        Ok(())
    }
}
