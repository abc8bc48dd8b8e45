//! The profiles of one run: those of the configuration, and those of `[profiles_from]`, which each run reads again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::command::InvalidCommand;
use super::loaded_config::LoadedConfig;
use crate::config::{Channel, Config, ListedProfiles, Profile};
use crate::model::{FailedProfile, Listing, ListingOrigin, PROFILES_FROM, Part, ProfileName, Tags};
use crate::net::Deadline;
use crate::net::aws::Aws;

/// The longest time for reading `[profiles_from]`, with all attempts.
const MAX_TO_READ: Duration = Duration::from_mins(1);

/// The last list that this process has read. It is used while the list cannot be read.
#[derive(Debug, Default)]
pub struct KeptList(Mutex<Option<Arc<ListedProfiles>>>);

impl KeptList {
    fn get(&self) -> Option<Arc<ListedProfiles>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, listed: Arc<ListedProfiles>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(listed);
    }

    /// Takes over the copy of another configuration that reads the same list.
    pub fn take_over(&self, other: &Self) {
        if let Some(listed) = other.get() {
            self.keep(listed);
        }
    }
}

/// The profiles that a run can check.
#[derive(Debug)]
pub struct Roster<'a> {
    configured: &'a [Profile],
    listed: Option<Arc<ListedProfiles>>,
    /// The outcome of reading `[profiles_from]`.
    pub listing: Listing,
    /// How long reading it took. This is a part of the run.
    pub took: Duration,
}

impl<'a> Roster<'a> {
    /// Returns the profiles of `[[profiles]]` alone.
    #[must_use]
    pub fn configured(config: &'a Config) -> Self {
        Self { configured: &config.profiles, listed: None, listing: Listing::default(), took: Duration::ZERO }
    }

    /// Reads the profiles, with a third of the time until the deadline.
    ///
    /// The keys that are read become secrets of the redactor before anybody else sees them.
    pub async fn read(loaded: &'a LoadedConfig, aws: &Aws, deadline: Deadline) -> Self {
        let LoadedConfig { config, clients, kept_list, .. } = loaded;
        let Some(list) = &config.profiles_from else { return Self::configured(config) };
        let began = Instant::now();
        let until = deadline.within(MAX_TO_READ.min(deadline.remaining() / 3));
        let (listed, origin, failure) = match list.read(&config.profiles, aws, until).await {
            Ok(listed) => {
                let keys = listed.profiles.iter().filter_map(|profile| profile.key.as_ref());
                clients.redactor.learn(keys.map(|key| key.expose_secret().to_owned()));
                let listed = Arc::new(listed);
                kept_list.keep(Arc::clone(&listed));
                tracing::info!(profiles = listed.profiles.len(), invalid = listed.failed.len(), "read {PROFILES_FROM}");
                (Some(listed), ListingOrigin::Read, None)
            }
            Err(failure) => {
                let listed = kept_list.get();
                let origin = if listed.is_some() { ListingOrigin::Copy } else { ListingOrigin::Missing };
                let kind = failure.kind.as_str();
                let has_copy = listed.is_some();
                tracing::error!(
                    kind,
                    http_status = failure.http_status,
                    has_copy,
                    "{PROFILES_FROM} cannot be read: {}",
                    failure.message
                );
                (listed, origin, Some(failure))
            }
        };
        let profile = || ProfileName::new(PROFILES_FROM);
        let of_list = failure.map(|failure| FailedProfile { profile: profile(), what: Part::Profiles, failure });
        let of_entries = listed.iter().flat_map(|listed| &listed.failed).cloned();
        let failed: Vec<_> = of_list.into_iter().chain(of_entries).collect();
        if origin == ListingOrigin::Read {
            for FailedProfile { profile, failure, .. } in &failed {
                tracing::warn!(%profile, kind = failure.kind.as_str(), "an entry of {PROFILES_FROM} cannot be used: {}", failure.message);
            }
        }
        let profiles = listed.as_ref().map_or(0, |listed| listed.profiles.len());
        let listing = Listing { origin, profiles, failed };
        Self { configured: &config.profiles, listed, listing, took: began.elapsed() }
    }

    /// Returns all profiles: those of the configuration, then those of the list, each in their order.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> + Clone {
        self.configured.iter().chain(self.listed.iter().flat_map(|listed| &listed.profiles))
    }

    /// Adds to an unknown name that the list it may be in could not be read.
    pub(super) fn explain(&self, error: InvalidCommand) -> InvalidCommand {
        match (self.listing.origin, self.listing.failed.first()) {
            (ListingOrigin::Copy | ListingOrigin::Missing, Some(failed)) => {
                InvalidCommand::UnreadList { unknown: Box::new(error), reason: failed.failure.message.clone() }
            }
            _ => error,
        }
    }

    /// Returns the name and the tags of each profile.
    pub fn known(&self) -> impl Iterator<Item = (&ProfileName, &Tags)> + Clone {
        self.profiles().map(|profile| (&profile.name, &profile.tags))
    }
}

