//! One run: scans the profiles, decides what is due, sends it, records what was confirmed, and returns the result.
//!
//! This layer owns the order of these steps, the deadlines between them and the lease. It knows neither Lambda nor HTTP
//! nor the terminal.

mod check;
pub mod clients;
pub mod command;
mod discover;
pub mod download;
pub mod execute;
mod heartbeat;
pub mod last_snapshot;
mod lease;
pub mod loaded_config;
pub mod mark;
pub mod metrics;
mod rendering;
pub mod rescue;
pub mod result;
pub mod roster;
pub mod services;
pub mod stored_snapshot;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use jiff::Timestamp;
use serde_json::Value;

use self::lease::HeldLease;
use self::rendering::{fail, outcome, render, rendered, sample};
use crate::channel::{Message, SendError};
use crate::config::Repeat;
use crate::config::{Channel, Config, Profile, RescueFiles, WhenEmpty};
use crate::digest::Digest;
use crate::digest::ReportLink;
use crate::digest::announce::{Announced, Announcement};
use crate::ledger::{Change, LedgerError, LedgerStore, Memory};
use crate::model::Status;
use crate::model::threshold::Thresholds;
use crate::model::{Copies, Discovery, Listing, ListingOrigin, ProfileName};
use crate::net::{self, Deadline};
use crate::report::link::Links;
use crate::run::command::{Action, Plan};
use crate::run::rescue::CopyMode;
use crate::run::result::{ChannelResult, Outcome, RunResult};
use crate::run::roster::listing_of;
use crate::scan::discovery::DiscoveryRules;
use crate::scan::posts::CheckedPosts;
use crate::scan::rules::Rules;
use crate::scan::survey::Survey;

/// Time reserved at the end of a run for its answer.
const MAX_TO_ANSWER: Duration = Duration::from_secs(1);
/// Time reserved for sending after the scan.
const MAX_TO_SEND: Duration = Duration::from_secs(15);
/// The longest time for taking the lease. A ledger that hangs must not use up the time of the scan.
const MAX_FOR_LEASE: Duration = Duration::from_secs(5);
/// Reading or writing the ledger gets at least this time, if the run has that much left.
const MIN_FOR_LEDGER: Duration = Duration::from_secs(5);
/// Time reserved for giving up uploads that copying had no time to finish.
const MAX_TO_GIVE_UP: Duration = Duration::from_secs(2);
/// The longest time in which a run that makes no copies finds out which there are.
const MAX_TO_FIND: Duration = Duration::from_secs(5);
/// Time reserved at the very end, for what follows the sending.
const MAX_FOR_THE_END: Duration = Duration::from_millis(300);
/// The pause between two messages to one channel. Slack accepts about one per second.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(1_100);

/// The log target for problems of the ledger. The terminal shows these lines; the others only repeat the result.
const LEDGER_LOG: &str = concat!(env!("CARGO_CRATE_NAME"), "::ledger");

/// The services that a run calls.
pub trait Services {
    /// Returns the current time, to the millisecond.
    fn now(&self) -> Timestamp;

    /// Scans profiles until the deadline.
    fn scan(&self, profiles: &[&Profile], rules: &Rules<'_>, until: Deadline) -> impl Future<Output = Survey>;

    /// Copies files of the survey into the store until the deadline, or only finds out which copies there are.
    fn copies(
        &self,
        survey: &Survey,
        files: &RescueFiles,
        mode: CopyMode,
        until: Deadline,
    ) -> impl Future<Output = Copies>;

    /// Sends a message once. Returns an error unless the channel has confirmed it.
    fn send(
        &self,
        channel: &Channel,
        outgoing: &Outgoing<'_>,
        until: Deadline,
    ) -> impl Future<Output = Result<(), SendError>>;

    /// Checks that a channel would accept messages, without sending one.
    fn check(&self, channel: &Channel, until: Deadline) -> impl Future<Output = Result<(), String>>;
}

/// The clock of a run.
type Clock<'a> = Box<dyn Fn() -> Timestamp + 'a>;
/// The lease of a run.
type RunLease<'a, L> = HeldLease<'a, L, Clock<'a>>;

/// Whether a run may send and record. A run without a lease, because it needs none or could not get one, may send.
async fn is_ours<L: LedgerStore>(lease: Option<&RunLease<'_, L>>) -> bool {
    match lease {
        Some(lease) => lease.is_ours().await,
        None => true,
    }
}

/// A message that is about to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The run that sends it.
    pub run_id: &'a str,
    /// The digest that it is a part of.
    pub digest: &'a Digest,
    /// The entries of the digest that it announces.
    pub entries: Range<usize>,
    /// Its index among the messages of the digest.
    pub index: usize,
    /// The body of the request.
    pub body: &'a Value,
}

