//! The proof that nothing is lost and nothing is said twice: months of simulated days in a seeded random world, through
//! the real selection, digest, announcing, run and lease, held against an oracle that knows none of them.
//!
//! In the world files are uploaded, prolonged, removed and linger; posts are planned, moved and deleted; profiles,
//! channels and the ledger fail; runs crash between any two steps, come twice and overlap; thresholds change.
//!
//! A seed that fails is printed: `SIMULATION_SEED=7 cargo test simulation` replays it. `SIMULATION_SEEDS=10000` runs as
//! many. The same world lives on a real DynamoDB API too, at `SIMULATION_DYNAMODB_URL`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Change, DynamoDbLedger, Key, LEASE_TTL, Lease, Ledger, LedgerError, Memory};
use crate::config::{Channel, Config, Profile};
use crate::digest::{Digest, Subject, Urgency};
use crate::model::{Failure, FailureKind, Media, Part};
use crate::net::Deadline;
use crate::net::aws::{Aws, JsonClient};
use crate::net::environment::Environment;
use crate::run::command::Command;
use crate::run::result::{Outcome, RunResult};
use crate::run::{Edge, Parcel, Run};
use crate::model::ScheduledPost;
use crate::scan::select::{Gallery, Rules};
use crate::scan::survey::{Scan, Survey};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How many days a world lives; one of sixteen long enough to see what is never forgotten.
const DAYS: i64 = 130;
const MANY_DAYS: i64 = 320;
/// How long the oracle lets a record live after its subject was last seen or expired: longer than it is kept.
const MOST_KEPT_MS: i64 = 140 * DAY_MS;

/// The steps of one run, at one of which it may crash.
#[derive(Debug)]
struct Steps {
    taken: Mutex<u32>,
    crash_at: Option<u32>,
    crashed: Notify,
    rng: Mutex<Rng>,
}

impl Steps {
    fn new(rng: Rng, crash_at: Option<u32>) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), crash_at, crashed: Notify::new(), rng: Mutex::new(rng) })
    }

    /// Takes a step: lets others go first now and then, or never comes back.
    async fn step(&self) {
        let taken = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            *taken += 1;
            *taken
        };
        if self.crash_at == Some(taken) {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
        let turns = self.rng.lock().unwrap_or_else(PoisonError::into_inner).u8(0..3);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    fn chance(&self, percent: u8) -> bool {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).u8(0..100) < percent
    }
}

/// What the ledger holds, as the table or the file would.
#[derive(Debug, Default)]
struct Store {
    lease: Option<(String, Timestamp)>,
    channels: BTreeMap<String, Memory>,
}

/// The ledger of one run, with the faults that a real one may have.
#[derive(Debug)]
pub struct InProcessLedger {
    store: Arc<Mutex<Store>>,
    steps: Arc<Steps>,
    faults_percent: u8,
    /// Whether any fault occurred in this run.
    faulty: Arc<Mutex<bool>>,
}

impl InProcessLedger {
    async fn fault(&self) -> Result<(), LedgerError> {
        self.steps.step().await;
        if self.steps.chance(self.faults_percent) {
            *self.faulty.lock().unwrap_or_else(PoisonError::into_inner) = true;
            return Err(LedgerError::OutOfTime);
        }
        Ok(())
    }

    fn store(&self) -> std::sync::MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn lease(&self, owner: &str, now: Timestamp) -> Result<Option<Lease>, LedgerError> {
        self.fault().await?;
        {
            let mut store = self.store();
            if store.lease.as_ref().is_some_and(|(_, end)| now < *end) {
                return Ok(None);
            }
            store.lease = Some((owner.to_owned(), now + LEASE_TTL));
        }
        self.steps.step().await;
        Ok(Some(Lease { owner: owner.to_owned(), lock: None, note: None }))
    }

    pub(super) async fn renew(&self, lease: &Lease, now: Timestamp) -> Result<bool, LedgerError> {
        self.fault().await?;
        let mut store = self.store();
        let held = store.lease.as_mut().filter(|(owner, _)| *owner == lease.owner);
        Ok(held.map(|(_, ends_at)| *ends_at = now + LEASE_TTL).is_some())
    }

    pub(super) async fn release(&self, lease: &Lease) -> Result<(), LedgerError> {
        self.fault().await?;
        self.store().lease.take_if(|(owner, _)| *owner == lease.owner);
        self.steps.step().await;
        Ok(())
    }

    pub(super) async fn read(&self, channel: &str) -> Result<Memory, LedgerError> {
        self.fault().await?;
        Ok(self.store().channels.get(channel).cloned().unwrap_or_default())
    }

    /// Writes change by change: a fault or a crash leaves a part, as a batch does.
    pub(super) async fn write(&self, channel: &str, changes: &[Change], now: Timestamp) -> Result<(), LedgerError> {
        for change in changes {
            self.fault().await?;
            let mut store = self.store();
            let memory = store.channels.entry(channel.to_owned()).or_default();
            change.apply(memory);
            memory.retain(|_, record| now < record.keep_until);
        }
        Ok(())
    }
}

