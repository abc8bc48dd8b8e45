//! What the channels have received: the messages, split into individual pieces of news.

use std::collections::BTreeMap;

use jiff::Timestamp;
use media_expiry_alerts::digest::{Digest, Entry, Subject, Urgency};
use media_expiry_alerts::model::{Item, Part, PostAtRisk};
use media_expiry_alerts::run::Outgoing;

/// The level of news without an expiry: files without an expiry date, failing profiles, and all-clears.
pub const NO_EXPIRY: u64 = u64::MAX;

/// One piece of news, without its urgency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// A file expires or has expired.
    File { profile: String, id: String, expires_ms: Option<i64> },
    /// A scheduled post will fail. `expires_ms` is the expiry of its file, if the file still exists.
    Post { profile: String, id: String, expires_ms: Option<i64> },
    /// A part of a profile cannot be read.
    Failing { profile: String, part: Part },
    /// A part of a profile can be read again.
    Recovered { profile: String, part: Part },
    /// A scheduled post is no longer at risk.
    Resolved { profile: String, id: String },
}

impl News {
    pub fn profile(&self) -> &str {
        match self {
            Self::File { profile, .. }
            | Self::Post { profile, .. }
            | Self::Failing { profile, .. }
            | Self::Recovered { profile, .. }
            | Self::Resolved { profile, .. } => profile,
        }
    }

    /// Returns whether this is a warning about the post `id`, with any expiry of its file.
    pub fn is_about_post(&self, of_profile: &str, of_id: &str) -> bool {
        matches!(self, Self::Post { profile, id, .. } if profile == of_profile && id == of_id)
    }
}

/// A piece of news in a message.
#[derive(Debug)]
pub struct Statement {
    pub news: News,
    /// The urgency: 0 if the file has expired or is gone, otherwise the threshold in seconds, or [`NO_EXPIRY`]. Smaller is
    /// more urgent.
    pub level: u64,
    /// When the post is due, for posts.
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
            Urgency::PostAtRisk => panic!("a file is in the section for posts: {item:?}"),
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

/// Returns all pieces of news in a message.
pub fn statements(message: &Outgoing<'_>) -> Vec<Statement> {
    let Digest { entries, unchecked, recovered, resolved, .. } = message.digest;
    let mut statements: Vec<_> = entries[message.entries.clone()].iter().map(Statement::of_entry).collect();
    // Everything that is not an entry is in the first message of a digest.
    if message.index == 0 {
        let failing =
            unchecked.iter().map(|failed| News::Failing { profile: failed.profile.to_string(), part: failed.what });
        let recovered =
            recovered.iter().map(|(profile, part)| News::Recovered { profile: profile.to_string(), part: *part });
        // The text of a simulated post is its id, so the digest shows the id in quotation marks.
        let resolved = resolved.iter().map(|(profile, label)| News::Resolved {
            profile: profile.to_string(),
            id: label.trim_matches(['“', '”']).to_owned(),
        });
        statements.extend(failing.chain(recovered).chain(resolved).map(Statement::without_expiry));
    }
    statements
}

/// A piece of news that a channel has received.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The number of the run that sent it.
    pub run: u32,
    pub at_ms: i64,
    pub news: News,
    /// As in [`Statement`].
    pub level: u64,
    /// When the post is due, for posts.
    pub due_ms: Option<i64>,
    /// Whether the confirmation of the channel has reached the run.
    pub is_confirmed: bool,
    /// Whether the ledger must contain it: it was confirmed, and its run completed without an error of the ledger.
    pub is_recorded: bool,
}

impl Delivery {
    /// Returns whether its post is not yet due at `now_ms`.
    pub fn is_before_due(&self, now_ms: i64) -> bool {
        self.due_ms.is_none_or(|due_ms| now_ms < due_ms)
    }
}

/// Everything that the channels have received, in order of arrival.
#[derive(Debug, Default)]
pub struct Deliveries(BTreeMap<&'static str, Vec<Delivery>>);

impl Deliveries {
    pub fn add(&mut self, receiver: &'static str, delivery: Delivery) {
        self.0.entry(receiver).or_default().push(delivery);
    }

    /// Returns what one channel has received.
    pub fn of(&self, receiver: &str) -> &[Delivery] {
        self.0.get(receiver).map_or(&[], Vec::as_slice)
    }

    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Marks all confirmed deliveries of this run: the ledger must contain them.
    pub fn mark_recorded(&mut self, run: u32) {
        let of_run = self.0.values_mut().flatten().filter(|delivery| delivery.run == run && delivery.is_confirmed);
        of_run.for_each(|delivery| delivery.is_recorded = true);
    }
}
