//! The action `check`: proves that a run could do its work, without sending anything.

use super::rendering::{fail, outcome};
use super::result::{ChannelResult, Outcome, RunResult};
use super::{Run, Services};
use crate::config::{Channel, Config};
use crate::ledger::LedgerStore;
use crate::net::Deadline;
use crate::store::{Store, StoreError};

impl<S: Services, L: LedgerStore> Run<'_, S, L> {
    /// Scans the profiles, and asks the channels and the ledger whether they would accept what an alert sends.
    pub(super) async fn check(&self) -> RunResult {
        let survey = self.scan().await;
        let memories = self.side_by_side(|channel| self.read_memory(channel)).await;
        let mut result = self.result(survey, self.by_channel(memories));
        result.channels = self.side_by_side(|channel| self.prove(channel)).await;
        if let Some(ledger) = self.ledger
            && let Err(error) = ledger.check(self.now, self.send_until).await
        {
            self.note_ledger_error(&error);
        }
        result
    }

    async fn prove(&self, channel: &Channel) -> ChannelResult {
        let mut proved = outcome(channel, Outcome::Reachable);
        if let Err(reason) = self.services.check(channel, self.send_until).await {
            fail(channel, &mut proved, reason);
        }
        proved
    }
}

/// Writes to the store, reads it back and deletes it.
pub(super) async fn check_store(store: &Store, config: &Config, id: &str, until: Deadline) -> Result<(), StoreError> {
    store.check(id, until).await?;
    if config.rescue.is_some() { store.check_copies(id, until).await } else { Ok(()) }
}