/// Returns the part of a listing that a channel is told.
///
/// An entry is reported to the channels that select its name. If there are none, or if the whole list cannot be read, every
/// channel that may receive profiles of the list is told, so that nothing is omitted silently.
#[must_use]
pub fn listing_of(channel: &Channel, config: &Config, listing: &Listing) -> Listing {
    let may_have_listed = channel.audience.may_include_others(&config.profiles);
    let concerns =
        |channel: &Channel, failed: &FailedProfile| channel.audience.includes(&failed.profile, &Tags::default());
    let is_told = |failed: &&FailedProfile| {
        if failed.is_of_list() {
            return may_have_listed;
        }
        concerns(channel, failed) || may_have_listed && !config.channels.iter().any(|channel| concerns(channel, failed))
    };
    let origin = if may_have_listed { listing.origin } else { ListingOrigin::None };
    Listing { origin, profiles: listing.profiles, failed: listing.failed.iter().filter(is_told).cloned().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, FailureKind};
    use crate::net::environment::Environment;
    use crate::run::command::Command;

    #[tokio::test]
    async fn what_is_wrong_in_a_list_is_told_to_whom_it_concerns_and_to_somebody() {
        let document = |extra: &str| {
            let arn = "topic_arn = 'arn:aws:sns:eu-central-1:123456789012:alerts'\ntype = 'sns'";
            format!(
                "ayrshare = {{api_key = 'KEY'}}\nprofiles = [{{name = 'Office', primary = true}}]\n\
                 profiles_from = {{url = '/lists/profiles.jsonl'}}\n\
                 [[channels]]\nname = 'office'\n{arn}\nprofiles = ['Office']\n\
                 [[channels]]\nname = 'acme'\n{arn}\nprofiles = ['Acme *']\n\
                 [[channels]]\nname = 'emea'\n{arn}\ntags = ['emea']\n{extra}"
            )
        };
        let environment = &Environment::of::<&str, &str>([]);
        let without_all = Config::read(&document(""), environment).await.expect("a configuration");
        let all =
            "[[channels]]\nname = 'all'\ntype = 'sns'\ntopic_arn = 'arn:aws:sns:eu-central-1:123456789012:alerts'";
        let with_all = Config::read(&document(all), environment).await.expect("a configuration");
        let told = |config: &Config, name: &str| -> Vec<String> {
            let failure =
                Failure { kind: FailureKind::InvalidEntry, http_status: None, code: None, message: String::new() };
            let failed = FailedProfile { profile: ProfileName::new(name), what: Part::Profiles, failure };
            let listing = Listing { origin: ListingOrigin::Read, profiles: 1, failed: vec![failed] };
            let is_told = |channel: &&Channel| !listing_of(channel, config, &listing).failed.is_empty();
            config.channels.iter().filter(is_told).map(|channel| channel.name.clone()).collect()
        };
        assert_eq!(told(&with_all, PROFILES_FROM), ["acme", "emea", "all"]);
        assert_eq!(told(&with_all, "Acme Coffee"), ["acme", "all"]);
        assert_eq!(told(&with_all, "profiles_from[7]"), ["all"]);
        assert_eq!(told(&without_all, "Acme Coffee"), ["acme"]);
        assert_eq!(told(&without_all, "profiles_from[7]"), ["acme", "emea"], "it may be anybody's");
    }

    #[tokio::test]
    async fn a_run_has_all_profiles_if_it_is_about_all_and_their_list_was_read() {
        let channel =
            "[[channels]]\nname = 'all'\ntype = 'sns'\ntopic_arn = 'arn:aws:sns:eu-central-1:123456789012:alerts'";
        let environment = &Environment::of::<&str, &str>([]);
        let document = |name: &str, list: &str| {
            format!("ayrshare = {{api_key = 'KEY'}}\nprofiles = [{{name = '{name}', key = '{name}'}}]\n{list}{channel}")
        };
        let list = "profiles_from = {url = '/lists/profiles.jsonl'}\n";
        let config = Config::read(&document("Office", list), environment).await.expect("a configuration");
        let other = Config::read(&document("Acme", ""), environment).await.expect("a configuration");
        let listed = Arc::new(ListedProfiles { profiles: other.profiles, failed: Vec::new() });
        let has_all = |origin, listed: Option<&Arc<ListedProfiles>>, profiles: Option<&str>| {
            let listing = Listing { origin, ..Listing::default() };
            let roster = Roster { listed: listed.cloned(), listing, ..Roster::configured(&config) };
            let profiles = profiles.map(|name| vec![name.to_owned()]);
            let command = Command { profiles, ..Command::default() };
            command.plan(&config, &roster).expect("a plan").has_all_profiles()
        };
        assert!(has_all(ListingOrigin::Read, Some(&listed), None));
        assert!(!has_all(ListingOrigin::Read, Some(&listed), Some("Office")), "as many as are configured");
        assert!(!has_all(ListingOrigin::Copy, Some(&listed), None));
        assert!(!has_all(ListingOrigin::Missing, None, None), "the list may have others");
    }
}
