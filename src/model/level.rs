//! How tight an announcement was: what the ledger compares.

use serde::{Deserialize, Serialize};

use super::threshold::Threshold;

/// How tight an announcement was: the seconds of its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(u64);

impl Level {
    /// It has expired, or is gone: nothing is tighter.
    pub const OVER: Self = Self(0);
    /// It was seen, and no threshold was entered: an undated file, or a post whose media expires far off.
    pub const SEEN: Self = Self(u64::MAX);

    /// Within a threshold.
    #[must_use]
    pub fn of(threshold: &Threshold) -> Self {
        Self::within(threshold.span().as_secs())
    }

    /// Within a threshold of so many seconds.
    #[must_use]
    pub fn within(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The seconds of the threshold, for [`Level::OVER`] 0.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }
}
