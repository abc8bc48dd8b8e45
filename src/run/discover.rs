//! Finding the profiles of the account that nobody watches.
//!
//! Nothing else depends on it: if it fails, one line is logged, and the run goes on.

use std::collections::HashMap;
use std::time::Duration;

use super::services::{LiveServices, ayrshare, slots};
use crate::config::Profile;
use crate::model::{AyrshareProfile, Discovery, DiscoveryStatus, Failure, FailureKind};
use crate::net::{Deadline, Slots};
use crate::run::loaded_config::LoadedConfig;
use crate::scan;
use crate::scan::discovery::{Comparison, ConfiguredProfile, DiscoveryRules};
use crate::scan::rules::Rules;

/// How long a run waits for the list of profiles once it has read the galleries. A call that hangs must not hold it up.
const MAX_AFTER_GALLERIES: Duration = Duration::from_secs(5);

/// The list of the profiles at Ayrshare.
pub(super) type AccountProfiles = Result<Vec<AyrshareProfile>, Failure>;

/// Waits a little for the list of profiles, after everything else was read.
pub(super) async fn soon(
    listed: impl Future<Output = Option<AccountProfiles>>,
    until: Deadline,
) -> Option<AccountProfiles> {
    let late = || {
        let message = "GET /profiles: no answer in time".to_owned();
        Some(Err(Failure { kind: FailureKind::Timeout, http_status: None, code: None, message }))
    };
    until.within(MAX_AFTER_GALLERIES).bound(listed).await.unwrap_or_else(late)
}

impl LiveServices<'_> {
    /// Reads the list of all profiles of the account; `None` when the run does not compare it.
    pub(super) async fn listed_profiles(
        &self,
        rules: &Rules<'_>,
        slots: &Slots,
        until: Deadline,
    ) -> Option<AccountProfiles> {
        rules.discovery?;
        Some(ayrshare(self.newest(), self.max_retries, slots).profiles(until).await)
    }

    /// Compares the list with the configured profiles. `ref_ids` are those that are known already, in the order of
    /// `profiles`; empty if there are none.
    pub(super) async fn discover(
        &self,
        listed: Option<AccountProfiles>,
        profiles: &[&Profile],
        ref_ids: Vec<Option<String>>,
        rules: &Rules<'_>,
        until: Deadline,
    ) -> Discovery {
        let (Some(listed), Some(discovery_rules)) = (listed, rules.discovery) else { return Discovery::default() };
        match listed {
            Ok(listed) => self.compare(listed, profiles, ref_ids, discovery_rules, rules, until).await,
            Err(failure) => {
                log(&failure);
                Discovery::unavailable()
            }
        }
    }

    async fn compare(
        &self,
        listed: Vec<AyrshareProfile>,
        profiles: &[&Profile],
        ref_ids: Vec<Option<String>>,
        discovery_rules: DiscoveryRules<'_>,
        rules: &Rules<'_>,
        until: Deadline,
    ) -> Discovery {
        let ref_ids = ref_ids.into_iter().chain(std::iter::repeat(None));
        let configured = profiles.iter().zip(ref_ids).map(|(profile, ref_id)| ConfiguredProfile {
            name: profile.name.clone(),
            is_primary: profile.key.is_none(),
            ref_id,
        });
        let mut comparison = Comparison::new(listed, configured, discovery_rules);
        let loaded = self.newest();
        let by_name: HashMap<_, _> = loaded.config.profiles.iter().map(|profile| (&profile.name, profile)).collect();
        loop {
            let asked = comparison.to_ask();
            if asked.is_empty() {
                break;
            }
            let newest = |index: &usize| by_name.get(&profiles[*index].name).copied().unwrap_or(profiles[*index]);
            let asked_about: Vec<_> = asked.iter().map(newest).collect();
            let slots = slots(loaded, rules);
            // Without retries: the next run asks again.
            let users = scan::read_users(&ayrshare(loaded, 0, &slots), &asked_about, until).await;
            asked.into_iter().zip(users).for_each(|(index, user)| comparison.learn(index, user));
        }
        let discovery = comparison.finish();
        if discovery.status == DiscoveryStatus::Unavailable {
            tracing::warn!(
                "it is not known which profiles nobody watches: Ayrshare does not say which profile some of the \
                 configured ones are"
            );
        }
        discovery
    }

    /// The configuration with the newest keys: if a key was replaced during the run, only the new one works.
    pub(super) fn newest(&self) -> &LoadedConfig {
        self.reload.reloaded().unwrap_or(self.loaded)
    }
}

fn log(failure: &Failure) {
    let Failure { kind, http_status, code, message } = failure;
    let kind_name = kind.as_str();
    // Plans without several profiles do not have the list, so this is not logged as a warning.
    if matches!(kind, FailureKind::Forbidden | FailureKind::NotFound) {
        tracing::info!(
            kind = kind_name,
            http_status,
            code,
            "profiles that nobody watches are not looked for: {message}"
        );
    } else {
        tracing::warn!(kind = kind_name, http_status, code, "it is not known which profiles nobody watches: {message}");
    }
}