/// A file in the world.
#[derive(Clone, Debug)]
struct File {
    id: String,
    expires_ms: Option<i64>,
}

/// A post in the world; it uses one file of its profile.
#[derive(Clone, Debug)]
struct Post {
    id: String,
    file: String,
    due_ms: i64,
}

#[derive(Clone, Debug, Default)]
struct Account {
    files: Vec<File>,
    posts: Vec<Post>,
    media_fail: bool,
    posts_fail: bool,
}

/// A channel in the world.
#[derive(Clone, Debug)]
struct Receiver {
    name: &'static str,
    kind: &'static str,
    thresholds_d: Vec<i64>,
    profiles: Vec<usize>,
    is_down: bool,
    times_out_percent: u8,
}

/// What a message was about, as the oracle knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum About {
    File { profile: String, id: String, expires_ms: Option<i64> },
    Post { profile: String, id: String, expires_ms: Option<i64> },
    Failing { profile: String, posts: bool },
    Recovered { profile: String, posts: bool },
    Resolved { profile: String, id: String },
}

/// One thing that arrived at a channel.
#[derive(Clone, Debug)]
struct Arrival {
    run: u32,
    at_ms: i64,
    about: About,
    /// The seconds of the threshold; 0 for expired and gone, the most for undated and seen.
    level: u64,
    /// Of a post: when it is due.
    due_ms: Option<i64>,
    is_confirmed: bool,
    /// Whether its run came to its end with a sound ledger, so that it must be remembered.
    is_settled: bool,
}

const SEEN: u64 = u64::MAX;

struct World {
    rng: Rng,
    now_ms: i64,
    next_id: u32,
    accounts: Vec<Account>,
    receivers: Vec<Receiver>,
    arrivals: BTreeMap<&'static str, Vec<Arrival>>,
    /// Which subjects of a record could still be in the ledger, and until when.
    alive: BTreeMap<About, i64>,
    runs: u32,
    /// Whether there are floods of files, which one message cannot hold.
    has_floods: bool,
}

fn profile(index: usize) -> String {
    format!("Profile {index}")
}

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("a time")
}

fn url(file: &str) -> String {
    format!("https://images.ayrshare.com/a/{file}.png")
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let accounts = rng.usize(1..4);
        let subset = |rng: &mut Rng| {
            let mut some: Vec<_> = (0..accounts).filter(|_| rng.bool()).collect();
            if some.is_empty() {
                some = (0..accounts).collect();
            }
            some
        };
        let receiver = |rng: &mut Rng, name, kind| Receiver {
            name,
            kind,
            thresholds_d: thresholds(rng),
            profiles: subset(rng),
            is_down: false,
            times_out_percent: 0,
        };
        let receivers = vec![receiver(&mut rng, "team", "slack"), receiver(&mut rng, "mail", "sns")];
        let mut world = Self {
            rng,
            now_ms: moment(1_795_413_600_000).as_millisecond(),
            next_id: 0,
            accounts: vec![Account::default(); accounts],
            receivers,
            arrivals: BTreeMap::new(),
            alive: BTreeMap::new(),
            runs: 0,
            has_floods: seed % 16 == 1,
        };
        for days in 0..8 {
            world.upload(days * 5 * DAY_MS);
        }
        world
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }

    fn id(&mut self, what: &str) -> String {
        self.next_id += 1;
        format!("{what}-{}", self.next_id)
    }

    fn upload(&mut self, lifetime_ms: i64) {
        let id = self.id("file");
        let account = self.rng.usize(0..self.accounts.len());
        let expires_ms = (!self.chance(10)).then(|| self.now_ms + lifetime_ms);
        self.accounts[account].files.push(File { id: id.clone(), expires_ms });
        if self.chance(40) {
            let post = Post { id: self.id("post"), file: id, due_ms: self.now_ms + self.rng.i64(0..45 * DAY_MS) };
            self.accounts[account].posts.push(post);
        }
    }

    /// Lets some hours pass, in which this and that happens.
    fn pass(&mut self, hours: i64) {
        self.now_ms += hours * HOUR_MS + self.rng.i64(-600_000..600_000);
        let (now_ms, mut rng) = (self.now_ms, self.rng.fork());
        let mut percent = |percent: u8| rng.u8(0..100) < percent;
        for account in &mut self.accounts {
            account.posts.retain(|post| now_ms < post.due_ms && !percent(1));
            account.files.retain(|file| {
                // Whether a file lingers after its expiry is not documented: some do, for months.
                let is_over = file.expires_ms.is_some_and(|expires_ms| expires_ms < now_ms);
                !percent(if is_over { 2 } else { 1 })
            });
            for file in &mut account.files {
                if percent(2) {
                    file.expires_ms = file.expires_ms.map(|expires_ms| expires_ms + 20 * DAY_MS);
                }
            }
            for post in &mut account.posts {
                if percent(2) {
                    post.due_ms += 5 * DAY_MS;
                }
            }
            account.media_fail = if account.media_fail { !percent(40) } else { percent(4) };
            account.posts_fail = if account.posts_fail { !percent(40) } else { percent(4) };
        }
        for _ in 0..self.rng.u8(0..3) {
            let lifetime_ms = self.rng.i64(0..40 * DAY_MS);
            self.upload(lifetime_ms);
        }
        if self.has_floods && self.chance(3) {
            // They enter each threshold together, and one message cannot hold them.
            let lifetime_ms = self.rng.i64(0..20 * DAY_MS);
            for _ in 0..100 {
                self.upload(lifetime_ms);
            }
        }
        let has_floods = self.has_floods;
        for index in 0..self.receivers.len() {
            let (goes_down, comes_up, changes) = (self.chance(4), self.chance(50), self.chance(2));
            let thresholds_d = thresholds(&mut self.rng);
            let receiver = &mut self.receivers[index];
            receiver.is_down = if receiver.is_down { !comes_up } else { goes_down };
            receiver.times_out_percent = if has_floods { 25 } else { 4 };
            if changes {
                receiver.thresholds_d = thresholds_d;
            }
        }
    }

    fn document(&self) -> String {
        let mut document = "[ayrshare]\napi_key = 'KEY'\n[ledger]\ntype = 'dynamodb'\ntable = 't'\n".to_owned();
        for index in 0..self.accounts.len() {
            document += &format!("[[profiles]]\nname = '{}'\nkey = 'K{index}'\n", profile(index));
        }
        for receiver in &self.receivers {
            let target = match receiver.kind {
                "slack" => "webhook_url = 'https://hooks.slack.com/services/T/B/x'",
                _ => "topic_arn = 'arn:aws:sns:eu-central-1:123456789012:alerts'",
            };
            let profiles: Vec<_> = receiver.profiles.iter().map(|index| format!("'{}'", profile(*index))).collect();
            let thresholds: Vec<_> = receiver.thresholds_d.iter().map(|days| format!("'{days}d'")).collect();
            document += &format!(
                "[[channels]]\nname = '{}'\ntype = '{}'\n{target}\nprofiles = [{}]\nthresholds = [{}]\n",
                receiver.name,
                receiver.kind,
                profiles.join(","),
                thresholds.join(","),
            );
        }
        document
    }
}

