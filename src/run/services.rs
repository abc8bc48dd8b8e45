//! The real services of a run: Ayrshare and the channels, over the network.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::{Either, select};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::channel::{self, SendError};
use crate::config::{self, Channel, ChannelKind, Config, Profile, RescueFiles};
use crate::model::{Copies, Failure, ProfileName, ScheduledPost};
use crate::net::{self, Deadline, Slots};
use crate::run::download::Downloads;
use crate::run::loaded_config::{ConfigReload, LoadedConfig};
use crate::run::rescue::{CopyMode, CopyProgress, Rescue, files_to_copy};
use crate::run::{Outgoing, Services, discover};
use crate::scan;
use crate::scan::ayrshare::{Ayrshare, ScheduledPosts};
use crate::scan::posts::{PostCheck, UrlStatuses};
use crate::scan::rules::Rules;
use crate::scan::select::Gallery;
use crate::scan::survey::{Scan, Survey};
use crate::scan::used_files::FilesInPosts;

/// The longest reason for a failed channel, in characters.
const MAX_REASON: usize = 400;
/// How many requests a profile needs at least: one for its gallery and one for each status of a scheduled post.
const REQUESTS_OF_PROFILE: usize = 4;
/// The most requests to Ayrshare that are in flight at the same time. Each needs a connection, and Lambda allows a process
/// 1,024 open files and connections. A connection also needs up to 200 KB of memory.
const MAX_IN_FLIGHT: usize = 512;

/// The services that a configuration names.
#[derive(Clone, Copy)]
pub struct LiveServices<'a> {
    /// The configuration and its clients.
    pub loaded: &'a LoadedConfig,
    /// Reads the keys again when Ayrshare rejects them.
    pub reload: &'a ConfigReload<'a>,
    /// How often a failed request to Ayrshare is repeated.
    pub max_retries: usize,
    /// The profiles to scan first, because a request asked for them; the deadline should cut off others instead.
    pub first: &'a [&'a Profile],
    /// Called after each scanned profile, to show progress.
    pub on_scanned: &'a (dyn Fn() + Sync),
    /// Receives the progress of copying, to show it.
    pub on_copied: &'a (dyn Fn(CopyProgress<'_>) + Sync),
}

impl<'a> LiveServices<'a> {
    /// The services for a run that shows no progress.
    #[must_use]
    pub fn new(loaded: &'a LoadedConfig, reload: &'a ConfigReload<'a>) -> Self {
        Self { loaded, reload, max_retries: net::MAX_RETRIES, first: &[], on_scanned: &no_progress, on_copied: &|_| {} }
    }

    async fn deliver(&self, channel: &Channel, outgoing: &Outgoing<'_>, until: Deadline) -> Result<(), SendError> {
        let clients = &self.loaded.clients;
        let http = &clients.http;
        match &channel.kind {
            ChannelKind::Slack { webhook_url, .. } => {
                channel::slack::deliver(http, webhook_url, outgoing.body, until).await
            }
            ChannelKind::Sns { topic, .. } => {
                channel::sns::deliver(clients.sns(topic)?, topic, outgoing.body, until).await
            }
            ChannelKind::Webhook { url, secret } => {
                // The id contains the channel, because two channels may share an endpoint.
                let name = hex::encode(&Sha256::digest(&channel.name)[..4]);
                let id = format!("msg_{}_{name}_{}", outgoing.run_id, outgoing.index);
                channel::webhook::deliver(http, url, secret, &id, outgoing.body, until).await
            }
            ChannelKind::Email(email) => clients.ses()?.deliver(email, outgoing.body, until).await,
            ChannelKind::Teams { webhook_url } => {
                channel::teams::deliver(http, webhook_url, outgoing.body, until).await
            }
        }
    }

