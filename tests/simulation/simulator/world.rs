//! The simulated world: the Ayrshare accounts, the channels, and their random changes between runs.
//!
//! The world depends only on its seed.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use jiff::Timestamp;
use media_expiry_alerts::model::Part;

use super::links::{Link, LinkKind};
use super::listing::ProfileList;
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
    /// The list that contains all accounts but the first; `None` if the configuration contains all.
    pub list: Option<ProfileList>,
    /// Whether the next event starts a new process.
    pub is_new_process: bool,
    /// The setting `rescue.files`; `None` while files are not copied.
    rescue: Option<&'static str>,
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
    /// Which scheduled posts can be read at the moment.
    pub readable: ReadablePosts,
}

/// Which scheduled posts of an account can be read. Ayrshare lists them by their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadablePosts {
    #[default]
    All,
    OnlyPending,
    None,
}

/// An uploaded file. A file without an expiry never expires.
#[derive(Clone, Debug)]
pub struct File {
    pub id: String,
    pub expires_ms: Option<i64>,
    /// For how many more events Ayrshare states its expiry in a form that nobody can read.
    unreadable_for: u8,
}

/// A scheduled post.
#[derive(Clone, Debug)]
pub struct Post {
    pub id: String,
    pub files: Vec<UsedFile>,
    pub links: Vec<Link>,
    /// Whether its status is `pending`.
    is_pending: bool,
    /// `None` if it waits for something else than a date.
    due_ms: Option<i64>,
    /// For how many more events Ayrshare states its due date in a form that nobody can read.
    unreadable_for: u8,
}

impl File {
    pub fn has_unreadable_expiry(&self) -> bool {
        self.expires_ms.is_some() && 0 < self.unreadable_for
    }

    /// The expiry that can be read.
    pub fn stated_expiry_ms(&self) -> Option<i64> {
        self.expires_ms.filter(|_| !self.has_unreadable_expiry())
    }

    pub fn is_served(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
    }
}

impl Post {
    pub fn has_unreadable_due_date(&self) -> bool {
        self.due_ms.is_some() && 0 < self.unreadable_for
    }

    /// The due date that can be read.
    pub fn stated_due_ms(&self) -> Option<i64> {
        self.due_ms.filter(|_| !self.has_unreadable_due_date())
    }
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
            list: (1 < accounts && seed.is_multiple_of(3)).then(|| ProfileList::new((1..accounts).collect())),
            is_new_process: true,
            rescue: None,
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

    /// Whether the configuration itself contains the profile of an account.
    pub fn is_configured(&self, account: usize) -> bool {
        self.list.is_none() || account == 0
    }

    /// Whether the current run knows the profile of an account.
    pub fn knows(&self, account: usize) -> bool {
        self.is_configured(account) || self.list.as_ref().is_some_and(|list| list.contains(account))
    }

    /// Whether the current run reads the profile of an account.
    pub fn covers(&self, account: usize) -> bool {
        self.narrowed_to.is_none_or(|only| only == account) && self.knows(account)
    }

    /// Whether the current run knows all profiles: no list of profiles was impossible to read.
    pub fn knows_all_profiles(&self) -> bool {
        self.list.as_ref().is_none_or(|list| list.is_readable)
    }

    /// Whether the current run reads all galleries that there are. An entry of the list that is invalid may have one.
    pub fn reads_all_galleries(&self) -> bool {
        let mut known = (0..self.accounts.len()).filter(|account| self.knows(*account));
        let has_invalid = self.list.as_ref().is_some_and(|list| list.invalid().next().is_some());
        self.knows_all_profiles() && !has_invalid && known.all(|account| self.reads_gallery(account))
    }

    /// Whether a channel may hear of profiles that only the list contains.
    pub fn may_hear_of_listed(&self, receiver: &Receiver) -> bool {
        self.list.is_some()
            && (receiver.hears_of_all || receiver.accounts.iter().any(|account| !self.is_configured(*account)))
    }