/// One run, from its beginning to its result.
pub struct Run<'a, S, L> {
    /// Unique to the run.
    pub id: String,
    /// When the run started. All periods count from here.
    pub now: Timestamp,
    /// What to do.
    pub plan: Plan<'a>,
    /// The configuration.
    pub config: &'a Config,
    /// The ledger, if there is one.
    ledger: Option<&'a L>,
    /// The services.
    services: S,
    /// The deadline of the scan.
    scan_until: Deadline,
    /// The deadline for sending.
    send_until: Deadline,
    /// The deadline of the run.
    deadline: Deadline,
    /// A survey that replaces the scan.
    seen: Option<Arc<Survey>>,
    /// The first error of the ledger.
    ledger_error: Mutex<Option<String>>,
}

impl<'a, S: Services, L: LedgerStore> Run<'a, S, L> {
    /// Creates a run. Some of the time until `deadline` is reserved for sending and for the answer.
    #[must_use]
    pub fn new(
        id: String,
        now: Timestamp,
        plan: Plan<'a>,
        config: &'a Config,
        ledger: Option<&'a L>,
        services: S,
        deadline: Deadline,
    ) -> Self {
        let time = deadline.remaining();
        let send_until = deadline.earlier_by(MAX_TO_ANSWER.min(time / 10));
        let sends = !matches!(plan.action, Action::Report | Action::Rescue);
        let to_send = if sends { MAX_TO_SEND.min(time * 2 / 5) } else { Duration::ZERO };
        let scan_until = send_until.earlier_by(to_send);
        let deadline = deadline.earlier_by(MAX_FOR_THE_END.min(time / 20));
        Self {
            id,
            now,
            plan,
            config,
            ledger,
            services,
            scan_until,
            send_until,
            deadline,
            seen: None,
            ledger_error: Mutex::default(),
        }
    }

    /// Uses this survey instead of scanning.
    #[must_use]
    pub fn with_snapshot(self, survey: Arc<Survey>) -> Self {
        Self { seen: Some(survey), ..self }
    }

    /// Executes the run.
    pub async fn execute(&self) -> RunResult {
        let began = tokio::time::Instant::now();
        let mut result = match self.plan.action {
            Action::Alert if self.remembers() => Box::pin(self.alert_under_lease()).await,
            Action::Alert => Box::pin(self.alert(None)).await,
            Action::Report => Box::pin(self.report()).await,
            Action::Check => Box::pin(self.check()).await,
            Action::Test => Box::pin(self.test()).await,
            Action::Rescue => Box::pin(self.rescue()).await,
        };
        result.ledger_error = self.ledger_error();
        let has_failed = |channel: &ChannelResult| channel.outcome == Outcome::Failed;
        result.status = match (self.plan.action, &result.ledger_error) {
            _ if result.channels.iter().any(has_failed) => Status::Failed,
            (Action::Check, Some(_)) => Status::Failed,
            // Lambda repeats a run that failed, and each repetition would announce everything again.
            (Action::Alert, Some(_)) if result.status == Status::Ok => Status::Partial,
            // A report does not need the ledger.
            _ => result.status,
        };
        let took = self.plan.roster.took + began.elapsed();
        result.duration_ms = took.as_millis().try_into().unwrap_or(u64::MAX);
        result
    }