    async fn check(&self, channel: &Channel, until: Deadline) -> Result<(), SendError> {
        let clients = &self.loaded.clients;
        let http = &clients.http;
        match &channel.kind {
            ChannelKind::Slack { webhook_url, .. } => channel::slack::check(http, webhook_url, until).await,
            ChannelKind::Sns { topic, .. } => channel::sns::check(clients.sns(topic)?, topic, until).await,
            ChannelKind::Webhook { url, .. } => channel::webhook::check(http, url, until).await,
            ChannelKind::Email(email) => clients.ses()?.check(email, until).await,
            ChannelKind::Teams { webhook_url } => channel::teams::check(http, webhook_url, until).await,
        }
    }

    /// Reads the keys again if Ayrshare rejected some. Returns the profiles whose key has changed, with their indices.
    /// `failures` tells of each profile why it could not be read.
    ///
    /// A key may have been replaced since the configuration was read.
    async fn changed_keys<'p>(
        &'p self,
        profiles: &[&'p Profile],
        failures: impl Iterator<Item = Option<&Failure>>,
        until: Deadline,
    ) -> Option<(&'p LoadedConfig, Vec<usize>, Vec<&'p Profile>)> {
        let before = &self.loaded.config;
        let rejected: Vec<_> = failures
            .enumerate()
            .filter_map(|(index, failure)| failure?.kind.is_rejected_key().then_some(index))
            .collect();
        if rejected.is_empty() || !before.is_from_aws || self.max_retries == 0 {
            return None;
        }
        // The other half of the time is for asking Ayrshare again.
        let half = Deadline::after(until.remaining() / 2);
        let reloaded = self.reload.reload(self.loaded, half).await?;
        let config = &reloaded.config;
        let by_name = profiles_by_name(&config.profiles);
        let configured_before: HashSet<_> = before.profiles.iter().map(|profile| profile.name.as_str()).collect();
        let changed = |index: usize| {
            let name = profiles[index].name.as_str();
            // The keys of `[profiles_from]` were read by this run, so only the API key may have changed.
            let is_listed = !configured_before.contains(name);
            let profile = if is_listed { profiles[index] } else { *by_name.get(name)? };
            (keys(config, profile) != keys(before, profiles[index])).then_some((index, profile))
        };
        let (indices, again): (Vec<_>, Vec<_>) = rejected.into_iter().filter_map(changed).unzip();
        if again.is_empty() {
            return None;
        }
        tracing::info!("keys were replaced since they were read; {} profiles are read again", again.len());
        Some((reloaded, indices, again))
    }

    /// The posts of all profiles, and the files in them; `None` when posts are not checked.
    ///
    /// The deadline must leave time for the galleries. Posts that cannot be read in time are a failure of the posts alone.
    async fn posts(
        &self,
        profiles: &[&Profile],
        rules: &Rules<'_>,
        until: Deadline,
    ) -> (Option<Vec<ScheduledPosts>>, FilesInPosts) {
        let in_posts = Mutex::new(FilesInPosts::new(rules));
        let files = || in_posts.lock().unwrap_or_else(PoisonError::into_inner);
        if !rules.check_posts {
            return (None, std::mem::take(&mut files()));
        }
        // The files are indexed while other answers are on their way. At the end, nothing would be in flight meanwhile.
        let add = |posts: &[ScheduledPost]| files().add(posts, rules);
        let read = async |loaded: &LoadedConfig, profiles: &[&Profile]| {
            let slots = slots(loaded, rules);
            scan::read_posts(&ayrshare(loaded, self.max_retries, &slots), profiles, rules, until, &add).await
        };
        let mut posts = read(self.loaded, profiles).await;
        if let Some((reloaded, indices, again)) =
            self.changed_keys(profiles, posts.iter().map(|posts| posts.failed.as_ref()), until).await
        {
            for (index, result) in indices.into_iter().zip(read(reloaded, &again).await) {
                posts[index] = result;
            }
        }
        (Some(posts), std::mem::take(&mut files()))
    }