    /// Whether the current run reads the gallery of an account.
    pub fn reads_gallery(&self, account: usize) -> bool {
        self.covers(account) && !self.accounts[account].media_fail
    }

    /// Returns the file that a post uses, unless it was deleted.
    pub fn file(&self, used: &UsedFile) -> Option<&File> {
        self.accounts[used.account].files.iter().find(|file| file.id == used.id)
    }

    /// The HTTP status that Ayrshare's check of a URL gives, if it gives one.
    pub fn status_of(&self, url: &str) -> Option<u16> {
        let mut links = self.accounts.iter().flat_map(|account| &account.posts).flat_map(|post| &post.links);
        if let Some(link) = links.find(|link| link.url() == url) {
            return match link.kind {
                LinkKind::Checked { status } => status,
                LinkKind::Presigned { .. } => panic!("a presigned URL refuses the check: {url}"),
            };
        }
        let mut files = self.accounts.iter().flat_map(|account| &account.files);
        let is_served = files.any(|file| file_url(&file.id) == url && file.is_served(self.now_ms));
        Some(if is_served { 200 } else { 404 })
    }

    /// The widest threshold of all channels.
    pub fn widest_threshold_ms(&self) -> i64 {
        let thresholds = self.receivers.iter().flat_map(|receiver| &receiver.thresholds_d);
        thresholds.max().expect("every channel has a threshold") * DAY_MS
    }

