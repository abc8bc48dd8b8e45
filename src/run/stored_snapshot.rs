//! The snapshot in the store, and which reports can be made from it.
//!
//! A report is made from it if two conditions hold:
//!
//! - Its rules cover those of the configuration.
//! - It contains every configured profile that the report is about. Otherwise a missing profile would look free of problems.
//!
//! Profiles and thresholds that are no longer configured are not shown. `[profiles_from]` is not read for a report, so the
//! report shows those of its profiles that the alert run has read. The age of the snapshot does not matter, because the report
//! shows it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::model::ProfileName;
use crate::model::threshold::Thresholds;
use crate::net::Deadline;
use crate::run::command::Command;
use crate::run::loaded_config::LoadedConfig;
use crate::scan::survey::Survey;
use crate::store::snapshot::{self, Manifest, SnapshotRules};
use crate::store::{Store, StoreError};

/// The longest time for reading the store. There must be time for a snapshot of its own after a store that hangs.
const MAX_TO_READ: Duration = Duration::from_secs(8);

/// What this process knows of the snapshot in the store, so that it is not read again for each request.
#[derive(Debug, Default)]
pub struct StoredSnapshot(Mutex<Option<KnownSnapshot>>);

#[derive(Debug)]
struct KnownSnapshot {
    run_id: String,
    /// The profiles that it can answer for; none when it cannot be used.
    profiles: HashSet<ProfileName>,
    /// The snapshot, unless its memory was needed for another one.
    survey: Option<Arc<Survey>>,
}

impl StoredSnapshot {
    /// Remembers the snapshot of a run. It must contain only what is configured.
    pub fn keep(&self, run_id: &str, survey: &Arc<Survey>) {
        let profiles = survey.profiles.iter().map(|profile| profile.name.clone()).collect();
        *self.known() = Some(KnownSnapshot { run_id: run_id.to_owned(), profiles, survey: Some(Arc::clone(survey)) });
    }

    /// Remembers that the snapshot of a run cannot be used.
    fn reject(&self, run_id: &str) {
        *self.known() = Some(KnownSnapshot { run_id: run_id.to_owned(), profiles: HashSet::new(), survey: None });
    }

    /// Frees the memory of the snapshot, so that there is room for another one.
    pub fn release(&self) {
        if let Some(known) = &mut *self.known() {
            known.survey = None;
        }
    }

    /// Takes over what another configuration with the same profiles and rules knows.
    pub fn take_over(&self, other: &Self) {
        *self.known() = other.known().take();
    }

    /// Returns whether the snapshot of a run answers a command, if that is known, and the snapshot.
    fn answer(&self, run_id: &str, command: &Command, config: &Config) -> Option<(bool, Option<Arc<Survey>>)> {
        let known = self.known();
        let known = known.as_ref().filter(|known| known.run_id == run_id)?;
        let has = |name: &ProfileName| known.profiles.contains(name);
        let has_all = match &command.profiles {
            Some(names) if !command.is_limited_to_channels => names.iter().all(|name| has(&ProfileName::new(name))),
            _ => {
                let configured = config.profiles.iter().map(|profile| (&profile.name, &profile.tags));
                command.select(config, configured).is_ok_and(|asked| asked.into_iter().all(has))
            }
        };
        Some((has_all && !known.profiles.is_empty(), known.survey.clone()))
    }

