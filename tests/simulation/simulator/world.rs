//! The simulated world: the Ayrshare accounts, the channels, and their random changes between runs.
//!
//! The world depends only on its seed.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use jiff::Timestamp;
use media_expiry_alerts::model::Part;

use super::marks::Marks;

pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// The start of every simulation: 2026-11-23, 06:00 UTC.
const START_MS: i64 = 1_795_413_600_000;

/// The state of the accounts and channels at one time.
#[derive(Clone)]
pub struct World {
    pub rng: Rng,
    pub now_ms: i64,
    pub accounts: Vec<Account>,
    pub receivers: Vec<Receiver>,
    /// The only account of which the current run reads the profile; `None` when it reads all profiles.
    pub narrowed_to: Option<usize>,
    /// The `refId`s of the profiles that nobody watches; `None` when Ayrshare's list cannot be read at the moment.
    pub unwatched: Option<BTreeSet<String>>,
    /// Those that will be unwatched once the list can be read again.
    unwatched_meanwhile: BTreeSet<String>,
    /// When each of the others was watched, or was gone, at last.
    pub watched_ms: BTreeMap<String, i64>,
    /// Until when no call of the ledger succeeds.
    ledger_fails_until_ms: i64,
    /// The files that people have marked as handled.
    pub marks: Marks,
    last_id: u32,
    /// Whether sometimes a hundred files are uploaded together, which is more than one message can contain.
    has_bulk_uploads: bool,
}

/// The Ayrshare account behind one profile.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub files: Vec<File>,
    pub posts: Vec<Post>,
    /// Whether the list of files currently cannot be read.
    pub media_fail: bool,
    /// Whether the list of scheduled posts currently cannot be read.
    pub posts_fail: bool,
}

/// An uploaded file. A file without an expiry never expires.
#[derive(Clone, Debug)]
pub struct File {
    pub id: String,
    pub expires_ms: Option<i64>,
}

/// A scheduled post.
#[derive(Clone, Debug)]
pub struct Post {
    pub id: String,
    pub files: Vec<UsedFile>,
    pub due_ms: i64,
}

/// A file that a post uses. It may be in the gallery of any account, and it may have been deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFile {
    /// The index of the account.
    pub account: usize,
    pub id: String,
}

