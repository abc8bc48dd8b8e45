//! Wraps a ledger so that it fails at random.

use std::sync::Arc;

use jiff::Timestamp;
use media_expiry_alerts::ledger::{Change, Lease, LedgerError, LedgerStore, Memory};
use media_expiry_alerts::net::Deadline;
use tokio::sync::Mutex;

use super::steps::Steps;

/// The ledger of one run. Any call may fail, and the run may crash before and after it.
pub struct UnreliableLedger<'a, L> {
    pub ledger: &'a L,
    pub steps: Arc<Steps>,
    /// How many changes are written between two steps. After a failure or crash, only some of the batches are written.
    pub batch: usize,
    /// Held while a run changes the lease. Unlike DynamoDB, moto does not check a condition and write atomically, so two
    /// concurrent requests could both get the lease.
    pub lease_request: &'a Mutex<()>,
}

impl<L: LedgerStore> LedgerStore for UnreliableLedger<'_, L> {
    async fn lease(&self, owner: &str, now: Timestamp, deadline: Deadline) -> Result<Option<Lease>, LedgerError> {
        self.steps.before_ledger_call().await?;
        let lease = {
            let _request = self.lease_request.lock().await;
            self.ledger.lease(owner, now, deadline).await?
        };
        if lease.is_some() {
            self.steps.take().await;
        }
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, deadline: Deadline) -> Result<bool, LedgerError> {
        self.steps.before_ledger_call().await?;
        let _request = self.lease_request.lock().await;
        self.ledger.renew(lease, now, deadline).await
    }

    async fn release(&self, lease: Lease, deadline: Deadline) -> Result<(), LedgerError> {
        self.steps.before_ledger_call().await?;
        {
            let _request = self.lease_request.lock().await;
            self.ledger.release(lease, deadline).await?;
        }
        self.steps.take().await;
        Ok(())
    }

    async fn read(&self, channel: &str, now: Timestamp, deadline: Deadline) -> Result<Memory, LedgerError> {
        self.steps.before_ledger_call().await?;
        self.ledger.read(channel, now, deadline).await
    }

    async fn write(
        &self,
        channel: &str,
        changes: impl Iterator<Item = Change>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(), LedgerError> {
        let changes: Vec<_> = changes.collect();
        for batch in changes.chunks(self.batch) {
            self.steps.before_ledger_write().await?;
            self.ledger.write(channel, batch.iter().cloned(), now, deadline).await?;
        }
        Ok(())
    }

    async fn check(&self, now: Timestamp, deadline: Deadline) -> Result<(), LedgerError> {
        self.ledger.check(now, deadline).await
    }
}
