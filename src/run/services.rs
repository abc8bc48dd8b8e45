//! The world outside of a run: Ayrshare and the channels, over the network.

use std::collections::HashMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::channel::{self, SendError};
use crate::config::{Channel, ChannelKind, Config, Profile};
use crate::model::FailureKind;
use crate::net::{self, Deadline};
use crate::run::loaded::{Ready, Renewal};
use crate::run::{Outgoing, Services};
use crate::scan::ayrshare::Ayrshare;
use crate::scan::scan;
use crate::scan::select::Rules;
use crate::scan::survey::{Scan, Survey};

/// Characters of the reason why a channel failed.
const MAX_REASON: usize = 400;

/// The services that a configuration names.
#[derive(Clone, Copy)]
pub struct Network<'a> {
    /// Which they are, and what talks to them.
    pub ready: &'a Ready,
    /// Reads the keys anew when Ayrshare does not take them.
    pub renewal: &'a Renewal<'a>,
    /// How often a failed request to Ayrshare is repeated.
    pub max_retries: usize,
    /// The profiles to look at first, or an empty list: whoever waits for these must not lose them to the deadline.
    pub first: &'a [&'a Profile],
    /// Is called after each profile that was looked at, for whoever waits.
    pub looked_at: &'a (dyn Fn() + Sync),
}

impl<'a> Network<'a> {
    /// The services for a run that nobody watches.
    #[must_use]
    pub fn new(ready: &'a Ready, renewal: &'a Renewal<'a>) -> Self {
        Self { ready, renewal, max_retries: net::MAX_RETRIES, first: &[], looked_at: &nobody_waits }
    }

    async fn deliver(&self, channel: &Channel, outgoing: &Outgoing<'_>, until: Deadline) -> Result<(), SendError> {
        let clients = &self.ready.clients;
        let http = &clients.http;
        match &channel.kind {
            ChannelKind::Slack { webhook_url } => {
                channel::slack::deliver(http, webhook_url, outgoing.body, until).await
            }
            ChannelKind::Sns { topic, .. } => {
                channel::sns::deliver(clients.sns(topic)?, topic, outgoing.body, until).await
            }
            ChannelKind::Webhook { url, secret } => {
                // The channel is a part of it: two channels may share an endpoint.
                let name = hex::encode(&Sha256::digest(&channel.name)[..4]);
                let id = format!("msg_{}_{name}_{}", outgoing.run_id, outgoing.index);
                channel::webhook::deliver(http, url, secret, &id, outgoing.body, until).await
            }
        }
    }

    async fn check(&self, channel: &Channel, until: Deadline) -> Result<(), SendError> {
        let clients = &self.ready.clients;
        let http = &clients.http;
        match &channel.kind {
            ChannelKind::Slack { webhook_url } => channel::slack::check(http, webhook_url, until).await,
            ChannelKind::Sns { topic, .. } => channel::sns::check(clients.sns(topic)?, topic, until).await,
            ChannelKind::Webhook { url, .. } => channel::webhook::check(http, url, until).await,
        }
    }

    /// Looks at profiles with the keys of a configuration.
    async fn look(&self, ready: &Ready, profiles: &[&Profile], rules: &Rules<'_>, until: Deadline) -> Vec<Scan> {
        let settings = &ready.config.ayrshare;
        let ayrshare = Ayrshare {
            http: &ready.clients.http,
            base_url: &settings.base_url,
            api_key: &settings.api_key,
            timeout: settings.timeout,
            max_retries: self.max_retries,
            redactor: &ready.clients.redactor,
        };
        scan(&ayrshare, profiles, self.first, settings.concurrency, rules, until, self.looked_at).await
    }

    /// Looks again at the profiles whose key Ayrshare refused, once that key was changed where it is kept.
    async fn look_again(&self, profiles: &[&Profile], rules: &Rules<'_>, until: Deadline, scans: &mut [Scan]) {
        let before = &self.ready.config;
        let refused: Vec<_> = (0..scans.len()).filter(|index| is_refused(&scans[*index])).collect();
        if refused.is_empty() || !before.is_from_aws {
            return;
        }
        // The other half is for looking again.
        let half = Deadline::after(until.remaining() / 2);
        let Some(renewed) = self.renewal.renew(self.ready, half).await else { return };
        let config = &renewed.config;
        let by_name: HashMap<_, _> = config.profiles.iter().map(|profile| (profile.name.as_str(), profile)).collect();
        let changed = |index: usize| {
            let profile = *by_name.get(profiles[index].name.as_str())?;
            (keys(config, profile) != keys(before, profiles[index])).then_some((index, profile))
        };
        let (indices, again): (Vec<_>, Vec<_>) = refused.into_iter().filter_map(changed).unzip();
        if again.is_empty() {
            return;
        }
        tracing::info!("keys were changed where they are kept; {} profiles are looked at again", again.len());
        let scanned = Self { looked_at: &nobody_waits, ..*self }.look(renewed, &again, rules, until).await;
        for (index, scan) in indices.into_iter().zip(scanned) {
            scans[index] = scan;
        }
    }

    /// The reason of an error, without what a service repeated of our secrets.
    fn reason(&self, error: &SendError) -> String {
        self.renewal.renewed().unwrap_or(self.ready).clients.redactor.quote(&error.reason, MAX_REASON)
    }
}

fn nobody_waits() {}

/// Whether it may be the key: a wrong API key is answered with 401, a wrong profile key with 403 or 404.
fn is_refused(scan: &Scan) -> bool {
    let failures = [scan.media.as_ref().err(), scan.posts.as_ref().and_then(|posts| posts.as_ref().err())];
    failures.into_iter().flatten().any(|failure| {
        matches!(failure.kind, FailureKind::Unauthorized | FailureKind::Forbidden | FailureKind::NotFound)
    })
}

/// What a profile is read with. All of them are ours, so how long a comparison takes tells nobody anything.
fn keys<'a>(config: &'a Config, profile: &'a Profile) -> (&'a str, Option<&'a str>) {
    (config.ayrshare.api_key.expose_secret(), profile.key.as_ref().map(SecretString::expose_secret))
}

impl Services for Network<'_> {
    fn now(&self) -> Timestamp {
        super::execute::now()
    }

    async fn scan(&self, profiles: &[&Profile], rules: &Rules<'_>, until: Deadline) -> Survey {
        let mut scans = self.look(self.ready, profiles, rules, until).await;
        if 0 < self.max_retries {
            self.look_again(profiles, rules, until, &mut scans).await;
        }
        Survey::new(rules.now, scans)
    }

    async fn send(&self, channel: &Channel, outgoing: &Outgoing<'_>, until: Deadline) -> Result<(), String> {
        let deliver = || self.deliver(channel, outgoing, until);
        net::retrying(until, deliver, |error| error.retry).await.map_err(|error| self.reason(&error))
    }

    async fn check(&self, channel: &Channel, until: Deadline) -> Result<(), String> {
        let check = || self.check(channel, until);
        net::retrying(until, check, |error| error.retry).await.map_err(|error| self.reason(&error))
    }
}