/// A channel of the configuration, and how reliable its service is at the moment.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub name: &'static str,
    kind: &'static str,
    pub thresholds_d: Vec<i64>,
    /// The indices of the accounts that this channel receives alerts about.
    pub accounts: Vec<usize>,
    /// Whether it hears of all accounts, and so of those that nobody watches.
    pub hears_of_all: bool,
    /// Whether the service rejects every message.
    pub is_down: bool,
    /// The percentage of messages that arrive without a confirmation reaching the run.
    pub lost_confirmations_percent: u8,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let accounts = rng.usize(1..4);
        let receivers =
            vec![Receiver::new("team", "slack", &mut rng, accounts), Receiver::new("mail", "sns", &mut rng, accounts)];
        let mut world = Self {
            rng,
            now_ms: START_MS,
            accounts: vec![Account::default(); accounts],
            receivers,
            narrowed_to: None,
            ledger_fails_until_ms: 0,
            unwatched: None,
            unwatched_meanwhile: BTreeSet::new(),
            watched_ms: BTreeMap::new(),
            marks: Marks::default(),
            last_id: 0,
            has_bulk_uploads: seed % 16 == 1,
        };
        for index in 0..8 {
            world.upload(index * 5 * DAY_MS);
        }
        world
    }

    pub fn now(&self) -> Timestamp {
        timestamp(self.now_ms)
    }

    /// Returns true with a probability of `percent`.
    pub fn chance(&mut self, percent: u8) -> bool {
        chance(&mut self.rng, percent)
    }

    pub fn is_ledger_failing(&self) -> bool {
        self.now_ms < self.ledger_fails_until_ms
    }

    /// Returns the same world at another time.
    pub fn at(&self, now_ms: i64) -> Self {
        Self { now_ms, ..self.clone() }
    }

    /// Whether the current run reads the profile of an account.
    pub fn covers(&self, account: usize) -> bool {
        self.narrowed_to.is_none_or(|only| only == account)
    }

    /// Whether the current run reads the gallery of an account.
    pub fn reads_gallery(&self, account: usize) -> bool {
        self.covers(account) && !self.accounts[account].media_fail
    }

    /// Returns the file that a post uses, unless it was deleted.
    pub fn file(&self, used: &UsedFile) -> Option<&File> {
        self.accounts[used.account].files.iter().find(|file| file.id == used.id)
    }

    /// Whether the URL of a file can be opened.
    pub fn is_served(&self, url: &str) -> bool {
        let has_url = |file: &&File| file_url(&file.id) == url;
        let file = self.accounts.iter().flat_map(|account| &account.files).find(has_url);
        file.is_some_and(|file| file.expires_ms.is_none_or(|expires_ms| self.now_ms < expires_ms))
    }

    /// Lets time pass until the next run. Mostly a day, sometimes an hour, sometimes several days.
    pub fn advance(&mut self) {
        let hours = *self.rng.choice(&[24, 24, 24, 24, 6, 1, 72]).expect("the list is not empty");
        self.now_ms += hours * HOUR_MS + self.rng.i64(-600_000..600_000);
        let narrows = self.chance(10) && 1 < self.accounts.len();
        self.narrowed_to = narrows.then(|| self.rng.usize(0..self.accounts.len()));
        let mut rng = self.rng.fork();
        for account in &mut self.accounts {
            account.advance(&mut rng, self.now_ms);
        }
        self.upload_new_files();
        if self.chance(2) {
            self.ledger_fails_until_ms = self.now_ms + self.rng.i64(0..5 * DAY_MS);
        }
        self.advance_unwatched();
        for receiver in &mut self.receivers {
            receiver.advance(&mut self.rng, self.has_bulk_uploads);
        }
    }

    /// Somebody adds a profile in Ayrshare and forgets the configuration, or watches or deletes one. A few may come back.
    fn advance_unwatched(&mut self) {
        if self.chance(8) {
            let ref_id = format!("ref-{}", self.rng.u8(0..6));
            if self.unwatched_meanwhile.remove(&ref_id) {
                self.watched_ms.insert(ref_id, self.now_ms);
            } else {
                self.unwatched_meanwhile.insert(ref_id);
            }
        }
        self.unwatched = (!self.chance(10)).then(|| self.unwatched_meanwhile.clone());
    }

    fn upload_new_files(&mut self) {
        for _ in 0..self.rng.u8(0..3) {
            let lifetime_ms = self.rng.i64(0..40 * DAY_MS);
            self.upload(lifetime_ms);
        }
        if self.has_bulk_uploads && self.chance(3) {
            // The files expire together, so they also enter each threshold together.
            let lifetime_ms = self.rng.i64(0..20 * DAY_MS);
            for _ in 0..100 {
                self.upload(lifetime_ms);
            }
        }
    }

    /// Uploads a file to a random account. Some files never expire, and some are used by a scheduled post.
    fn upload(&mut self, lifetime_ms: i64) {
        let id = self.next_id("file");
        let account = self.rng.usize(0..self.accounts.len());
        let expires_ms = (!self.chance(10)).then(|| self.now_ms + lifetime_ms);
        self.accounts[account].files.push(File { id: id.clone(), expires_ms });
        if self.chance(40) {
            let mut files = vec![UsedFile { account, id }];
            for _ in 0..self.rng.usize(0..3) {
                let other = self.random_file();
                if !files.contains(&other) {
                    files.push(other);
                }
            }
            let post = Post { id: self.next_id("post"), files, due_ms: self.now_ms + self.rng.i64(0..45 * DAY_MS) };
            let of_account = self.rng.usize(0..self.accounts.len());
            self.accounts[of_account].posts.push(post);
        }
    }

    /// Picks any file of any account.
    fn random_file(&mut self) -> UsedFile {
        let all = self
            .accounts
            .iter()
            .enumerate()
            .flat_map(|(account, of)| of.files.iter().map(move |file| UsedFile { account, id: file.id.clone() }));
        let all: Vec<_> = all.collect();
        all[self.rng.usize(0..all.len())].clone()
    }

    fn next_id(&mut self, kind: &str) -> String {
        self.last_id += 1;
        format!("{kind}-{}", self.last_id)
    }

    /// The configuration document for this world.
    pub fn configuration(&self) -> String {
        let mut document = "[ayrshare]\napi_key = 'KEY'\n[ledger]\ntype = 'dynamodb'\ntable = 't'\n".to_owned();
        for index in 0..self.accounts.len() {
            document += &format!("[[profiles]]\nname = '{}'\nkey = 'K{index}'\n", profile_name(index));
        }
        for receiver in &self.receivers {
            document += &receiver.configuration();
        }
        document
    }

    /// The index of the account behind a profile.
    pub fn account_index(&self, profile: &str) -> usize {
        (0..self.accounts.len()).find(|index| profile_name(*index) == profile).expect("a profile of this world")
    }
}