fn thresholds(rng: &mut Rng) -> Vec<i64> {
    let mut days: Vec<_> = [1, 2, 3, 5, 7, 10, 14].into_iter().filter(|_| rng.bool()).collect();
    if days.is_empty() {
        days.push(3);
    }
    days
}

/// By definition and in no other way: the tightest threshold that `remaining_ms` has entered, in seconds.
fn entered(remaining_ms: i64, thresholds_d: &[i64]) -> Option<u64> {
    thresholds_d.iter().filter(|days| remaining_ms <= *days * DAY_MS).min().map(|days| days.unsigned_abs() * 86_400)
}

/// The level at which a file is to be announced, if it is.
fn level_of_file(file: &File, now_ms: i64, thresholds_d: &[i64]) -> Option<u64> {
    match file.expires_ms {
        None => Some(SEEN),
        Some(expires_ms) if expires_ms <= now_ms => Some(0),
        Some(expires_ms) => entered(expires_ms - now_ms, thresholds_d),
    }
}

/// The level at which a post is to be announced, if it is at risk.
fn level_of_post(post: &Post, account: &Account, now_ms: i64, thresholds_d: &[i64]) -> Option<u64> {
    let Some(file) = account.files.iter().find(|file| file.id == post.file) else { return Some(0) };
    let expires_ms = file.expires_ms?;
    if expires_ms <= now_ms {
        Some(0)
    } else if expires_ms <= post.due_ms.max(now_ms) + HOUR_MS {
        Some(entered(expires_ms - now_ms, thresholds_d).unwrap_or(SEEN))
    } else {
        None
    }
}

/// The outside of one run.
struct Outside<'a> {
    world: &'a Mutex<World>,
    steps: Arc<Steps>,
    run: u32,
}

