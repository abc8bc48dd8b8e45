//! The rules that decide whether a file matters to a run. Pure: the current time is an argument.

use globset::GlobSet;
use jiff::{SignedDuration, Timestamp};

use crate::config::RescueFiles;
use crate::model::text::nfc;
use crate::model::threshold::{Threshold, Thresholds};
use crate::model::{File, ScheduledPost, State};
use crate::scan::discovery::DiscoveryRules;

/// How long after its due time a post still needs its media, because the networks fetch it while the post is published.
const STILL_NEEDED: SignedDuration = SignedDuration::from_hours(1);

/// The rules that decide whether a file matters.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// When the run started.
    pub now: Timestamp,
    /// The thresholds of all channels of the run.
    pub thresholds: &'a Thresholds,
    /// `alerts.ignore`: files whose id or name matches one of these globs are skipped. The globs are in Unicode NFC.
    pub ignore: &'a GlobSet,
    /// Whether scheduled posts are checked.
    pub check_posts: bool,
    /// Whether Ayrshare may be asked to open URLs of posts that no gallery lists.
    pub check_urls: bool,
    /// Whether the run scans every profile of the configuration, and no entry of `[profiles_from]` is unusable.
    pub all_profiles: bool,
    /// How to look for profiles that nobody watches; `None` if the run does not.
    pub discovery: Option<DiscoveryRules<'a>>,
    /// Which files are copied into the store; `None` without `[rescue]`.
    pub copying: Option<&'a RescueFiles>,
}

impl Rules<'_> {
    /// Until when a post needs its files: an hour after it is due, or, without a due date, until the longest threshold.
    pub(super) fn needed_until(&self, post: &ScheduledPost) -> Timestamp {
        let until = match post.scheduled_at {
            // An overdue post is paused or not yet approved, so it may be published at any moment.
            Some(due) => due.max(self.now).checked_add(STILL_NEEDED),
            None => self.now.checked_add(self.thresholds.longest()),
        };
        until.unwrap_or(Timestamp::MAX)
    }

    /// Whether a file is to be copied because of its expiry, also if it is too far off to be announced.
    #[must_use]
    pub fn copies_expiring(&self, expires_at: Option<Timestamp>) -> bool {
        match self.copying {
            Some(RescueFiles::All) => true,
            Some(RescueFiles::Expiring(within)) => {
                expires_at.is_some_and(|at| within.is_entered(at.duration_since(self.now)))
            }
            Some(RescueFiles::OfPosts) | None => false,
        }
    }

    /// Decides whether one file matters.
    ///
    /// Skips files whose id or name matches `alerts.ignore`, and files that expire after the longest threshold. A file has
    /// expired when its expiry is `now` or earlier. It is within a threshold when `remaining <= threshold`, compared at
    /// Ayrshare's precision of one millisecond.
    pub(super) fn decide(&self, file: &impl File) -> Decision {
        let ignored = |text: Option<&str>| text.is_some_and(|text| self.ignore.is_match(&*nfc(text)));
        // Matching an empty `GlobSet` costs more than everything else here.
        if !self.ignore.is_empty() && (ignored(file.id()) || ignored(file.file_name())) {
            return Decision::Ignored;
        }
        let Some(expires_at) = file.expires_at() else { return Decision::Matters(State::Undated, None) };
        let remaining = expires_at.duration_since(self.now);
        if remaining.is_zero() || remaining.is_negative() {
            return Decision::Matters(State::Expired, None);
        }
        match self.thresholds.entered(remaining) {
            Some(threshold) => Decision::Matters(State::Expiring, Some(threshold.clone())),
            None => Decision::Later,
        }
    }
}

/// Whether a file matters to a run.
pub(super) enum Decision {
    /// It matches `alerts.ignore`.
    Ignored,
    /// It expires after the longest threshold.
    Later,
    /// It has this state, and is within this threshold.
    Matters(State, Option<Threshold>),
}
