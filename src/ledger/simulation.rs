//! The ledger in this process, with every fault that a real one may have.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::{Change, Lease, LedgerError, Memory};

/// A ledger with the semantics of the DynamoDB one.
#[derive(Debug, Default)]
pub struct InProcessLedger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lease: Option<(String, Timestamp)>,
    channels: BTreeMap<String, Memory>,
}

impl InProcessLedger {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lease(&self, owner: &str, now: Timestamp, ends_at: Timestamp) -> Result<Option<Lease>, LedgerError> {
        let mut state = self.state();
        if state.lease.as_ref().is_some_and(|(holder, end)| holder != owner && now < *end) {
            return Ok(None);
        }
        state.lease = Some((owner.to_owned(), ends_at));
        Ok(Some(Lease { owner: owner.to_owned(), _file: None, note: None }))
    }

    pub(super) fn release(&self, lease: &Lease) -> Result<(), LedgerError> {
        let mut state = self.state();
        state.lease.take_if(|(owner, _)| *owner == lease.owner);
        Ok(())
    }

    pub(super) fn read(&self, channel: &str) -> Result<Memory, LedgerError> {
        Ok(self.state().channels.get(channel).cloned().unwrap_or_default())
    }

    pub(super) fn write(&self, channel: &str, changes: &[Change], now: Timestamp) -> Result<(), LedgerError> {
        let mut state = self.state();
        let memory = state.channels.entry(channel.to_owned()).or_default();
        changes.iter().for_each(|change| change.apply(memory));
        memory.retain(|_, record| now < record.keep_until);
        Ok(())
    }
}
