//! The simulated world: the accounts at Ayrshare, the channels, and how both change at random from run to run.
//!
//! Everything here is decided by the seed alone, so a seed always gives the same world.

use fastrand::Rng;
use jiff::Timestamp;
use media_expiry_alerts::model::Part;

pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// When every world begins: 2026-11-23, 06:00 UTC.
const START_MS: i64 = 1_795_413_600_000;

/// The accounts and the channels at one moment.
#[derive(Clone)]
pub struct World {
    pub rng: Rng,
    pub now_ms: i64,
    pub accounts: Vec<Account>,
    pub receivers: Vec<Receiver>,
    /// Until when no call of the ledger succeeds.
    ledger_is_away_until_ms: i64,
    last_id: u32,
    /// Whether a hundred files are uploaded at once now and then: more than one message can hold.
    has_floods: bool,
}

/// The Ayrshare account behind one profile.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub files: Vec<File>,
    pub posts: Vec<Post>,
    /// Whether the list of files cannot be read at the moment.
    pub media_fail: bool,
    /// Whether the list of scheduled posts cannot be read at the moment.
    pub posts_fail: bool,
}

/// An uploaded file. A file without an expiry never expires.
#[derive(Clone, Debug)]
pub struct File {
    pub id: String,
    pub expires_ms: Option<i64>,
}

/// A scheduled post. It uses one file of its account.
#[derive(Clone, Debug)]
pub struct Post {
    pub id: String,
    pub file: String,
    pub due_ms: i64,
}

/// A channel of the configuration, and how reliable its service is at the moment.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub name: &'static str,
    kind: &'static str,
    pub thresholds_d: Vec<i64>,
    /// The indices of the accounts that this channel is told about.
    pub accounts: Vec<usize>,
    /// Whether the service rejects every message.
    pub is_down: bool,
    /// How many of a hundred messages arrive without the run getting the confirmation.
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
            ledger_is_away_until_ms: 0,
            last_id: 0,
            has_floods: seed % 16 == 1,
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

    pub fn is_ledger_away(&self) -> bool {
        self.now_ms < self.ledger_is_away_until_ms
    }

    /// This world at another moment, before anything in it has changed.
    pub fn at(&self, now_ms: i64) -> Self {
        Self { now_ms, ..self.clone() }
    }

    /// Lets time pass until the next run. Mostly a day, sometimes an hour, sometimes several days.
    pub fn advance(&mut self) {
        let hours = *self.rng.choice(&[24, 24, 24, 24, 6, 1, 72]).expect("the list is not empty");
        self.now_ms += hours * HOUR_MS + self.rng.i64(-600_000..600_000);
        let mut rng = self.rng.fork();
        for account in &mut self.accounts {
            account.advance(&mut rng, self.now_ms);
        }
        self.upload_new_files();
        if self.chance(2) {
            self.ledger_is_away_until_ms = self.now_ms + self.rng.i64(0..5 * DAY_MS);
        }
        for receiver in &mut self.receivers {
            receiver.advance(&mut self.rng, self.has_floods);
        }
    }

    fn upload_new_files(&mut self) {
        for _ in 0..self.rng.u8(0..3) {
            let lifetime_ms = self.rng.i64(0..40 * DAY_MS);
            self.upload(lifetime_ms);
        }
        if self.has_floods && self.chance(3) {
            // The files of a flood expire together, so they also enter each threshold together.
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
            let post = Post { id: self.next_id("post"), file: id, due_ms: self.now_ms + self.rng.i64(0..45 * DAY_MS) };
            self.accounts[account].posts.push(post);
        }
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
    pub fn file(&self, id: &str) -> Option<&File> {
        self.files.iter().find(|file| file.id == id)
    }

    pub fn fails(&self, part: Part) -> bool {
        match part {
            Part::Media => self.media_fail,
            Part::Dates | Part::Profiles => false,
            Part::Posts => self.posts_fail,
        }
    }

    /// Whether both files and posts can be read.
    pub fn is_readable(&self) -> bool {
        !self.media_fail && !self.posts_fail
    }

    /// Publishes the posts that are due, and lets files and posts be deleted, extended or moved. Either list of the
    /// account may begin to fail, or recover.
    fn advance(&mut self, rng: &mut Rng, now_ms: i64) {
        self.posts.retain(|post| now_ms < post.due_ms && !chance(rng, 1));
        self.files.retain(|file| {
            // Ayrshare does not document whether an expired file stays in the list. Here some stay for months.
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
        }
        self.media_fail = if self.media_fail { !chance(rng, 40) } else { chance(rng, 4) };
        self.posts_fail = if self.posts_fail { !chance(rng, 40) } else { chance(rng, 4) };
    }
}

impl Receiver {
    fn new(name: &'static str, kind: &'static str, rng: &mut Rng, accounts: usize) -> Self {
        let thresholds_d = random_thresholds(rng);
        let mut chosen: Vec<_> = (0..accounts).filter(|_| rng.bool()).collect();
        if chosen.is_empty() {
            chosen = (0..accounts).collect();
        }
        Self { name, kind, thresholds_d, accounts: chosen, is_down: false, lost_confirmations_percent: 0 }
    }

    /// The service may go down or come up again, and somebody may change the thresholds.
    fn advance(&mut self, rng: &mut Rng, has_floods: bool) {
        let (goes_down, comes_up, changes) = (chance(rng, 4), chance(rng, 50), chance(rng, 2));
        let thresholds_d = random_thresholds(rng);
        self.is_down = if self.is_down { !comes_up } else { goes_down };
        // A flood needs several messages: that is where a lost confirmation matters most.
        self.lost_confirmations_percent = if has_floods { 25 } else { 4 };
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
        let thresholds: Vec<_> = self.thresholds_d.iter().map(|days| format!("'{days}d'")).collect();
        format!(
            "[[channels]]\nname = '{}'\ntype = '{}'\n{target}\nprofiles = [{}]\nthresholds = [{}]\n",
            self.name,
            self.kind,
            profiles.join(","),
            thresholds.join(","),
        )
    }
}

/// The name of the profile with the account at `index`.
pub fn profile_name(index: usize) -> String {
    format!("Profile {index}")
}

/// Where a file is served.
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
