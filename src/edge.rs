//! The world outside of a run: Ayrshare and the channels, over the network.

use crate::ayrshare::Ayrshare;
use crate::channel::{self, SendError};
use crate::clients::Clients;
use crate::config::{Channel, ChannelKind, Config, Profile};
use crate::net::{self, Deadline};
use crate::run::{Edge, Parcel};
use crate::scan::scan;
use crate::select::Rules;
use crate::survey::Survey;

/// The services that a configuration names.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    /// Which they are.
    pub config: &'a Config,
    /// What talks to them.
    pub clients: &'a Clients,
}

impl Network<'_> {
    async fn deliver(&self, channel: &Channel, parcel: &Parcel<'_>, until: Deadline) -> Result<(), SendError> {
        let http = &self.clients.http;
        match &channel.kind {
            ChannelKind::Slack { webhook_url } => channel::slack::deliver(http, webhook_url, parcel.body, until).await,
            ChannelKind::Sns { topic, .. } => {
                channel::sns::deliver(self.clients.sns(topic)?, topic, parcel.body, until).await
            }
            ChannelKind::Webhook { url, secret } => {
                let id = format!("msg_{}_{}", parcel.run_id, parcel.index);
                channel::webhook::deliver(http, url, secret, &id, parcel.body, until).await
            }
        }
    }

    async fn check(&self, channel: &Channel, until: Deadline) -> Result<(), SendError> {
        let http = &self.clients.http;
        match &channel.kind {
            ChannelKind::Slack { webhook_url } => channel::slack::check(http, webhook_url, until).await,
            ChannelKind::Sns { topic, .. } => channel::sns::check(self.clients.sns(topic)?, topic, until).await,
            ChannelKind::Webhook { url, .. } => channel::webhook::check(http, url, until).await,
        }
    }

    /// The reason of an error, without what a service repeated of our secrets.
    fn reason(&self, error: &SendError) -> String {
        self.clients.redactor.redact(&error.reason)
    }
}

impl Edge for Network<'_> {
    async fn look(&self, profiles: &[&Profile], rules: &Rules<'_>, until: Deadline) -> Survey {
        let settings = &self.config.ayrshare;
        let ayrshare = Ayrshare {
            http: &self.clients.http,
            base_url: &settings.base_url,
            api_key: &settings.api_key,
            timeout: settings.timeout,
            redactor: &self.clients.redactor,
        };
        Survey::new(rules.now, scan(&ayrshare, profiles, settings.concurrency, rules, until).await)
    }

    async fn send(&self, channel: &Channel, parcel: &Parcel<'_>, until: Deadline) -> Result<(), String> {
        let deliver = || self.deliver(channel, parcel, until);
        net::retrying(until, deliver, |error| error.retry).await.map_err(|error| self.reason(&error))
    }

    async fn prove(&self, channel: &Channel, until: Deadline) -> Result<(), String> {
        let check = || self.check(channel, until);
        net::retrying(until, check, |error| error.retry).await.map_err(|error| self.reason(&error))
    }
}
