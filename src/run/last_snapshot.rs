//! The last snapshot of this process: a survey of all profiles that answers reports without asking Ayrshare.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Failure, FailureKind, ProfileName};
use crate::scan::survey::{Survey, SurveyedProfile};

/// How old a snapshot may be when a report is answered from it.
const MAX_AGE: Duration = Duration::from_mins(1);

/// The last survey of all profiles with the thresholds of all channels.
///
/// It belongs to one configuration, because another one may have other profiles and thresholds.
#[derive(Debug, Default)]
pub struct LastSnapshot(Mutex<Option<Arc<Snapshot>>>);

/// A survey of all profiles, with what is known about its making.
#[derive(Debug)]
pub struct Snapshot {
    /// The survey.
    pub survey: Arc<Survey>,
    /// The profiles that were read first, because a request asked for them.
    first: HashSet<ProfileName>,
    /// The profiles that the deadline cut off.
    cut_off: HashSet<ProfileName>,
}

impl Snapshot {
    /// Whether a new snapshot that reads the profiles in `asked` first would find no more about them.
    #[must_use]
    pub fn covers(&self, asked: &[&ProfileName]) -> bool {
        let is_first = || asked.len() == self.first.len() && asked.iter().all(|name| self.first.contains(*name));
        asked.iter().all(|name| !self.cut_off.contains(*name)) || is_first()
    }
}

impl LastSnapshot {
    /// Keeps a survey for which the profiles in `first` were read first, unless no profile could be read.
    pub fn keep<'p>(&self, survey: &Arc<Survey>, first: impl IntoIterator<Item = &'p ProfileName>) {
        if survey.checked() == 0 {
            return;
        }
        let is_out_of_time = |failure: &Failure| failure.kind == FailureKind::OutOfTime;
        let is_cut_off = |profile: &&SurveyedProfile| {
            let posts = profile.posts.as_ref().and_then(|posts| posts.as_ref().err());
            profile.failed.as_ref().or(posts).is_some_and(is_out_of_time)
        };
        let cut_off = survey.profiles.iter().filter(is_cut_off).map(|profile| profile.name.clone()).collect();
        let first = first.into_iter().cloned().collect();
        *self.kept() = Some(Arc::new(Snapshot { survey: Arc::clone(survey), first, cut_off }));
    }

    /// Returns the last snapshot if it is fresh at `now`.
    ///
    /// A snapshot may have started after a request that waited for it, so it may be younger than `now`, too.
    #[must_use]
    pub fn fresh(&self, now: Timestamp) -> Option<Arc<Snapshot>> {
        let snapshot = self.kept().clone()?;
        (now.duration_since(snapshot.survey.now).unsigned_abs() <= MAX_AGE).then_some(snapshot)
    }

    /// Drops the last snapshot, so that memory holds one survey only while the next one is made.
    pub fn forget(&self) {
        *self.kept() = None;
    }

    /// Takes over the snapshot of another configuration that has the same profiles and thresholds.
    pub fn take_over(&self, other: &Self) {
        *self.kept() = other.kept().take();
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::digest::fixtures::{now, survey};
    use crate::scan::posts::CheckedPosts;

    #[test]
    fn a_snapshot_is_kept_for_a_minute_unless_no_profile_was_read() {
        let last = LastSnapshot::default();
        let after = |ms: i64| last.fresh(now() + SignedDuration::from_millis(ms)).is_some();
        last.keep(&Arc::new(Survey::new(now(), Vec::new(), CheckedPosts::default())), []);
        assert!(!after(0));
        last.keep(&Arc::new(survey()), []);
        assert!(after(0) && after(60_000) && after(-1_000));
        // A clock that was set back does not keep a snapshot fresh for ever.
        assert!(!after(60_001) && !after(-60_001));
        last.forget();
        assert!(!after(0));
    }

    #[test]
    fn a_snapshot_that_was_cut_off_answers_for_the_profiles_that_it_read() {
        let [office, acme, cafe] = ["Head office", "Acme Coffee", "Café 東京"].map(ProfileName::new);
        let mut survey = survey();
        let failed = survey.profiles[1].failed.as_mut().expect("Acme Coffee fails");
        failed.kind = FailureKind::OutOfTime;
        let last = LastSnapshot::default();
        let answers = |asked: &[&ProfileName]| last.fresh(now()).is_some_and(|snapshot| snapshot.covers(asked));

        last.keep(&Arc::new(survey.clone()), [&office]);
        assert!(answers(&[&office]) && answers(&[&office, &cafe]));
        assert!(!answers(&[&acme]) && !answers(&[&office, &acme, &cafe]));
        // Looking again would not get any further than this.
        last.keep(&Arc::new(survey), [&acme, &office]);
        assert!(answers(&[&office, &acme]) && !answers(&[&acme]));
    }

    #[test]
    fn a_renewed_configuration_takes_over_the_snapshot() {
        let (before, after) = (LastSnapshot::default(), LastSnapshot::default());
        before.keep(&Arc::new(survey()), []);
        after.take_over(&before);
        assert!(after.fresh(now()).is_some() && before.fresh(now()).is_none());
    }
}
