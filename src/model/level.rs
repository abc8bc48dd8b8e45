//! The level of an announcement: how urgent it was. The ledger records it, and the next run compares it.

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

    /// Returns the length of the threshold in seconds: 0 for [`Level::OVER`], `u64::MAX` for [`Level::SEEN`].
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }
}
