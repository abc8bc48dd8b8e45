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
    /// A scheduled post will fail. `expires_ms` is the earliest expiry of the files that it will lack, if it is known.
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
            Urgency::PostAtRisk => panic!("a file is in the section for posts: {item:?}"),
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

/// Returns all pieces of news in a message.
pub fn statements(message: &Outgoing<'_>) -> Vec<Statement> {
    let Digest { entries, unchecked, recovered, resolved, unwatched, .. } = message.digest;
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
        let unwatched = unwatched.iter().map(|profile| News::Unwatched {
            ref_id: profile.ref_id.clone().expect("every simulated profile has a refId"),
        });
        let others = failing.chain(recovered).chain(resolved).chain(unwatched);
        statements.extend(others.map(Statement::without_expiry));
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
    /// Whether the run got the confirmation of the channel.
    pub is_confirmed: bool,
    /// Whether the ledger must contain it: it was confirmed, and its run completed without an error of the ledger.
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

    /// Returns what one channel has received.
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

    /// Marks all confirmed deliveries of this run: the ledger must contain them.
    pub fn mark_recorded(&mut self, run: u32) {
        let of_run =
            self.by_receiver.values_mut().flatten().filter(|delivery| delivery.run == run && delivery.is_confirmed);
        of_run.for_each(|delivery| delivery.is_recorded = true);
    }
}
