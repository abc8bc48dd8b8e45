//! The level of an announcement: how urgent it was. The ledger records it, and the next run compares it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::threshold::Threshold;

/// The threshold at which something was announced, in seconds.
///
/// A lower level is more urgent. An item is announced again when its level is lower than the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(u64);

impl Level {
    /// The media has expired or is gone. This is the lowest level.
    pub const OVER: Self = Self(0);
    /// The item was announced, but it has entered no threshold: an undated file, or a post whose media expires later than
    /// the longest threshold. This is the highest level.
    pub const SEEN: Self = Self(u64::MAX);

    /// Returns the level of a threshold.
    #[must_use]
    pub fn of(threshold: &Threshold) -> Self {
        Self::within(threshold.span().as_secs())
    }

    /// Returns the level of a threshold that is `seconds` long.
    #[must_use]
    pub fn within(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the level at which every threshold counts as announced that an expiry has entered at `now`, and no other one.
    #[must_use]
    pub fn until(expires_at: Timestamp, now: Timestamp) -> Self {
        let left = expires_at.duration_since(now).as_millis();
        // Rounded up, because a threshold is entered when no more than its whole seconds are left.
        let seconds = u64::try_from(left.max(1)).unwrap_or(u64::MAX).div_ceil(1_000);
        Self(seconds)
    }

    /// Returns the length of the threshold in seconds: 0 for [`Level::OVER`], `u64::MAX` for [`Level::SEEN`].
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn thresholds_that_an_expiry_has_entered_count_as_announced() {
        let until = |left_ms: i64| {
            let now = Timestamp::UNIX_EPOCH;
            Level::until(now + SignedDuration::from_millis(left_ms), now).seconds()
        };
        assert_eq!([86_400_000, 86_399_001, 86_400_001].map(until), [86_400, 86_400, 86_401]);
        assert_eq!([1, 0, -1, -86_400_000].map(until), [1; 4], "it is not over because of its expiry");
    }
}
