//! A run: looks, decides what is due, says it, and reports what became of it.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::ayrshare::Ayrshare;
use crate::channel::{self, Message, SendError};
use crate::clients::Clients;
use crate::command::{Action, Plan};
use crate::config::{Channel, ChannelKind, Config, WhenEmpty};
use crate::digest::Digest;
use crate::model::{Item, Media, ProfileName, State};
use crate::net::{self, Deadline};
use crate::run_result::{ChannelResult, ItemResult, Outcome, ProfilesResult, RunResult, Status};
use crate::scan::scan;
use crate::select::{Gallery, Rules};
use crate::survey::{Scan, Survey};
use crate::threshold::Thresholds;

/// Kept free at the end of a run, to answer in.
const MOST_TO_ANSWER: Duration = Duration::from_secs(1);
/// Kept free after the looking, to send in.
const MOST_TO_SEND: Duration = Duration::from_secs(15);
/// The pause between two messages to one channel: Slack takes about one a second.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(1_100);

/// One run, from its beginning to its result.
pub struct Run<'a> {
    /// Unique to the run.
    pub id: String,
    /// The moment that the run is about.
    pub now: Timestamp,
    /// What to do.
    pub plan: Plan<'a>,
    /// With what.
    pub config: &'a Config,
    /// Through what.
    pub clients: &'a Clients,
    /// When the looking must be over.
    scan_until: Deadline,
    /// When the sending must be over.
    send_until: Deadline,
}

impl<'a> Run<'a> {
    /// Prepares a run that must be over at `deadline`, some of which is kept free for sending and for the answer.
    #[must_use]
    pub fn new(
        id: String,
        now: Timestamp,
        plan: Plan<'a>,
        config: &'a Config,
        clients: &'a Clients,
        deadline: Deadline,
    ) -> Self {
        let time = deadline.remaining();
        let send_until = deadline.earlier_by(MOST_TO_ANSWER.min(time / 10));
        let to_send = if plan.action == Action::Report { Duration::ZERO } else { MOST_TO_SEND.min(time * 2 / 5) };
        Self { id, now, plan, config, clients, scan_until: send_until.earlier_by(to_send), send_until }
    }

    /// Runs.
    pub async fn execute(&self) -> RunResult {
        let began = tokio::time::Instant::now();
        let survey =
            if self.plan.action == Action::Test { Survey::new(self.now, Vec::new()) } else { self.look().await };
        let channels = match self.plan.action {
            Action::Report => Vec::new(),
            Action::Alert => self.side_by_side(|channel| self.announce(channel, &survey)).await,
            Action::Test => self.side_by_side(|channel| self.send_sample(channel)).await,
            Action::Check => self.side_by_side(|channel| self.prove(channel)).await,
        };
        let mut result = self.result(&survey, began.elapsed());
        if channels.iter().any(|channel| channel.outcome == Outcome::Failed) {
            result.status = Status::Failed;
        }
        result.channels = channels;
        result
    }