impl Outside<'_> {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edge for Outside<'_> {
    async fn look(&self, profiles: &[&Profile], rules: &Rules<'_>, _: Deadline) -> Survey {
        self.steps.step().await;
        let failure = Failure {
            kind: FailureKind::Unavailable,
            http_status: Some(503),
            code: None,
            message: "out of order".to_owned(),
        };
        let accounts = self.world().accounts.clone();
        let scan = |(profile, account): (&&Profile, &Account)| {
            let mut gallery = Gallery::default();
            for File { id, expires_ms } in &account.files {
                let media = Media {
                    id: Some(id.clone()),
                    url: Some(url(id)),
                    expires_at: expires_ms.map(moment),
                    ..Media::default()
                };
                gallery.add(&profile.name, &media, rules);
            }
            let post = |post: &Post| ScheduledPost {
                id: Some(post.id.clone()),
                text: Some(post.id.clone()),
                platforms: vec!["instagram".to_owned()],
                scheduled_at: Some(moment(post.due_ms)),
                media_urls: vec![url(&post.file)],
            };
            let posts =
                if account.posts_fail { Err(failure.clone()) } else { Ok(account.posts.iter().map(post).collect()) };
            let media = if account.media_fail { Err(failure.clone()) } else { Ok(gallery) };
            Scan::new(profile.name.clone(), media, Some(posts), rules.now)
        };
        Survey::new(rules.now, profiles.iter().zip(&accounts).map(scan).collect())
    }

    async fn send(&self, channel: &Channel, parcel: &Parcel<'_>, _: Deadline) -> Result<(), String> {
        self.steps.step().await;
        let is_confirmed = {
            let mut world = self.world();
            let receiver = world.receivers.iter().find(|one| one.name == channel.name).expect("a receiver").clone();
            if receiver.is_down {
                return Err("answered 500".to_owned());
            }
            let is_confirmed = !self.steps.chance(receiver.times_out_percent);
            for (about, level, due_ms) in contents(parcel) {
                let (run, at_ms) = (self.run, world.now_ms);
                let arrival = Arrival { run, at_ms, about, level, due_ms, is_confirmed, is_settled: false };
                world.arrivals.entry(receiver.name).or_default().push(arrival);
            }
            is_confirmed
        };
        // The channel has it; whether the run lives to hear of that is another matter.
        self.steps.step().await;
        if is_confirmed { Ok(()) } else { Err("no answer within 10 s".to_owned()) }
    }

    async fn prove(&self, _: &Channel, _: Deadline) -> Result<(), String> {
        Ok(())
    }
}

/// What a message says, as a reader would take it.
fn contents(parcel: &Parcel<'_>) -> Vec<(About, u64, Option<i64>)> {
    let Digest { entries, unchecked, recovered, resolved, .. } = parcel.digest;
    let mut contents: Vec<_> = entries[parcel.entries.clone()]
        .iter()
        .map(|entry| match &entry.subject {
            Subject::File(item) => {
                let about = About::File {
                    profile: item.profile.to_string(),
                    id: item.media.id.clone().expect("an id"),
                    expires_ms: item.media.expires_at.map(Timestamp::as_millisecond),
                };
                let level = match &entry.urgency {
                    Urgency::Expired => 0,
                    Urgency::Within(threshold) => threshold.span().as_secs(),
                    Urgency::Undated => SEEN,
                    Urgency::PostAtRisk => panic!("a file in the section of posts"),
                };
                (about, level, None)
            }
            Subject::Post(post) => {
                let about = About::Post {
                    profile: post.profile.to_string(),
                    id: post.id.clone().expect("an id"),
                    expires_ms: post.media[0].expires_at.map(Timestamp::as_millisecond),
                };
                (about, entry.level.seconds(), post.scheduled_at.map(Timestamp::as_millisecond))
            }
        })
        .collect();
    if parcel.index == 0 {
        let posts = |part: Part| part == Part::Posts;
        contents.extend(unchecked.iter().map(|failed| {
            (About::Failing { profile: failed.profile.to_string(), posts: posts(failed.what) }, SEEN, None)
        }));
        contents.extend(recovered.iter().map(|(profile, part)| {
            (About::Recovered { profile: profile.to_string(), posts: posts(*part) }, SEEN, None)
        }));
        contents.extend(resolved.iter().map(|(profile, label)| {
            let id = label.trim_matches(['“', '”']).to_owned();
            (About::Resolved { profile: profile.to_string(), id }, SEEN, None)
        }));
    }
    contents
}

/// Where the ledger of a world is kept.
#[derive(Clone)]
enum Shelf {
    InProcess(Arc<Mutex<Store>>),
    DynamoDb(Box<JsonClient>, String),
}

impl Shelf {
    /// Whether no lease is held; those of crashed runs are over long before the next one.
    async fn is_free(&self, now: Timestamp) -> bool {
        let ends_at_ms = match self {
            Self::InProcess(store) => {
                let store = store.lock().unwrap_or_else(PoisonError::into_inner);
                store.lease.as_ref().map(|(_, end)| end.as_millisecond())
            }
            Self::DynamoDb(client, table) => {
                let key = json!({"pk": {"S": "lease"}, "sk": {"S": "run"}});
                let get = json!({"TableName": table, "Key": key, "ConsistentRead": true});
                let got: Value = client.call("GetItem", &get, a_minute()).await.expect("an answer");
                let ends_at_ms = got["Item"]["ends_at_ms"]["N"].as_str();
                ends_at_ms.map(|ends_at_ms| ends_at_ms.parse().expect("a number"))
            }
        };
        ends_at_ms.is_none_or(|ends_at_ms: i64| ends_at_ms <= now.as_millisecond())
    }

