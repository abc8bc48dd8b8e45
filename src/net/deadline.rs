//! Deadlines: the moment by which work must be done.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// The moment by which work must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline that is `time` from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Returns the deadline that is `time` before this one, but not before now.
    #[must_use]
    pub fn earlier_by(self, time: Duration) -> Self {
        let now = Instant::now();
        Self(self.0.checked_sub(time).map_or(now, |at| at.max(now)))
    }

    /// Returns this deadline, or the one that is `time` from now if that is earlier.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        self.min(Self::after(time))
    }

    /// Returns the time that is left, which is zero once the deadline has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Runs `work` until the deadline. Returns `None` when it was not done by then. Once the deadline has passed, it is not
    /// even begun, because its first step may send a request.
    pub async fn bound<F: Future>(self, work: F) -> Option<F::Output> {
        if self.remaining().is_zero() {
            return None;
        }
        timeout_at(self.0, work).await.ok()
    }
}
