//! What the channels were told: every message, split into the single pieces of news that it holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use media_expiry_alerts::digest::{Digest, Entry, Subject, Urgency};
use media_expiry_alerts::model::{Item, Part, PostAtRisk};
use media_expiry_alerts::run::Outgoing;

/// The level of news that has no expiry: a file without one, a part of a profile that fails, and every all-clear.
pub const NO_EXPIRY: u64 = u64::MAX;

/// One thing that a channel is told, without how urgent it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// A file expires or has expired.
    File { profile: String, id: String, expires_ms: Option<i64> },
    /// A scheduled post will fail. `expires_ms` is the expiry of its file, if the file is still there.
    Post { profile: String, id: String, expires_ms: Option<i64> },
    /// A part of a profile cannot be read.
    Failing { profile: String, part: Part },
    /// A part of a profile can be read again.
    Recovered { profile: String, part: Part },
    /// A scheduled post is no longer at risk.
    Resolved { profile: String, id: String },
    /// Nobody watches a profile of the account.
    Unwatched { ref_id: String },
}

impl News {
    /// The configured profile that it is about, if it is about one.
    pub fn profile(&self) -> Option<&str> {
        match self {
            Self::Unwatched { .. } => None,
            Self::File { profile, .. }
            | Self::Post { profile, .. }
            | Self::Failing { profile, .. }
            | Self::Recovered { profile, .. }
            | Self::Resolved { profile, .. } => Some(profile),
        }
    }

    /// Whether this warns about the post `id`, whatever the expiry of its file.
    pub fn is_about_post(&self, of_profile: &str, of_id: &str) -> bool {
        matches!(self, Self::Post { profile, id, .. } if profile == of_profile && id == of_id)
    }
}

/// A piece of news as one message states it.
#[derive(Debug)]
pub struct Statement {
    pub news: News,
    /// How urgent it is, smaller is more urgent: 0 when it has expired or is gone, the threshold in seconds before that,
    /// and [`NO_EXPIRY`].
    pub level: u64,
    /// When a post is due.
    pub due_ms: Option<i64>,
}

impl Statement {
    fn without_expiry(news: News) -> Self {
        Self { news, level: NO_EXPIRY, due_ms: None }
    }

    fn of_entry(entry: &Entry) -> Self {
        match &entry.subject {
            Subject::File(item) => Self::of_file(item, &entry.urgency),
            Subject::Post(post) => Self::of_post(post, entry.level.seconds()),
        }
    }

    fn of_file(item: &Item, urgency: &Urgency) -> Self {
        let news = News::File {
            profile: item.profile.to_string(),
            id: item.media.id.clone().expect("every simulated file has an id"),
            expires_ms: item.media.expires_at.map(Timestamp::as_millisecond),
        };
        let level = match urgency {
            Urgency::Expired => 0,
            Urgency::Within(threshold) => threshold.span().as_secs(),
            Urgency::Undated => NO_EXPIRY,
            Urgency::PostAtRisk => panic!("a file stands in the section for posts: {item:?}"),
        };
        Self { news, level, due_ms: None }
    }

    fn of_post(post: &PostAtRisk, level: u64) -> Self {
        let news = News::Post {
            profile: post.profile.to_string(),
            id: post.id.clone().expect("every simulated post has an id"),
            expires_ms: post.media[0].expires_at.map(Timestamp::as_millisecond),
        };
        Self { news, level, due_ms: post.scheduled_at.map(Timestamp::as_millisecond) }
    }
}

/// Everything that a message states.
pub fn statements(message: &Outgoing<'_>) -> Vec<Statement> {
    let Digest { entries, unchecked, recovered, resolved, unwatched, .. } = message.digest;
    let mut statements: Vec<_> = entries[message.entries.clone()].iter().map(Statement::of_entry).collect();
    // The first message of a digest also states everything that is not an entry.
    if message.index == 0 {
        let failing =
            unchecked.iter().map(|failed| News::Failing { profile: failed.profile.to_string(), part: failed.what });
        let recovered =
            recovered.iter().map(|(profile, part)| News::Recovered { profile: profile.to_string(), part: *part });
        // The text of a simulated post is its id, so the digest names the post by it, in quotation marks.
        let resolved = resolved.iter().map(|(profile, label)| News::Resolved {
            profile: profile.to_string(),
            id: label.trim_matches(['“', '”']).to_owned(),
        });
        let unwatched = unwatched.iter().map(|profile| News::Unwatched {
            ref_id: profile.ref_id.clone().expect("every simulated profile has a refId"),
        });
        let others = failing.chain(recovered).chain(resolved).chain(unwatched);
        statements.extend(others.map(Statement::without_expiry));
    }
    statements
}

/// A piece of news that has arrived at a channel.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The number of the run that sent it.
    pub run: u32,
    pub at_ms: i64,
    pub news: News,
    /// As in [`Statement`].
    pub level: u64,
    /// When a post is due.
    pub due_ms: Option<i64>,
    /// Whether the run got the confirmation of the channel.
    pub is_confirmed: bool,
    /// Whether the ledger must hold it: it was confirmed, its run ended normally, and the ledger of that run never
    /// failed.
    pub is_recorded: bool,
}

impl Delivery {
    /// Whether the post that this is about is not due yet at `now_ms`.
    pub fn is_before_due(&self, now_ms: i64) -> bool {
        self.due_ms.is_none_or(|due_ms| now_ms < due_ms)
    }
}

/// Everything that has arrived at the channels, in the order of arrival.
#[derive(Debug, Default)]
pub struct Deliveries(BTreeMap<&'static str, Vec<Delivery>>);

impl Deliveries {
    pub fn add(&mut self, receiver: &'static str, delivery: Delivery) {
        self.0.entry(receiver).or_default().push(delivery);
    }

    /// What has arrived at one channel.
    pub fn of(&self, receiver: &str) -> &[Delivery] {
        self.0.get(receiver).map_or(&[], Vec::as_slice)
    }

    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Notes that the ledger must hold everything that this run has sent and that was confirmed.
    pub fn mark_recorded(&mut self, run: u32) {
        let of_run = self.0.values_mut().flatten().filter(|delivery| delivery.run == run && delivery.is_confirmed);
        of_run.for_each(|delivery| delivery.is_recorded = true);
    }
}
