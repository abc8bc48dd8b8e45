//! What the ledger remembers, and when it is forgotten. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::{Media, Part, PostAtRisk, ProfileName};
use crate::threshold::Threshold;

/// What one channel has confirmed.
pub type Memory = BTreeMap<Key, Record>;

/// How long a record outlives the expiry that it is about, or its last renewal: longer than any repeat.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// A record of something that is still there is renewed once it has less than this left.
const RENEWED: SignedDuration = SignedDuration::from_hours(45 * 24);
/// Bytes of an id in a key; DynamoDB takes 1,024 for the whole of it.
const MOST_ID_BYTES: usize = 300;

/// What an announcement was about.
///
/// The expiry is a part of it: a file whose expiry changes is announced anew, and one whose id comes twice with two
/// expiries is two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A file of a gallery.
    Item {
        /// Whose gallery it is in.
        profile: ProfileName,
        /// Its id; its URL or its name where it has none.
        id: String,
        /// When it expires, in milliseconds since 1970.
        expires_at_ms: Option<i64>,
    },
    /// A scheduled post that will fail.
    Post {
        /// Whose post it is.
        profile: ProfileName,
        /// Its id; a hash of what is known of it where it has none.
        id: String,
        /// The earliest expiry of its media, in milliseconds since 1970.
        expires_at_ms: Option<i64>,
    },
    /// A profile that could not be checked.
    Failing {
        /// The profile.
        profile: ProfileName,
        /// What of it.
        part: Part,
    },
}

impl Key {
    /// The key of a file.
    #[must_use]
    pub fn of_item(profile: &ProfileName, media: &Media) -> Self {
        let id = media.id.as_ref().or(media.url.as_ref()).or(media.file_name.as_ref());
        let expires_at_ms = media.expires_at.map(Timestamp::as_millisecond);
        Self::Item { profile: profile.clone(), id: bounded(id.map_or("", String::as_str)), expires_at_ms }
    }

    /// The key of a post.
    #[must_use]
    pub fn of_post(post: &PostAtRisk) -> Self {
        Self::Post {
            profile: post.profile.clone(),
            id: post_id(post),
            expires_at_ms: post.media.iter().filter_map(|media| media.expires_at).min().map(Timestamp::as_millisecond),
        }
    }
}

/// What a post is remembered by.
#[must_use]
pub fn post_id(post: &PostAtRisk) -> String {
    if let Some(id) = &post.id {
        bounded(id)
    } else {
        let urls: Vec<_> = post.media.iter().map(|media| media.url.as_str()).collect();
        hash(&format!("{:?} {:?} {urls:?}", post.text, post.scheduled_at))
    }
}

fn bounded(id: &str) -> String {
    if id.len() <= MOST_ID_BYTES { id.to_owned() } else { hash(id) }
}

fn hash(text: &str) -> String {
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}

/// The key as text: its parts with `#` between them, and escaped where one has a `#` itself.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |ms: &Option<i64>| ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        match self {
            Self::Item { profile, id, expires_at_ms } => {
                write!(f, "item#{}#{}#{}", escape(profile.as_str()), escape(id), moment(expires_at_ms))
            }
            Self::Post { profile, id, expires_at_ms } => {
                write!(f, "post#{}#{}#{}", escape(profile.as_str()), escape(id), moment(expires_at_ms))
            }
            Self::Failing { profile, part: Part::Media } => write!(f, "failing#{}#media", escape(profile.as_str())),
            Self::Failing { profile, part: Part::Posts } => write!(f, "failing#{}#posts", escape(profile.as_str())),
        }
    }
}

impl Key {
    /// Reads a key as it is written; `None` for one of another version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_sharing(text, &mut None)
    }

    /// As [`Key::parse`], and shares the name of the profile with the key before, where it is the same.
    pub(super) fn parse_sharing(text: &str, before: &mut Option<ProfileName>) -> Option<Self> {
        let moment = |text: &str| if text == "-" { Some(None) } else { text.parse().ok().map(Some) };
        let mut profile = |text: &str| {
            let name = unescape(text);
            match before {
                Some(before) if before.as_str() == name => before.clone(),
                _ => before.insert(ProfileName::new(&name)).clone(),
            }
        };
        let id = |text: &str| unescape(text).into_owned();
        let mut parts = text.split('#');
        let mut next = || parts.next();
        match (next()?, next()?, next()?, next(), next()) {
            ("item", of, name, Some(at), None) => {
                Some(Self::Item { expires_at_ms: moment(at)?, profile: profile(of), id: id(name) })
            }
            ("post", of, name, Some(at), None) => {
                Some(Self::Post { expires_at_ms: moment(at)?, profile: profile(of), id: id(name) })
            }
            ("failing", of, "media", None, None) => Some(Self::Failing { profile: profile(of), part: Part::Media }),
            ("failing", of, "posts", None, None) => Some(Self::Failing { profile: profile(of), part: Part::Posts }),
            _ => None,
        }
    }
}

fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '#']) { text.replace('%', "%25").replace('#', "%23").into() } else { text.into() }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if text.contains('%') { text.replace("%23", "#").replace("%25", "%").into() } else { text.into() }
}

/// How tight an announcement was: the seconds of its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(u64);

impl Level {
    /// It has expired, or is gone: nothing is tighter.
    pub const OVER: Self = Self(0);
    /// It was seen, and no threshold was entered: an undated file, or a post whose media expires far off.
    pub const SEEN: Self = Self(u64::MAX);

    /// Within a threshold.
    #[must_use]
    pub fn of(threshold: &Threshold) -> Self {
        Self::within(threshold.span().as_secs())
    }

    /// Within a threshold of so many seconds.
    #[must_use]
    pub fn within(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The seconds of the threshold, for [`Level::OVER`] 0.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }
}

/// What is remembered of an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The tightest level at which it was announced.
    pub level: Level,
    /// When it was announced last.
    pub announced_at: Timestamp,
    /// When it may be forgotten.
    pub keep_until: Timestamp,
    /// Of a post: when it was due, to tell one that is over from one that was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Of a post: what a person calls it, to say so when it was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Record {
    /// A record of an announcement at `now` about something that is over at `over_at`.
    #[must_use]
    pub fn new(level: Level, now: Timestamp, over_at: Option<Timestamp>) -> Self {
        let keep_until = later(over_at.map_or(now, |over_at| over_at.max(now)));
        Self { level, announced_at: now, keep_until, due_at: None, label: None }
    }

    /// This record with a longer life, when what it is about is still there and it would soon be forgotten.
    #[must_use]
    pub fn renewed(&self, now: Timestamp) -> Option<Self> {
        let keep_until = later(now);
        (self.keep_until.duration_since(now) < RENEWED && self.keep_until < keep_until)
            .then(|| Self { keep_until, ..self.clone() })
    }
}

fn later(moment: Timestamp) -> Timestamp {
    moment.checked_add(KEPT).unwrap_or(Timestamp::MAX)
}

/// A change of a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Remembers.
    Put(Key, Record),
    /// Forgets.
    Delete(Key),
}

impl Change {
    /// Makes the change.
    pub fn apply(&self, memory: &mut Memory) {
        match self {
            Self::Put(key, record) => {
                memory.insert(key.clone(), record.clone());
            }
            Self::Delete(key) => {
                memory.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    proptest! {
        #[test]
        fn keys_survive_being_written_and_never_collide(
            a in "[ab#%2350-]{0,6}", b in "[ab#%2350-]{0,6}", c in "[ab#%2350-]{0,6}", d in "[ab#%2350-]{0,6}",
            at in proptest::option::of(any::<i64>()),
        ) {
            let key = |profile: &str, id: &str| Key::Item {
                profile: ProfileName::new(profile), id: id.to_owned(), expires_at_ms: at,
            };
            prop_assert_eq!(Key::parse(&key(&a, &b).to_string()), Some(key(&a, &b)));
            prop_assert_eq!(key(&a, &b).to_string() == key(&c, &d).to_string(), key(&a, &b) == key(&c, &d));
        }
    }

    #[test]
    fn a_key_fits_into_dynamodb_whatever_the_id() {
        let media = Media { id: Some("#".repeat(10_000)), ..Media::default() };
        let key = Key::of_item(&ProfileName::new(&"名".repeat(200)), &media);
        assert!(key.to_string().len() <= 1_024, "{}", key.to_string().len());
    }

    #[test]
    fn a_record_outlives_its_expiry_and_is_renewed_while_its_subject_is_there() {
        let days = |days: i64| SignedDuration::from_hours(days * 24);
        let record = Record::new(Level::within(86_400), now(), Some(now() + days(1)));
        assert_eq!(record.keep_until, now() + days(91));
        assert_eq!(record.renewed(now() + days(40)), None);
        let renewed = record.renewed(now() + days(50)).expect("a longer life");
        assert_eq!(renewed.keep_until, now() + days(140));
        assert_eq!(renewed.announced_at, now());
        assert_eq!(Record::new(Level::OVER, now(), Some(now() - days(400))).keep_until, now() + days(90));
    }
}