    /// The ledger, unless the run has `within`. Such runs are not recorded.
    fn ledger(&self) -> Option<&'a L> {
        self.ledger.filter(|_| self.plan.within.is_none())
    }

    /// Whether the run records what it sends.
    fn remembers(&self) -> bool {
        self.ledger().is_some() && !self.plan.dry_run
    }

    async fn alert_under_lease(&self) -> RunResult {
        let Some(ledger) = self.ledger() else { return self.alert(None).await };
        let until = self.scan_until.within(MAX_FOR_LEASE.min(self.scan_until.remaining() / 4));
        let taken_at = self.services.now();
        match ledger.lease(&self.id, taken_at, until).await {
            Ok(Some(lease)) => {
                if let Some(note) = &lease.note {
                    tracing::error!(target: LEDGER_LOG, "{note}");
                    self.ledger_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(note.clone());
                }
                let clock: Clock<'_> = Box::new(|| self.services.now());
                let lease = HeldLease::new(ledger, lease, taken_at, clock, self.deadline);
                let result = match select(pin!(self.alert(Some(&lease))), pin!(lease.keep())).await {
                    Either::Left((result, _)) => result,
                    Either::Right((never, _)) => match never {},
                };
                if !lease.is_ours().await {
                    return self.busy();
                }
                lease.release().await;
                result
            }
            Ok(None) => {
                tracing::info!("another run is in progress; this one ends now");
                self.busy()
            }
            Err(error) => {
                self.note_ledger_error(&error);
                self.alert(None).await
            }
        }
    }

    /// Scans and announces. If the ledger failed there is no lease, and another run may announce the same at the same
    /// time. That is better than silence.
    async fn alert(&self, lease: Option<&RunLease<'_, L>>) -> RunResult {
        let survey = self.scan().await;
        let served = self.side_by_side(|channel| self.announce(channel, &survey, lease)).await;
        let (channels, memories): (Vec<_>, Vec<_>) = served.into_iter().unzip();
        RunResult { channels, ..self.result(survey, self.by_channel(memories)) }
    }

    async fn report(&self) -> RunResult {
        let survey = self.scan().await;
        let memories = self.side_by_side(|channel| self.read_memory(channel)).await;
        self.result(survey, self.by_channel(memories))
    }

    async fn test(&self) -> RunResult {
        let mut result = self.result(Survey::new(self.now, Vec::new(), CheckedPosts::default()), BTreeMap::new());
        result.configured = self.plan.profiles.len();
        Arc::make_mut(&mut result.survey).listing = self.listing();
        result.status = result.survey.listing.status();
        result.channels = self.side_by_side(|channel| self.send_sample(channel)).await;
        result
    }

    /// Scans and copies. Files that were not copied change the status, unlike in an alert, because copying is all that this
    /// command does.
    async fn rescue(&self) -> RunResult {
        let survey = self.scan().await;
        let copies = &survey.copies;
        let (missing, kept) = (copies.failures() + copies.waiting(), copies.kept());
        let mut result = self.result(Arc::clone(&survey), BTreeMap::new());
        result.status = match result.status {
            Status::Ok | Status::Partial if 0 < missing && kept == 0 => Status::Failed,
            Status::Ok if 0 < missing => Status::Partial,
            status => status,
        };
        result
    }

    /// The result of a run that ends because another one is in progress.
    fn busy(&self) -> RunResult {
        let mut result = self.result(Survey::new(self.now, Vec::new(), CheckedPosts::default()), BTreeMap::new());
        result.configured = self.plan.profiles.len();
        result.status = Status::Partial;
        result.channels = self.plan.channels.iter().map(|channel| outcome(channel, Outcome::Busy)).collect();
        result
    }

    async fn side_by_side<T, F: Future<Output = T>>(&self, work: impl Fn(&'a Channel) -> F) -> Vec<T> {
        // Boxed, because the futures of the AWS SDK within are large.
        join_all(self.plan.channels.iter().map(|channel| Box::pin(work(channel)))).await
    }

    fn by_channel(&self, memories: Vec<Option<Memory>>) -> BTreeMap<String, Memory> {
        let names = self.plan.channels.iter().map(|channel| channel.name.clone());
        names.zip(memories).filter_map(|(name, memory)| Some((name, memory?))).collect()
    }

    /// The survey that the run was given, or else a new scan.
    pub(crate) async fn scan(&self) -> Arc<Survey> {
        if let Some(seen) = &self.seen {
            return Arc::clone(seen);
        }
        let thresholds = self.plan.thresholds(self.config);
        let compares_the_account = self.config.ayrshare.discover_profiles && !self.plan.is_narrowed();
        let has_all_profiles = self.plan.has_all_profiles();
        let rules = Rules {
            now: self.now,
            thresholds: &thresholds,
            ignore: &self.config.alerts.ignore,
            check_posts: self.config.ayrshare.scheduled_posts,
            check_urls: self.config.ayrshare.check_media_urls,
            all_profiles: has_all_profiles && self.plan.roster.listing.failed.is_empty(),
            discovery: (compares_the_account && has_all_profiles).then_some(DiscoveryRules {
                ignore: &self.config.alerts.ignore_profiles,
                identifies_all: self.plan.action == Action::Check,
            }),
            copying: self.copying().map(|(files, _)| files),
        };
        let mut survey = self.services.scan(&self.plan.profiles, &rules, self.scan_until).await;
        for (surveyed, profile) in survey.profiles.iter_mut().zip(&self.plan.profiles) {
            surveyed.tags = profile.tags.clone();
        }
        survey.listing = self.listing();
        if compares_the_account && !has_all_profiles {
            survey.discovery = Discovery::unavailable();
        }
        if let Some((files, mode)) = self.copying() {
            let left = self.scan_until.remaining();
            let until = match (self.plan.action, mode) {
                (_, CopyMode::Find) => self.scan_until.within(MAX_TO_FIND),
                // The other half is for the ledger and for sending, which both need more than usual in a large account.
                (Action::Alert, CopyMode::Make) => self.scan_until.within(left / 2),
                (_, CopyMode::Make) => self.scan_until,
            };
            let until = until.earlier_by(MAX_TO_GIVE_UP.min(left / 4));
            survey.copies = Arc::new(self.services.copies(&survey, files, mode, until).await);
        }
        // Whatever was not copied is found again by the next run.
        survey.to_copy = Vec::new();
        Arc::new(survey)
    }

    /// Which files the run copies, or looks for copies of.
    fn copying(&self) -> Option<(&'a RescueFiles, CopyMode)> {
        let rescue = self.config.rescue.as_ref()?;
        match self.plan.action {
            Action::Rescue => Some((&rescue.files, CopyMode::Make)),
            Action::Alert if !self.plan.dry_run => Some((&rescue.files, CopyMode::Make)),
            Action::Alert | Action::Report => Some((&rescue.files, CopyMode::Find)),
            Action::Check | Action::Test => None,
        }
    }

    /// The outcome of reading `[profiles_from]`, as far as it concerns the run.
    fn listing(&self) -> Listing {
        let listing = &self.plan.roster.listing;
        if self.plan.is_narrowed() { listing.without_entries() } else { listing.clone() }
    }

    fn thresholds_of(&self, channel: &Channel) -> Thresholds {
        let within = self.plan.within.clone().and_then(|within| Thresholds::new([within]));
        within.unwrap_or_else(|| channel.thresholds.clone())
    }

    fn profiles_of(&self, channel: &Channel) -> Vec<ProfileName> {
        let of_channel = channel.audience.select(self.plan.roster.known());
        if !self.plan.is_narrowed() {
            return of_channel.into_iter().cloned().collect();
        }
        let in_run: HashSet<_> = self.plan.profiles.iter().map(|profile| &profile.name).collect();
        of_channel.into_iter().filter(|name| in_run.contains(name)).cloned().collect()
    }

    /// The result of a survey, without the outcomes of channels. `memories` has what each channel has confirmed.
    fn result(&self, survey: impl Into<Arc<Survey>>, memories: BTreeMap<String, Memory>) -> RunResult {
        let announced = (!memories.is_empty())
            .then(|| Announced { channels: memories, thresholds: self.plan.thresholds(self.config) });
        let result = RunResult::of_survey(survey, &self.id, self.plan.action);
        RunResult { dry_run: self.plan.dry_run, announced, ..result }
    }

    /// Sends one channel what is new to it. Returns what the channel has confirmed afterwards.
    async fn announce(
        &self,
        channel: &Channel,
        survey: &Survey,
        lease: Option<&RunLease<'_, L>>,
    ) -> (ChannelResult, Option<Memory>) {
        let profiles = self.profiles_of(channel);
        let listing = listing_of(channel, self.config, &survey.listing);
        if profiles.is_empty() && !self.plan.is_narrowed() {
            tracing::warn!(channel = channel.name, "this channel has no profiles now");
        }
        // A channel without profiles may still have to hear what became of the list that they may be in.
        if profiles.is_empty() && listing.origin == ListingOrigin::None {
            return (outcome(channel, Outcome::NothingDue), None);
        }
        let mut memory = self.read_memory(channel).await;
        let mut digest = Digest::new(survey, &profiles, &self.thresholds_of(channel)).with_listing(&listing);
        if channel.hears_of_all_profiles() {
            digest = digest.with_unwatched(&survey.discovery);
        }
        digest.ledger_note = self.ledger_note(lease, memory.is_some());
        digest.report_link = self.report_link(channel);
        digest.note.clone_from(&channel.note);
        digest.zone.clone_from(&channel.timezone);
        let repeat = if memory.is_some() { self.config.alerts.repeat } else { Repeat::EveryRun };
        let nothing = Memory::default();
        let announcement = Announcement::new(digest, survey, memory.as_ref().unwrap_or(&nothing), repeat);
        if is_ours(lease).await {
            self.record(channel, lease, || announcement.silent.iter().cloned(), &mut memory).await;
        }

        let digest = &announcement.digest;
        let says_all_clear =
            self.config.alerts.when_empty == WhenEmpty::Report && digest.is_all_clear() && !profiles.is_empty();
        if digest.is_empty() && !says_all_clear {
            return (outcome(channel, Outcome::NothingDue), memory);
        }
        let messages = render(channel, digest, &self.id, &|| {
            let memories = memory.iter().map(|memory| (channel.name.clone(), memory.clone())).collect();
            let discovery =
                if channel.hears_of_all_profiles() { survey.discovery.clone() } else { Discovery::default() };
            let of_channel = Survey { listing: listing.clone(), discovery, ..survey.of_profiles(&profiles) };
            self.result(of_channel, memories)
        });
        if self.plan.dry_run {
            return (rendered(channel, &messages), memory);
        }

        let mut sent = outcome(channel, Outcome::Delivered);
        for (index, message) in messages.iter().enumerate() {
            if self.send(channel, digest, message, index, lease, &mut sent).await.is_err() {
                break;
            }
            let confirmed = sent.announced - message.entries..sent.announced;
            if is_ours(lease).await {
                let changes = || announcement.changes(confirmed.clone(), index == 0);
                self.record(channel, lease, changes, &mut memory).await;
            }
        }
        (sent, memory)
    }

    /// The link to the page that shows this channel's profiles.
    fn report_link(&self, channel: &Channel) -> Option<ReportLink> {
        Links::of(&self.config.http)?.make(channel, self.now)
    }

    async fn send_sample(&self, channel: &Channel) -> ChannelResult {
        let mut profiles = self.profiles_of(channel);
        if profiles.is_empty() && self.plan.is_narrowed() {
            return outcome(channel, Outcome::NothingDue);
        }
        if profiles.is_empty() {
            // A glob may match nothing yet. The sample still proves that messages arrive.
            profiles.push(ProfileName::new("Sample profile"));
        }
        let thresholds = self.thresholds_of(channel);
        let survey = sample(self.now, &profiles, &thresholds);
        let report_link = self.report_link(channel);
        let digest = Digest {
            is_test: true,
            zone: channel.timezone.clone(),
            report_link,
            note: channel.note.clone(),
            ..Digest::new(&survey, &profiles, &thresholds)
        };
        let messages = render(channel, &digest, &self.id, &|| self.result(survey.clone(), BTreeMap::new()));
        if self.plan.dry_run {
            return rendered(channel, &messages);
        }
        let mut sent = outcome(channel, Outcome::Delivered);
        for (index, message) in messages.iter().enumerate() {
            if self.send(channel, &digest, message, index, None, &mut sent).await.is_err() {
                break;
            }
        }
        // A sample announces nothing.
        ChannelResult { announced: 0, ..sent }
    }

    /// Sends one message of a digest, again if the channel asks for it, and adds the outcome to `sent`.
    async fn send(
        &self,
        channel: &Channel,
        digest: &Digest,
        message: &Message,
        index: usize,
        lease: Option<&RunLease<'_, L>>,
        sent: &mut ChannelResult,
    ) -> Result<(), ()> {
        if 0 < index {
            tokio::time::sleep(BETWEEN_MESSAGES.min(self.send_until.remaining())).await;
        }
        let entries = sent.announced..sent.announced + message.entries;
        let outgoing = &Outgoing { run_id: &self.id, digest, entries, index, body: &message.body };
        // Before each attempt, because the process may have been frozen since the one before.
        let attempt = || async move {
            if !is_ours(lease).await {
                return Err(SendError::permanent("another run has taken over"));
            }
            self.services.send(channel, outgoing, self.send_until).await
        };
        match net::retrying(self.send_until, attempt, |error| error.retry).await {
            Ok(()) => {
                sent.announced = outgoing.entries.end;
                sent.messages += 1;
                Ok(())
            }
            Err(error) => {
                fail(channel, sent, error.reason);
                Err(())
            }
        }
    }

    /// What a channel has confirmed; `None` without a ledger, or when it cannot be read.
    async fn read_memory(&self, channel: &Channel) -> Option<Memory> {
        let until = half_of(self.send_until);
        let read = self.ledger()?.read(&channel.name, self.now, until).await;
        read.inspect_err(|error| self.note_ledger_error(error)).ok()
    }

    /// Records what a channel has confirmed, in the ledger and in the memory that was read from it.
    async fn record<I: Iterator<Item = Change>>(
        &self,
        channel: &Channel,
        lease: Option<&RunLease<'_, L>>,
        changes: impl Fn() -> I,
        memory: &mut Option<Memory>,
    ) {
        let Some(ledger) = self.ledger().filter(|_| self.remembers()) else { return };
        let while_ours = changes().take_while(|_| !lease.is_some_and(HeldLease::is_lost));
        // A ledger that hangs must not keep the next message from being sent.
        if let Err(error) = ledger.write(&channel.name, while_ours, self.now, half_of(self.deadline)).await {
            self.note_ledger_error(&error);
        }
        if let Some(memory) = memory {
            changes().for_each(|change| change.apply(memory));
        }
    }

    /// The note about the ledger in a digest: that it could not be used, or that a new one was started.
    fn ledger_note(&self, lease: Option<&RunLease<'_, L>>, is_read: bool) -> Option<String> {
        if self.remembers() && !(is_read && lease.is_some()) {
            let reason = self.ledger_error().unwrap_or_else(|| "no reason given".to_owned());
            return Some(format!("What was announced before could not be looked up, so this may repeat it: {reason}."));
        }
        let note = lease?.note()?;
        Some(format!("What was announced before is unknown, so this may repeat it: {note}."))
    }

    fn ledger_error(&self) -> Option<String> {
        self.ledger_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_ledger_error(&self, error: &LedgerError) {
        let reason = error.to_string();
        let mut first = self.ledger_error.lock().unwrap_or_else(PoisonError::into_inner);
        // One line is enough for channels that fail for the same reason.
        if first.as_ref() != Some(&reason) {
            tracing::error!(target: LEDGER_LOG, "the ledger failed: {reason}");
        }
        first.get_or_insert(reason);
    }
}

/// Half of the time until a deadline, but at least [`MIN_FOR_LEDGER`] if there is that much.
fn half_of(deadline: Deadline) -> Deadline {
    deadline.within(MIN_FOR_LEDGER.max(deadline.remaining() / 2))
}