    /// What is kept for a channel.
    async fn memory(&self, channel: &str, now: Timestamp) -> Memory {
        match self {
            Self::InProcess(store) => {
                let store = store.lock().unwrap_or_else(PoisonError::into_inner);
                store.channels.get(channel).cloned().unwrap_or_default()
            }
            Self::DynamoDb(client, table) => {
                let ledger = Ledger::DynamoDb(DynamoDbLedger::new(JsonClient::clone(client), table.clone()));
                ledger.read(channel, now, a_minute()).await.expect("a memory")
            }
        }
    }
}

/// One invocation: `None` when it crashed. The flag says whether its ledger failed.
async fn invoke(
    world: &Mutex<World>,
    config: &Config,
    shelf: &Shelf,
    crash_at: Option<u32>,
    faults_percent: u8,
) -> (u32, Option<RunResult>, bool) {
    let (run, now, rng) = {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        world.runs += 1;
        (world.runs, moment(world.now_ms), world.rng.fork())
    };
    let steps = Steps::new(rng, crash_at);
    let faulty = Arc::new(Mutex::new(false));
    let ledger = match shelf {
        Shelf::InProcess(store) => Ledger::InProcess(InProcessLedger {
            store: Arc::clone(store),
            steps: Arc::clone(&steps),
            faults_percent,
            faulty: Arc::clone(&faulty),
        }),
        Shelf::DynamoDb(client, table) => {
            Ledger::DynamoDb(DynamoDbLedger::new(JsonClient::clone(client), table.clone()))
        }
    };
    let plan = Command::default().plan(config).expect("a plan");
    let outside = Outside { world, steps: Arc::clone(&steps), run };
    let deadline = Deadline::after(Duration::from_mins(5));
    let run_id = format!("run-{run}");
    let simulated = Run::new(run_id, now, plan, config, Some(&ledger), outside, deadline);
    let result = tokio::select! {
        result = simulated.execute() => Some(result),
        () = steps.crashed.notified() => None,
    };
    let faulty = *faulty.lock().unwrap_or_else(PoisonError::into_inner);
    (run, result, faulty)
}

/// What one run may not have done: said something wrong, or said it again.
fn check_nothing_wrong(world: &World, run: u32, is_ledger_sound: bool) {
    for receiver in &world.receivers {
        let arrivals = world.arrivals.get(receiver.name).map_or(&[][..], Vec::as_slice);
        let Some(first) = arrivals.iter().position(|arrival| arrival.run == run) else { continue };
        let earlier = &arrivals[..first];
        let new: Vec<_> = arrivals[first..].iter().filter(|arrival| arrival.run == run).collect();
        for (index, arrival) in new.iter().enumerate() {
            let twice = new[..index].iter().any(|other| other.about == arrival.about);
            assert!(!twice, "{} hears twice in one run: {arrival:?}", receiver.name);
            assert_eq!(
                Some(arrival.level),
                world.due_level(receiver, &arrival.about),
                "{}: {arrival:?}",
                receiver.name
            );
            assert!(is_about_something(arrival, earlier), "{} hears good news of nothing: {arrival:?}", receiver.name);
            let again = is_ledger_sound && is_again(arrival, earlier);
            assert!(!again, "{} hears again: {arrival:?}", receiver.name);
        }
        check_bare_failing(receiver, earlier, &new, is_ledger_sound);
    }
}

/// Whether good news is about bad news that came before. A post that was due meanwhile was not saved, whatever became of it.
fn is_about_something(arrival: &Arrival, earlier: &[Arrival]) -> bool {
    match &arrival.about {
        About::Recovered { profile, posts } => {
            let failing = About::Failing { profile: profile.clone(), posts: *posts };
            earlier.iter().any(|other| other.about == failing)
        }
        About::Resolved { profile, id } => earlier.iter().any(|other| {
            let is_same = matches!(&other.about, About::Post { profile: p, id: i, .. } if p == profile && i == id);
            is_same && other.due_ms.is_none_or(|due_ms| arrival.at_ms < due_ms)
        }),
        _ => true,
    }
}