    async fn galleries(
        &self,
        profiles: &[&Profile],
        rules: &Rules<'_>,
        in_posts: &FilesInPosts,
        slots: &Slots,
        until: Deadline,
    ) -> Vec<Result<Gallery, Failure>> {
        let read = async |loaded: &LoadedConfig, profiles: &[&Profile], on_scanned: &(dyn Fn() + Sync)| {
            scan::read_galleries(
                &ayrshare(loaded, self.max_retries, slots),
                profiles,
                rules,
                in_posts,
                until,
                on_scanned,
            )
            .await
        };
        let mut galleries = read(self.loaded, profiles, self.on_scanned).await;
        if let Some((reloaded, indices, again)) =
            self.changed_keys(profiles, galleries.iter().map(|gallery| gallery.as_ref().err()), until).await
        {
            for (index, result) in indices.into_iter().zip(read(reloaded, &again, &no_progress).await) {
                galleries[index] = result;
            }
        }
        galleries
    }

    /// Lets Ayrshare open the URLs that no gallery lists.
    async fn url_statuses(
        &self,
        urls: &[(ProfileName, String)],
        profiles: &[&Profile],
        rules: &Rules<'_>,
        until: Deadline,
    ) -> UrlStatuses {
        let loaded = self.newest();
        let mut by_name = profiles_by_name(profiles.iter().copied());
        by_name.extend(profiles_by_name(&loaded.config.profiles));
        let urls: Vec<_> =
            urls.iter().filter_map(|(name, url)| Some((*by_name.get(name.as_str())?, url.as_str()))).collect();
        let slots = slots(loaded, rules);
        scan::check_urls(&ayrshare(loaded, self.max_retries, &slots), &urls, until).await
    }

    /// The reason of an error, without secrets that the service repeated.
    fn reason(&self, error: &SendError) -> String {
        self.newest().clients.redactor.quote(&error.reason, MAX_REASON)
    }
}

fn no_progress() {}

fn profiles_by_name<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> HashMap<&'a str, &'a Profile> {
    profiles.into_iter().map(|profile| (profile.name.as_str(), profile)).collect()
}

pub(super) fn slots(loaded: &LoadedConfig, rules: &Rules<'_>) -> Slots {
    Slots::new(in_flight(loaded.config.ayrshare.concurrency, rules.check_posts))
}

/// Returns how many requests may be in flight when this many profiles are read at the same time.
fn in_flight(concurrency: usize, checks_posts: bool) -> usize {
    let of_profile = if checks_posts { REQUESTS_OF_PROFILE } else { 1 };
    concurrency.saturating_mul(of_profile).min(MAX_IN_FLIGHT)
}

pub(super) fn ayrshare<'a>(loaded: &'a LoadedConfig, max_retries: usize, slots: &'a Slots) -> Ayrshare<'a> {
    let settings = &loaded.config.ayrshare;
    Ayrshare {
        http: &loaded.clients.http,
        base_url: &settings.base_url,
        api_key: &settings.api_key,
        timeout: settings.timeout,
        max_retries,
        redactor: &loaded.clients.redactor,
        slots,
    }
}

/// The keys that a profile is read with. Both sides of the comparison are our own, so its duration reveals nothing.
fn keys<'a>(config: &'a Config, profile: &'a Profile) -> (&'a str, Option<&'a str>) {
    (config.ayrshare.api_key.expose_secret(), profile.key.as_ref().map(SecretString::expose_secret))
}

