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
    /// A scheduled post will fail. `expires_ms` is the earliest expiry of the files that it will lack, if it is known.
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
}

impl Statement {
    fn without_expiry(news: News) -> Self {
        Self { news, level: NO_EXPIRY }
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
        Self { news, level }
    }

    fn of_post(post: &PostAtRisk, level: u64) -> Self {
        let news = News::Post {
            profile: post.profile.to_string(),
            id: post.id.clone().expect("every simulated post has an id"),
            expires_ms: post.media.iter().filter_map(|media| media.expires_at).min().map(Timestamp::as_millisecond),
        };
        Self { news, level }
    }
}

/// Everything that a message states.
pub fn statements(message: &Outgoing<'_>) -> Vec<Statement> {
    let Digest { entries, unchecked, recovered, resolved, .. } = message.digest;
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
        statements.extend(failing.chain(recovered).chain(resolved).map(Statement::without_expiry));
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
    /// Whether the run got the confirmation of the channel.
    pub is_confirmed: bool,
    /// Whether the ledger must hold it: it was confirmed, its run ended normally, and the ledger of that run never
    /// failed.
    pub is_recorded: bool,
}

/// Everything that has arrived at the channels, in the order of arrival.
#[derive(Debug, Default)]
pub struct Deliveries {
    by_receiver: BTreeMap<&'static str, Vec<Delivery>>,
    /// The last run during which a post lacked none of its files, by profile and id.
    without_loss: BTreeMap<(String, String), u32>,
}

impl Deliveries {
    pub fn add(&mut self, receiver: &'static str, delivery: Delivery) {
        self.by_receiver.entry(receiver).or_default().push(delivery);
    }

    /// What has arrived at one channel.
    pub fn of(&self, receiver: &str) -> &[Delivery] {
        self.by_receiver.get(receiver).map_or(&[], Vec::as_slice)
    }

    pub fn count(&self) -> usize {
        self.by_receiver.values().map(Vec::len).sum()
    }

    /// Notes that a post lacked none of its files during a run.
    pub fn mark_without_loss(&mut self, profile: String, id: String, run: u32) {
        self.without_loss.insert((profile, id), run);
    }

    /// The last run during which a post lacked none of its files; 0 if there was none.
    pub fn last_run_without_loss(&self, profile: &str, id: &str) -> u32 {
        self.without_loss.get(&(profile.to_owned(), id.to_owned())).copied().unwrap_or_default()
    }

    /// Notes that the ledger must hold everything that this run has sent and that was confirmed.
    pub fn mark_recorded(&mut self, run: u32) {
        let of_run =
            self.by_receiver.values_mut().flatten().filter(|delivery| delivery.run == run && delivery.is_confirmed);
        of_run.for_each(|delivery| delivery.is_recorded = true);
    }
}