impl Account {
    pub fn fails(&self, part: Part) -> bool {
        match part {
            Part::Media => self.media_fail,
            Part::Dates | Part::Profiles => false,
            Part::Posts => self.posts_fail,
        }
    }

    /// Publishes the posts that are due, and lets files and posts be deleted, extended or moved. Either list of the
    /// account may begin to fail, or recover.
    fn advance(&mut self, rng: &mut Rng, now_ms: i64) {
        self.posts.retain(|post| now_ms < post.due_ms && !chance(rng, 1));
        self.files.retain(|file| {
            // Ayrshare does not document whether expired files stay in the list. Here some stay for months.
            let is_expired = file.expires_ms.is_some_and(|expires_ms| expires_ms < now_ms);
            !chance(rng, if is_expired { 2 } else { 1 })
        });
        for file in &mut self.files {
            if chance(rng, 2) {
                file.expires_ms = file.expires_ms.map(|expires_ms| expires_ms + 20 * DAY_MS);
            }
        }
        for post in &mut self.posts {
            if chance(rng, 2) {
                post.due_ms += 5 * DAY_MS;
            }
            // Somebody replaces a file that would have been missing.
            if 1 < post.files.len() && chance(rng, 3) {
                post.files.remove(rng.usize(0..post.files.len()));
            }
        }
        self.media_fail = if self.media_fail { !chance(rng, 40) } else { chance(rng, 4) };
        self.posts_fail = if self.posts_fail { !chance(rng, 40) } else { chance(rng, 4) };
    }
}

impl Receiver {
    fn new(name: &'static str, kind: &'static str, rng: &mut Rng, accounts: usize) -> Self {
        let thresholds_d = random_thresholds(rng);
        let mut chosen: Vec<_> = (0..accounts).filter(|_| rng.bool()).collect();
        let hears_of_all = rng.bool();
        if chosen.is_empty() || hears_of_all {
            chosen = (0..accounts).collect();
        }
        Self { name, kind, thresholds_d, accounts: chosen, hears_of_all, is_down: false, lost_confirmations_percent: 0 }
    }

    /// The service may go down or recover, and the thresholds may change.
    fn advance(&mut self, rng: &mut Rng, has_bulk_uploads: bool) {
        let (goes_down, comes_up, changes) = (chance(rng, 4), chance(rng, 50), chance(rng, 2));
        let thresholds_d = random_thresholds(rng);
        self.is_down = if self.is_down { !comes_up } else { goes_down };
        // Bulk uploads need several messages, where a lost confirmation matters most.
        self.lost_confirmations_percent = if has_bulk_uploads { 25 } else { 4 };
        if changes {
            self.thresholds_d = thresholds_d;
        }
    }

    fn configuration(&self) -> String {
        let target = match self.kind {
            "slack" => "webhook_url = 'https://hooks.slack.com/services/T/B/x'",
            _ => "topic_arn = 'arn:aws:sns:eu-central-1:123456789012:alerts'",
        };
        let profiles: Vec<_> = self.accounts.iter().map(|index| format!("'{}'", profile_name(*index))).collect();
        let profiles = if self.hears_of_all { String::new() } else { format!("profiles = [{}]\n", profiles.join(",")) };
        let thresholds: Vec<_> = self.thresholds_d.iter().map(|days| format!("'{days}d'")).collect();
        format!(
            "[[channels]]\nname = '{}'\ntype = '{}'\n{target}\n{profiles}thresholds = [{}]\n",
            self.name,
            self.kind,
            thresholds.join(","),
        )
    }
}

/// The name of the profile with the account at `index`.
pub fn profile_name(index: usize) -> String {
    format!("Profile {index}")
}

/// Returns the URL of a file.
pub fn file_url(id: &str) -> String {
    format!("https://images.ayrshare.com/a/{id}.png")
}

pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("a time that jiff can represent")
}

fn random_thresholds(rng: &mut Rng) -> Vec<i64> {
    let mut days: Vec<_> = [1, 2, 3, 5, 7, 10, 14].into_iter().filter(|_| rng.bool()).collect();
    if days.is_empty() {
        days.push(3);
    }
    days
}

/// Returns true with a probability of `percent`.
fn chance(rng: &mut Rng, percent: u8) -> bool {
    rng.u8(0..100) < percent
}