/// Whether an arrival repeats one that must have been remembered.
fn is_again(arrival: &Arrival, earlier: &[Arrival]) -> bool {
    let last = |about: &dyn Fn(&About) -> bool| earlier.iter().rposition(|other| about(&other.about));
    let remembered = |since: Option<usize>, about: &dyn Fn(&About) -> bool| {
        earlier
            .iter()
            .skip(since.map_or(0, |index| index + 1))
            .any(|other| about(&other.about) && other.is_settled && other.level <= arrival.level)
    };
    match &arrival.about {
        About::File { .. } => remembered(None, &|about| *about == arrival.about),
        About::Post { profile, id, .. } => {
            let resolved = About::Resolved { profile: profile.clone(), id: id.clone() };
            let since = last(&|about| *about == resolved);
            // A record whose post was due is forgotten without a word; one that was moved in between is news again.
            let is_gone_again = arrival.level == 0
                && earlier.iter().skip(since.map_or(0, |index| index + 1)).any(|other| {
                    let is_same =
                        matches!(&other.about, About::Post { profile: p, id: i, .. } if p == profile && i == id);
                    let is_due_yet = other.due_ms.is_none_or(|due_ms| arrival.at_ms < due_ms);
                    is_same && is_due_yet && other.is_settled && other.level == 0
                });
            is_gone_again || remembered(since, &|about| *about == arrival.about)
        }
        About::Failing { .. } => false,
        // What has become better is said again only after it became worse again.
        About::Recovered { profile, posts } => {
            let failing = About::Failing { profile: profile.clone(), posts: *posts };
            remembered(last(&|about| *about == failing), &|about| *about == arrival.about)
        }
        About::Resolved { profile, id } => {
            let is_post =
                |about: &About| matches!(about, About::Post { profile: p, id: i, .. } if p == profile && i == id);
            remembered(last(&is_post), &|about| *about == arrival.about)
        }
    }
}

/// A message that says nothing but what could not be checked comes once a day.
fn check_bare_failing(receiver: &Receiver, earlier: &[Arrival], new: &[&Arrival], is_ledger_sound: bool) {
    let is_bare = new.iter().all(|arrival| matches!(arrival.about, About::Failing { .. }));
    if !is_bare || !is_ledger_sound {
        return;
    }
    let is_due = |arrival: &&Arrival| {
        let mut told = earlier.iter().rev().filter(|other| other.about == arrival.about && other.is_settled);
        told.next().is_none_or(|last| 23 * HOUR_MS <= arrival.at_ms - last.at_ms || recovered_since(last, earlier))
    };
    assert!(new.iter().any(is_due), "{} hears again and again: {new:?}", receiver.name);
}

fn recovered_since(failing: &Arrival, arrivals: &[Arrival]) -> bool {
    let About::Failing { profile, posts } = &failing.about else { return false };
    let recovered = About::Recovered { profile: profile.clone(), posts: *posts };
    arrivals.iter().any(|other| other.about == recovered && failing.run <= other.run)
}

/// What one run must have done: told each channel that it served of everything that is due, and has confirmed.
fn check_nothing_lost(world: &World, result: &RunResult, is_ledger_sound: bool) {
    for (receiver, channel) in world.receivers.iter().zip(&result.channels) {
        if !matches!(channel.outcome, Outcome::Delivered | Outcome::NothingDue) {
            continue;
        }
        let arrivals = world.arrivals.get(receiver.name).map_or(&[][..], Vec::as_slice);
        let confirmed = || arrivals.iter().filter(|arrival| arrival.is_confirmed);
        for about in world.everything(receiver) {
            let Some(level) = world.due_level(receiver, &about) else { continue };
            let is_told = match &about {
                About::Failing { .. } => confirmed().any(|one| one.about == about && world.now_ms - one.at_ms < DAY_MS),
                // A post whose file is gone is the same news, whatever the expiry of the file was.
                About::Post { profile, id, .. } if level == 0 => confirmed().any(|one| {
                    let is_same =
                        matches!(&one.about, About::Post { profile: p, id: i, .. } if p == profile && i == id);
                    is_same && one.level == 0
                }),
                _ => confirmed().any(|one| one.about == about && one.level <= level),
            };
            assert!(is_told, "{} was never told of {about:?} at {level}", receiver.name);
        }
        if is_ledger_sound {
            check_good_news(world, receiver, arrivals);
        }
    }
}

/// Whoever was told of something bad is told when it is over.
fn check_good_news(world: &World, receiver: &Receiver, arrivals: &[Arrival]) {
    let mut last = HashMap::new();
    let mut last_settled = HashMap::new();
    let is_file = |arrival: &Arrival| matches!(arrival.about, About::File { .. });
    for (index, arrival) in arrivals.iter().enumerate().filter(|(_, arrival)| !is_file(arrival)) {
        last.insert(&arrival.about, index);
        if arrival.is_settled {
            last_settled.insert(&arrival.about, index);
        }
    }
    for (about, index) in last_settled {
        let Some(good_news) = world.good_news(receiver, &arrivals[index]) else { continue };
        let is_told = last.get(&good_news).is_some_and(|told| index < *told);
        assert!(is_told, "{} was told of {about:?} and not of {good_news:?}", receiver.name);
    }
}

impl World {
    fn index_of(&self, name: &str) -> usize {
        (0..self.accounts.len()).find(|index| profile(*index) == name).expect("a profile")
    }