    /// Lets time pass until the next run. Mostly a day, sometimes an hour, sometimes several days.
    pub fn advance(&mut self) {
        let hours = *self.rng.choice(&[24, 24, 24, 24, 6, 1, 72]).expect("the list is not empty");
        self.now_ms += hours * HOUR_MS + self.rng.i64(-600_000..600_000);
        self.is_new_process = self.chance(10);
        if let Some(list) = &mut self.list {
            list.advance(&mut self.rng, self.is_new_process);
        }
        let known: Vec<_> = (0..self.accounts.len()).filter(|account| self.knows(*account)).collect();
        let narrows = self.chance(10) && 1 < known.len();
        self.narrowed_to = self.rng.choice(known).filter(|_| narrows);
        let mut rng = self.rng.fork();
        for account in &mut self.accounts {
            account.advance(&mut rng, self.now_ms);
        }
        self.upload_new_files();
        if self.chance(2) {
            self.ledger_fails_until_ms = self.now_ms + self.rng.i64(0..5 * DAY_MS);
        }
        self.advance_unwatched();
        if self.chance(3) {
            self.rescue = *self.rng.choice(&[None, Some("of-posts"), Some("expiring")]).expect("the list is not empty");
        }
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
        self.accounts[account].files.push(File { id: id.clone(), expires_ms, unreadable_for: 0 });
        if self.chance(40) {
            let mut files = vec![UsedFile { account, id }];
            for _ in 0..self.rng.usize(0..3) {
                let other = self.random_file();
                if !files.contains(&other) {
                    files.push(other);
                }
            }
            let ahead_ms = self.rng.i64(0..45 * DAY_MS);
            let mut links = Vec::new();
            while self.chance(25) {
                let id = self.next_id("link");
                links.push(Link::new(id, self.now_ms, ahead_ms, &mut self.rng));
                // Some posts have no file of a gallery.
                files.truncate(self.rng.usize(0..=files.len()));
            }
            let due_ms = (!self.chance(10)).then(|| self.now_ms + ahead_ms);
            let (id, is_pending) = (self.next_id("post"), self.chance(60));
            let post = Post { id, files, links, is_pending, due_ms, unreadable_for: 0 };
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

    /// The configuration document for this world, with the path of the list.
    pub fn configuration(&self, list_path: &str) -> String {
        let mut document = "[ayrshare]\napi_key = 'KEY'\n[ledger]\ntype = 'dynamodb'\ntable = 't'\n".to_owned();
        if self.list.is_some() {
            document += &format!("[profiles_from]\nurl = '{list_path}'\n");
        }
        for index in (0..self.accounts.len()).filter(|index| self.is_configured(*index)) {
            document += &format!("[[profiles]]\nname = '{}'\nkey = 'K{index}'\n", profile_name(index));
        }
        for receiver in &self.receivers {
            document += &receiver.configuration();
        }
        if let Some(files) = self.rescue {
            document += &format!("[store]\nurl = 'store'\n[rescue]\nfiles = '{files}'\n");
        }
        document
    }

    /// The index of the account behind a profile.
    pub fn account_index(&self, profile: &str) -> usize {
        (0..self.accounts.len()).find(|index| profile_name(*index) == profile).expect("a profile of this world")
    }
}

impl Account {
    /// Whether a part of the profile was read without anything that nobody can read.
    pub fn is_sound(&self, part: Part) -> bool {
        match part {
            Part::Media => !self.media_fail,
            Part::Dates => !self.media_fail && !self.files.iter().any(File::has_unreadable_expiry),
            Part::Posts => self.readable == ReadablePosts::All && !self.posts.iter().any(Post::has_unreadable_due_date),
            Part::Profiles => true,
        }
    }

    pub fn readable_posts(&self) -> impl Iterator<Item = &Post> {
        self.posts.iter().filter(|post| match self.readable {
            ReadablePosts::All => true,
            ReadablePosts::OnlyPending => post.is_pending,
            ReadablePosts::None => false,
        })
    }

    /// Publishes the posts that are due, and lets files and posts be deleted, extended or moved. Either list of the
    /// account may begin to fail, or recover.
    fn advance(&mut self, rng: &mut Rng, now_ms: i64) {
        self.posts.retain(|post| match post.due_ms {
            Some(due_ms) => now_ms < due_ms && !chance(rng, 1),
            None => !chance(rng, 4),
        });
        self.files.retain(|file| {
            // Ayrshare does not document whether expired files stay in the list. Here some stay for months.
            let is_expired = file.expires_ms.is_some_and(|expires_ms| expires_ms < now_ms);
            !chance(rng, if is_expired { 2 } else { 1 })
        });
        for file in &mut self.files {
            if chance(rng, 2) {
                file.expires_ms = file.expires_ms.map(|expires_ms| expires_ms + 20 * DAY_MS);
            }
            advance_unreadable(&mut file.unreadable_for, rng);
        }
        for post in &mut self.posts {
            if chance(rng, 2) {
                post.due_ms = post.due_ms.map(|due_ms| due_ms + 5 * DAY_MS);
            }
            advance_unreadable(&mut post.unreadable_for, rng);
            // Somebody approves it, or resumes it.
            post.is_pending |= chance(rng, 5);
            for link in &mut post.links {
                link.advance(rng);
            }
            // Somebody replaces a file that would have been missing.
            if 1 < post.files.len() && chance(rng, 3) {
                post.files.remove(rng.usize(0..post.files.len()));
            }
        }
        self.media_fail = if self.media_fail { !chance(rng, 40) } else { chance(rng, 4) };
        self.readable = match self.readable {
            ReadablePosts::All if chance(rng, 2) => ReadablePosts::OnlyPending,
            ReadablePosts::All if chance(rng, 2) => ReadablePosts::None,
            ReadablePosts::OnlyPending | ReadablePosts::None if chance(rng, 40) => ReadablePosts::All,
            unchanged => unchanged,
        };
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

/// A date may become unreadable for some events. The ledger keeps the records of what it hides for longer than that.
fn advance_unreadable(unreadable_for: &mut u8, rng: &mut Rng) {
    *unreadable_for = unreadable_for.saturating_sub(1);
    if rng.u16(0..1000) < 5 {
        *unreadable_for = rng.u8(1..8);
    }
}

/// Returns true with a probability of `percent`.
pub fn chance(rng: &mut Rng, percent: u8) -> bool {
    rng.u8(0..100) < percent
}