impl Services for LiveServices<'_> {
    fn now(&self) -> Timestamp {
        super::execute::now()
    }

    async fn scan(&self, profiles: &[&Profile], rules: &Rules<'_>, until: Deadline) -> Survey {
        // The posts of a profile take three requests, and its gallery takes one. If requests for posts hang and the galleries
        // had no share of the time, no gallery could be read and nothing would be announced.
        let for_posts = until.within(until.remaining() * 3 / 4);
        let first: HashSet<_> = self.first.iter().map(|profile| &profile.name).collect();
        let mut order: Vec<_> = (0..profiles.len()).collect();
        order.sort_by_key(|index| !first.contains(&profiles[*index].name));
        let ordered: Vec<_> = order.iter().map(|index| profiles[*index]).collect();

        let (posts, in_posts) = self.posts(&ordered, rules, for_posts).await;
        let ref_ids: Vec<_> = posts.iter().flatten().map(|posts| posts.ref_id.clone()).collect();
        // The list of profiles is asked for first, or it would have to wait for the slots of all galleries.
        let slots = slots(self.loaded, rules);
        // Boxed, because these futures are large.
        let listed = Box::pin(self.listed_profiles(rules, &slots, until));
        let galleries = Box::pin(self.galleries(&ordered, rules, &in_posts, &slots, until));
        let (listed, galleries) = match select(listed, galleries).await {
            Either::Left((listed, galleries)) => (listed, galleries.await),
            Either::Right((galleries, listed)) => (discover::soon(listed, until).await, galleries),
        };
        drop(in_posts);
        let mut posts = posts.into_iter().flatten();
        let scanned = ordered.iter().zip(galleries);
        let scan =
            |(profile, media): (&&Profile, _)| Scan { profile: profile.name.clone(), media, posts: posts.next() };
        let mut scans: Vec<_> = order.into_iter().zip(scanned.map(scan)).collect();
        scans.sort_by_key(|(index, _)| *index);
        let scans: Vec<_> = scans.into_iter().map(|(_, scan)| scan).collect();

        let checked = {
            let known: Vec<_> = scans.iter().map(Scan::known).collect();
            let check = PostCheck::new(&known, rules);
            let checked = check.finish(&UrlStatuses::new());
            match checked.urls_to_open() {
                urls if urls.is_empty() => checked,
                urls => {
                    drop(checked);
                    check.finish(&self.url_statuses(&urls, profiles, rules, until).await)
                }
            }
        };
        let discovery = Box::pin(self.discover(listed, &ordered, ref_ids, rules, until)).await;
        Survey { discovery, ..Survey::new(rules.now, scans, checked) }
    }

    async fn copies(&self, survey: &Survey, files: &RescueFiles, mode: CopyMode, until: Deadline) -> Copies {
        let LoadedConfig { config, clients, .. } = self.loaded;
        let (Some(store), Some(rescue)) = (&clients.store, &config.rescue) else { return Copies::default() };
        let base_url = &config.ayrshare.base_url;
        let downloads = Downloads {
            http: &clients.http,
            allow_loopback: base_url.scheme() == "http" && config::is_loopback(base_url),
            max_file_bytes: rescue.max_file_bytes,
        };
        let rescue = Rescue { downloads, store, on_progress: self.on_copied };
        Box::pin(rescue.copy(&files_to_copy(survey, files), mode, until)).await
    }

    async fn send(&self, channel: &Channel, outgoing: &Outgoing<'_>, until: Deadline) -> Result<(), SendError> {
        let sent = self.deliver(channel, outgoing, until).await;
        sent.map_err(|error| SendError { reason: self.reason(&error), ..error })
    }

    async fn check(&self, channel: &Channel, until: Deadline) -> Result<(), String> {
        let check = || self.check(channel, until);
        net::retrying(until, check, |error| error.retry).await.map_err(|error| self.reason(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_on_lambda_has_enough_connections_for_every_concurrency() {
        assert_eq!([8, 128, 256].map(|concurrency| in_flight(concurrency, false)), [8, 128, 256]);
        assert_eq!([8, 128, 256].map(|concurrency| in_flight(concurrency, true)), [32, 512, 512]);
        // Half of the open files are left for the channels, AWS and the resolution of names.
        assert!((1..=256).all(|concurrency| in_flight(concurrency, true) <= 1_024 / 2));
    }
}