    /// At which level a channel is to be told of something now, by definition; `None` when it is not to be told.
    fn due_level(&self, receiver: &Receiver, about: &About) -> Option<u64> {
        let (About::File { profile: of, .. }
        | About::Post { profile: of, .. }
        | About::Failing { profile: of, .. }
        | About::Recovered { profile: of, .. }
        | About::Resolved { profile: of, .. }) = about;
        let index = self.index_of(of);
        let account = &self.accounts[index];
        if !receiver.profiles.contains(&index) {
            return None;
        }
        match about {
            About::File { id, expires_ms, .. } => {
                let file = account.files.iter().find(|file| file.id == *id && file.expires_ms == *expires_ms)?;
                level_of_file(file, self.now_ms, &receiver.thresholds_d).filter(|_| !account.media_fail)
            }
            About::Post { id, .. } => {
                let post = account.posts.iter().find(|post| post.id == *id)?;
                let level = level_of_post(post, account, self.now_ms, &receiver.thresholds_d)?;
                // Of a gallery that could not be read, nothing is claimed.
                (!account.media_fail && !account.posts_fail).then_some(level)
            }
            About::Failing { posts: false, .. } => account.media_fail.then_some(SEEN),
            About::Failing { posts: true, .. } => (account.posts_fail && !account.media_fail).then_some(SEEN),
            About::Recovered { posts: false, .. } => (!account.media_fail).then_some(SEEN),
            About::Recovered { posts: true, .. } => (!account.posts_fail).then_some(SEEN),
            About::Resolved { id, .. } => {
                let is_seen = !account.media_fail && !account.posts_fail;
                (is_seen && !self.is_at_risk(receiver, account, id)).then_some(SEEN)
            }
        }
    }

    fn is_at_risk(&self, receiver: &Receiver, account: &Account, id: &str) -> bool {
        account
            .posts
            .iter()
            .any(|post| post.id == id && level_of_post(post, account, self.now_ms, &receiver.thresholds_d).is_some())
    }

    /// What a channel that was told of something bad is to be told now that it is over; `None` while it is not.
    fn good_news(&self, receiver: &Receiver, arrival: &Arrival) -> Option<About> {
        match &arrival.about {
            About::Failing { profile: of, posts } => {
                let account = &self.accounts[self.index_of(of)];
                let is_seen = if *posts { !account.posts_fail } else { !account.media_fail };
                is_seen.then(|| About::Recovered { profile: of.clone(), posts: *posts })
            }
            About::Post { profile: of, id, .. } if self.now_ms < arrival.due_ms? => {
                let account = &self.accounts[self.index_of(of)];
                let is_seen = !account.media_fail && !account.posts_fail;
                (is_seen && !self.is_at_risk(receiver, account, id))
                    .then(|| About::Resolved { profile: of.clone(), id: id.clone() })
            }
            _ => None,
        }
    }

    /// Everything that a channel may have to be told of.
    fn everything(&self, receiver: &Receiver) -> Vec<About> {
        let mut everything = Vec::new();
        for &index in &receiver.profiles {
            let account = &self.accounts[index];
            everything.extend([false, true].map(|posts| About::Failing { profile: profile(index), posts }));
            everything.extend(account.files.iter().map(|file| About::File {
                profile: profile(index),
                id: file.id.clone(),
                expires_ms: file.expires_ms,
            }));
            everything.extend(account.posts.iter().map(|post| About::Post {
                profile: profile(index),
                id: post.id.clone(),
                expires_ms: account.files.iter().find(|file| file.id == post.file).and_then(|file| file.expires_ms),
            }));
        }
        everything
    }

    /// Notes until when a record of what is there now may live.
    fn note_alive(&mut self) {
        for receiver in self.receivers.clone() {
            for about in self.everything(&receiver) {
                let until_ms = match &about {
                    About::File { expires_ms, .. } => expires_ms.unwrap_or(self.now_ms).max(self.now_ms),
                    // A post is kept from the day that it is due, and may have been moved.
                    About::Post { .. } => self.now_ms + 60 * DAY_MS,
                    _ => self.now_ms,
                };
                self.alive.insert(about, until_ms + MOST_KEPT_MS);
            }
        }
    }
}

/// The ledger never holds what could not be needed any more.
fn check_bounded(world: &World, memories: &[Memory]) {
    for memory in memories {
        for (key, _) in memory.iter().filter(|(_, record)| world.now_ms < record.keep_until.as_millisecond()) {
            let about = match key.clone() {
                Key::Item { profile, id, expires_at_ms: expires_ms } => {
                    About::File { profile: profile.to_string(), id, expires_ms }
                }
                Key::Post { profile, id, expires_at_ms: expires_ms } => {
                    About::Post { profile: profile.to_string(), id, expires_ms }
                }
                Key::Failing { profile, part } => {
                    About::Failing { profile: profile.to_string(), posts: part == Part::Posts }
                }
            };
            let is_needed = world.alive.get(&about).is_some_and(|until_ms| world.now_ms < *until_ms);
            assert!(is_needed, "the ledger still holds {about:?}");
        }
    }
}

async fn config(document: &str) -> Config {
    Config::read(document, &Environment::of::<&str, &str>([])).await.expect("a configuration")
}