    async fn side_by_side<F: Future<Output = ChannelResult>>(
        &self,
        work: impl Fn(&'a Channel) -> F,
    ) -> Vec<ChannelResult> {
        join_all(self.plan.channels.iter().map(|channel| work(channel))).await
    }

    async fn look(&self) -> Survey {
        let thresholds = self.all_thresholds();
        let rules = Rules { now: self.now, thresholds: &thresholds, ignore: &self.config.alerts.ignore };
        let ayrshare = Ayrshare {
            http: &self.clients.http,
            base_url: &self.config.ayrshare.base_url,
            api_key: &self.config.ayrshare.api_key,
            timeout: self.config.ayrshare.timeout,
            redactor: &self.clients.redactor,
        };
        let concurrency = self.config.ayrshare.concurrency;
        Survey::new(self.now, scan(&ayrshare, &self.plan.profiles, concurrency, &rules, self.scan_until).await)
    }

    /// The thresholds of all channels of the run together.
    fn all_thresholds(&self) -> Thresholds {
        let all = self.plan.channels.iter().flat_map(|channel| channel.thresholds.iter());
        let all = self
            .plan
            .within
            .as_ref()
            .map_or_else(|| Thresholds::new(all.cloned()), |within| Thresholds::new([within.clone()]));
        // The plan has one channel at least, and each has one threshold at least.
        all.unwrap_or_else(|| self.config.channels[0].thresholds.clone())
    }

    fn thresholds_of(&self, channel: &Channel) -> Thresholds {
        let within = self.plan.within.clone().and_then(|within| Thresholds::new([within]));
        within.unwrap_or_else(|| channel.thresholds.clone())
    }

    fn profiles_of(&self, channel: &Channel) -> Vec<ProfileName> {
        let in_run = self.plan.profiles.iter().map(|profile| &profile.name);
        in_run.filter(|name| channel.profiles.contains(name)).cloned().collect()
    }

    /// What was found, as a result without channels.
    fn result(&self, survey: &Survey, took: Duration) -> RunResult {
        let is_test = self.plan.action == Action::Test;
        RunResult {
            run_id: self.id.clone(),
            action: self.plan.action,
            dry_run: self.plan.dry_run,
            started_at: self.now,
            duration_ms: took.as_millis().try_into().unwrap_or(u64::MAX),
            status: if is_test { Status::Ok } else { survey.status() },
            profiles: ProfilesResult {
                configured: if is_test { self.plan.profiles.len() } else { survey.configured() },
                checked: if is_test { 0 } else { survey.checked() },
                failed: survey.failed(),
                failed_left_out: 0,
            },
            media: survey.counts(),
            items: survey.items.iter().map(|item| ItemResult::new(item, self.now)).collect(),
            items_left_out: 0,
            posts_at_risk: survey.posts_at_risk.clone(),
            posts_left_out: 0,
            channels: Vec::new(),
        }
    }

    async fn announce(&self, channel: &Channel, survey: &Survey) -> ChannelResult {
        let profiles = self.profiles_of(channel);
        let digest = Digest::new(survey, &profiles, &self.thresholds_of(channel));
        let says_all_clear = self.config.alerts.when_empty == WhenEmpty::Report && digest.is_all_clear();
        if profiles.is_empty() || (digest.is_empty() && !says_all_clear) {
            return outcome(channel, Outcome::NothingDue);
        }
        let result = self.result(&survey.of_profiles(&profiles), Duration::ZERO);
        self.send(channel, &render(channel, &digest, &result)).await
    }

    async fn send_sample(&self, channel: &Channel) -> ChannelResult {
        let profiles = self.profiles_of(channel);
        if profiles.is_empty() {
            return outcome(channel, Outcome::NothingDue);
        }
        let thresholds = self.thresholds_of(channel);
        let survey = sample(self.now, &profiles, &thresholds);
        let digest = Digest { is_test: true, ..Digest::new(&survey, &profiles, &thresholds) };
        self.send(channel, &render(channel, &digest, &self.result(&survey, Duration::ZERO))).await
    }

    /// Sends the messages of a digest one after the other. The first that is not confirmed ends it.
    async fn send(&self, channel: &Channel, messages: &[Message]) -> ChannelResult {
        if self.plan.dry_run {
            return ChannelResult {
                announced: messages.iter().map(|message| message.entries).sum(),
                messages: messages.len(),
                payloads: messages.iter().map(|message| message.body.clone()).collect(),
                ..outcome(channel, Outcome::DryRun)
            };
        }
        let mut sent = outcome(channel, Outcome::Delivered);
        for (index, message) in messages.iter().enumerate() {
            if 0 < index {
                tokio::time::sleep(BETWEEN_MESSAGES.min(self.send_until.remaining())).await;
            }
            let deliver = || self.deliver(channel, message, index);
            match net::retrying(self.send_until, deliver, |error: &SendError| error.retry).await {
                Ok(()) => {
                    sent.announced += message.entries;
                    sent.messages += 1;
                }
                Err(error) => {
                    self.fail(channel, &mut sent, &error);
                    break;
                }
            }
        }
        sent
    }

    async fn deliver(&self, channel: &Channel, message: &Message, index: usize) -> Result<(), SendError> {
        let (http, until) = (&self.clients.http, self.send_until);
        match &channel.kind {
            ChannelKind::Slack { webhook_url } => {
                channel::slack::deliver(http, webhook_url, &message.body, until).await
            }
            ChannelKind::Sns { topic, .. } => {
                channel::sns::deliver(self.clients.sns(topic)?, topic, &message.body, until).await
            }
            ChannelKind::Webhook { url, secret } => {
                let id = format!("msg_{}_{}_{index}", self.id, channel.name);
                channel::webhook::deliver(http, url, secret, &id, &message.body, until).await
            }
        }
    }

    async fn prove(&self, channel: &Channel) -> ChannelResult {
        let (http, until) = (&self.clients.http, self.send_until);
        let prove = || async {
            match &channel.kind {
                ChannelKind::Slack { webhook_url } => channel::slack::check(http, webhook_url, until).await,
                ChannelKind::Sns { topic, .. } => channel::sns::check(self.clients.sns(topic)?, topic, until).await,
                ChannelKind::Webhook { url, .. } => channel::webhook::check(http, url, until).await,
            }
        };
        let mut proved = outcome(channel, Outcome::Reachable);
        if let Err(error) = net::retrying(until, prove, |error: &SendError| error.retry).await {
            self.fail(channel, &mut proved, &error);
        }
        proved
    }

    fn fail(&self, channel: &Channel, result: &mut ChannelResult, error: &SendError) {
        let reason = self.clients.redactor.redact(&error.reason);
        tracing::error!(channel = channel.name, kind = channel.kind.as_str(), "the channel failed: {reason}");
        result.outcome = Outcome::Failed;
        result.error = Some(reason);
    }
}

/// What a channel is told in a test: one file, which enters the tightest threshold just now.
fn sample(now: Timestamp, profiles: &[ProfileName], thresholds: &Thresholds) -> Survey {
    let threshold = thresholds.iter().next().cloned();
    let expires_at = threshold.as_ref().and_then(|threshold| now.checked_add(threshold.span()).ok());
    let media = Media { file_name: Some("[TEST] sample.mp4".to_owned()), expires_at, ..Media::default() };
    let scan = |name: &ProfileName| Scan { profile: name.clone(), media: Ok(Gallery::default()) };
    let mut survey = Survey::new(now, profiles.iter().map(scan).collect());
    survey.items.extend(profiles.first().map(|profile| Item {
        profile: profile.clone(),
        media,
        state: State::Expiring,
        threshold,
    }));
    survey
}

fn render(channel: &Channel, digest: &Digest, result: &RunResult) -> Vec<Message> {
    match &channel.kind {
        ChannelKind::Slack { .. } => channel::slack::render(digest),
        ChannelKind::Sns { format, .. } => vec![channel::sns::render(digest, *format, result)],
        ChannelKind::Webhook { .. } => vec![channel::webhook::render(digest, result)],
    }
}

fn outcome(channel: &Channel, outcome: Outcome) -> ChannelResult {
    ChannelResult {
        name: channel.name.clone(),
        kind: channel.kind.as_str(),
        outcome,
        announced: 0,
        messages: 0,
        error: None,
        payloads: Vec::new(),
    }
}
