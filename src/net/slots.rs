//! Slots: how many requests are in flight at the same time.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Deadline, Retry, retrying_at_most};

/// A fixed number of slots. Each request in flight occupies one; a request that waits for its retry occupies none.
#[derive(Debug)]
pub struct Slots(Semaphore);

/// The right to have one request in flight. Dropping it frees the slot.
#[derive(Debug)]
pub struct Slot<'a> {
    _permit: Option<SemaphorePermit<'a>>,
}

impl Slots {
    /// Creates `number` slots.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self(Semaphore::new(number.clamp(1, Semaphore::MAX_PERMITS)))
    }

    /// Waits until a slot is free. Slots are given in the order of the calls.
    pub async fn acquire(&self) -> Slot<'_> {
        // Acquiring fails only when a semaphore was closed, and this one never is.
        Slot { _permit: self.0.acquire().await.ok() }
    }

    /// Does the same as [`retrying_at_most`], with a slot for each attempt and none between two attempts.
    ///
    /// The first attempt uses `first`.
    ///
    /// # Errors
    ///
    /// Returns the error of the last attempt.
    pub async fn retrying<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        first: Option<Slot<'_>>,
        max_retries: usize,
        deadline: Deadline,
        mut attempt: impl FnMut() -> F,
        retry: impl Fn(&E) -> Retry,
    ) -> Result<T, E> {
        let mut first = first;
        let attempt = || {
            let (slot, attempt) = (first.take(), attempt());
            async move {
                let _slot = match slot {
                    Some(slot) => slot,
                    None => self.acquire().await,
                };
                attempt.await
            }
        };
        retrying_at_most(max_retries, deadline, attempt, retry).await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use futures_util::{StreamExt as _, stream};
    use tokio::time::{Instant, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A service that takes a second for each answer, and asks the first `limited` callers to come back in a minute.
    async fn finished_after(slots: usize, callers: usize, limited: usize) -> (Vec<u64>, usize) {
        let slots = Slots::new(slots);
        let start = Instant::now();
        let in_flight = Cell::new(0);
        let most = Cell::new(0);
        let mut finished: Vec<_> = stream::iter(0..callers)
            .then(async |caller| (slots.acquire().await, caller))
            .map(async |(slot, caller)| {
                let is_limited = RefCell::new(caller < limited);
                let attempt = async || {
                    in_flight.set(in_flight.get() + 1);
                    most.set(most.get().max(in_flight.get()));
                    sleep(SECOND).await;
                    in_flight.set(in_flight.get() - 1);
                    if is_limited.replace(false) { Err(()) } else { Ok(()) }
                };
                let deadline = Deadline::after(SECOND * 600);
                let result = slots
                    .retrying(Some(slot), super::super::MAX_RETRIES, deadline, attempt, |()| Retry::After(SECOND * 60))
                    .await;
                assert_eq!(result, Ok(()));
                (caller, start.elapsed().as_secs())
            })
            .buffer_unordered(usize::MAX)
            .collect()
            .await;
        finished.sort_unstable();
        (finished.into_iter().map(|(_, second)| second).collect(), most.get())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_retry_holds_up_nobody() {
        assert_eq!(finished_after(2, 6, 0).await, (vec![1, 1, 2, 2, 3, 3], 2));
        // The two limited callers have all slots at first, and give them to the others while they wait.
        assert_eq!(finished_after(2, 6, 2).await, (vec![62, 62, 2, 2, 3, 3], 2));
        let (finished, most) = finished_after(8, 41, 8).await;
        assert_eq!((finished[8..].iter().max(), finished[..8].iter().max(), most), (Some(&6), Some(&62), 8));
    }
}