    fn known(&self) -> MutexGuard<'_, Option<KnownSnapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the snapshot in the store, if it answers a command.
///
/// A store that cannot be read is one line in the log. The function then scans the profiles itself.
pub(crate) async fn newest(
    loaded: &LoadedConfig,
    command: &Command,
    now: Timestamp,
    deadline: Deadline,
) -> Option<Arc<Survey>> {
    let store = loaded.clients.store.as_ref()?;
    let until = deadline.within(MAX_TO_READ.min(deadline.remaining() / 2));
    match until.bound(read(store, loaded, command, now, until)).await {
        Some(Ok(snapshot)) => return snapshot,
        Some(Err(error)) => tracing::warn!("the snapshot of the last run cannot be shown: {error}"),
        None => tracing::warn!("the snapshot of the last run cannot be shown: the store did not answer in time"),
    }
    None
}

async fn read(
    store: &Store,
    loaded: &LoadedConfig,
    command: &Command,
    now: Timestamp,
    until: Deadline,
) -> Result<Option<Arc<Survey>>, StoreError> {
    let LoadedConfig { config, last_snapshot, stored_snapshot, .. } = loaded;
    let Some(mut manifest) = snapshot::newest(store, until).await? else { return Ok(None) };
    let mut is_first = true;
    loop {
        match stored_snapshot.answer(&manifest.run_id, command, config) {
            Some((false, _)) => return Ok(None),
            Some((true, Some(snapshot))) => return Ok(selects_any(command, config, &snapshot).then_some(snapshot)),
            Some((true, None)) | None => {}
        }
        if !manifest.rules.cover(&SnapshotRules::of(config)) {
            return Ok(None);
        }
        // Memory holds one snapshot at a time, except for one that may have to answer if this one does not.
        stored_snapshot.release();
        if last_snapshot.fresh(now).is_none() {
            last_snapshot.forget();
        }
        let error = match snapshot::read(store, &manifest, until).await {
            Ok(survey) => {
                let survey = Arc::new(of_configuration(survey, &manifest, config));
                if survey.checked() == 0 {
                    stored_snapshot.reject(&manifest.run_id);
                } else {
                    stored_snapshot.keep(&manifest.run_id, &survey);
                }
                let answer = stored_snapshot.answer(&manifest.run_id, command, config);
                let snapshot = answer.and_then(|(has_all, snapshot)| snapshot.filter(|_| has_all));
                return Ok(snapshot.filter(|snapshot| selects_any(command, config, snapshot)));
            }
            Err(error) => error,
        };
        // A run that has just ended deletes the parts of the snapshot before.
        let newer = snapshot::newest(store, until).await?.filter(|newer| newer.run_id != manifest.run_id);
        let Some(newer) = newer.filter(|_| is_first) else {
            if matches!(error, StoreError::Unusable { .. }) {
                stored_snapshot.reject(&manifest.run_id);
            }
            return Err(error);
        };
        (manifest, is_first) = (newer, false);
    }
}

/// The part of a snapshot that is still configured, with the tags that are configured now.
fn of_configuration(mut survey: Survey, manifest: &Manifest, config: &Config) -> Survey {
    let configured: HashMap<_, _> = config.profiles.iter().map(|profile| (&profile.name, &profile.tags)).collect();
    // The profiles of the list follow those of the configuration.
    let of_configuration = survey.profiles.len().saturating_sub(survey.listing.profiles);
    let mut names = Vec::with_capacity(survey.profiles.len());
    for (index, profile) in survey.profiles.iter_mut().enumerate() {
        let tags = configured.get(&profile.name);
        if let Some(tags) = tags {
            profile.tags = (*tags).clone();
        }
        if tags.is_some() || of_configuration <= index {
            names.push(profile.name.clone());
        }
    }
    let has_same_profiles = names.len() == survey.profiles.len() && configured.len() == of_configuration;
    if has_same_profiles && manifest.rules == SnapshotRules::of(config) {
        return survey;
    }
    let thresholds = config.channels.iter().flat_map(|channel| channel.thresholds.iter().cloned());
    let Some(thresholds) = Thresholds::new(thresholds) else { return survey };
    // Whether somebody watches a profile depends on the configuration, so nothing is said of those that nobody watches.
    Survey { listing: survey.listing.clone(), ..survey.narrowed(&names.iter().collect::<Vec<_>>(), &thresholds) }
}

/// Whether a snapshot has a profile that a command is about. A link whose profiles have all come since needs a new snapshot.
fn selects_any(command: &Command, config: &Config, snapshot: &Survey) -> bool {
    command.select(config, snapshot.known()).is_ok_and(|selected| !selected.is_empty())
}