/// Lives through one seed.
async fn live(seed: u64, days: i64, shelf: Shelf) {
    let world = Mutex::new(World::new(seed));
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let end_ms = lock().now_ms + days * DAY_MS;
    let mut read = lock().document();
    let mut config = self::config(&read).await;
    while lock().now_ms < end_ms {
        let (document, crash_at, faults_percent, comes_twice) = {
            let mut world = lock();
            // Mostly daily, sometimes hourly, sometimes not for days.
            let hours = *world.rng.choice(&[24, 24, 24, 24, 6, 1, 72]).expect("hours");
            world.pass(hours);
            world.note_alive();
            let crash_at = world.chance(15).then(|| world.rng.u32(1..40));
            let faults_percent = if world.chance(8) { 20 } else { 0 };
            (world.document(), crash_at, faults_percent, world.chance(15))
        };
        if document != read {
            config = self::config(&document).await;
            read = document;
        }
        let one = invoke(&world, &config, &shelf, crash_at, faults_percent);
        let invocations = if comes_twice {
            let two = invoke(&world, &config, &shelf, None, faults_percent);
            let (one, two) = tokio::join!(one, two);
            vec![one, two]
        } else {
            vec![one.await]
        };
        // The lease of an earlier run ended long ago, crashed or not, and of two that overlap one has it.
        let is_busy = |result: &Option<RunResult>| result.as_ref().is_some_and(RunResult::is_busy);
        assert!(!invocations.iter().all(|(_, result, _)| is_busy(result)), "nobody ran, and nobody else does");
        let all_ended = invocations.iter().all(|(_, result, is_faulty)| result.is_some() && !is_faulty);
        let now = moment(lock().now_ms);
        assert!(!all_ended || shelf.is_free(now).await, "every run has ended, and the lease of one is still held");
        let memories = [shelf.memory("team", now).await, shelf.memory("mail", now).await];
        let mut world = lock();
        for (run, result, is_faulty) in &invocations {
            if result.is_some() && !is_faulty {
                let arrivals = world.arrivals.values_mut().flatten();
                arrivals.filter(|one| one.run == *run && one.is_confirmed).for_each(|one| one.is_settled = true);
            }
        }
        for (run, result, is_faulty) in &invocations {
            check_nothing_wrong(&world, *run, !is_faulty);
            if let Some(result) = result.as_ref().filter(|result| !result.is_busy()) {
                check_nothing_lost(&world, result, !is_faulty);
            }
        }
        check_bounded(&world, &memories);
    }
    let world = lock();
    let arrivals: usize = world.arrivals.values().map(Vec::len).sum();
    assert!(10 < arrivals, "hardly anything happened: {arrivals} arrivals");
}

#[expect(clippy::disallowed_methods, reason = "what to simulate is the caller's to say")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| setting(name).map(|text| text.parse::<u64>().expect("a number"));
    match (number("SIMULATION_SEED"), number("SIMULATION_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, most) => 0..most.unwrap_or(8),
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_said_twice() {
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                scope.spawn(move || {
                    let mut failed = Vec::new();
                    for seed in seeds().filter(|seed| seed % 2 == half) {
                        let runtime = tokio::runtime::Builder::new_current_thread()
                            .enable_time()
                            .start_paused(true)
                            .build()
                            .expect("a runtime");
                        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            runtime.block_on(live(
                                seed,
                                if seed % 16 == 0 { MANY_DAYS } else { DAYS },
                                Shelf::InProcess(Arc::default()),
                            ));
                        }));
                        if lived.is_err() {
                            failed.push(seed);
                        }
                    }
                    failed
                })
            })
            .collect();
        halves.into_iter().flat_map(|half| half.join().expect("a thread")).collect()
    });
    assert!(failed.is_empty(), "replay with SIMULATION_SEED=<seed>: {failed:?}");
}

#[tokio::test]
#[ignore = "needs a DynamoDB API at SIMULATION_DYNAMODB_URL: `make test` starts one"]
async fn the_same_holds_in_dynamodb() {
    let environment = Environment::of([
        ("AWS_ENDPOINT_URL", setting("SIMULATION_DYNAMODB_URL").expect("a URL").as_str()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "simulated"),
        ("AWS_SECRET_ACCESS_KEY", "simulated"),
    ]);
    let http = crate::net::client().expect("a client");
    let aws = Aws::new(http, environment);
    let client = Box::new(DynamoDbLedger::client(aws.http().clone(), aws.config().await));
    for seed in 0..3 {
        let table = format!("simulation-{seed}");
        create_table(&client, &table).await;
        live(seed, 40, Shelf::DynamoDb(client.clone(), table)).await;
    }
}

async fn create_table(client: &JsonClient, table: &str) {
    let create = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    });
    client.call::<Value>("CreateTable", &create, a_minute()).await.expect("a table");
}

fn a_minute() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}
