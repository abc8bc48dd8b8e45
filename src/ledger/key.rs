//! The keys of the ledger's records, as DynamoDB and the file store them. Pure.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::model::{AyrshareProfile, Media, Part, PostAtRisk, ProfileName, comparable_title};

/// The longest key that is stored: DynamoDB's limit for a sort key.
const MAX_KEY_BYTES: usize = 1_024;
/// Longer ids are replaced by their hash.
const MAX_ID_BYTES: usize = 300;
/// Profile names that are longer after escaping are replaced by their hash. Configured names are shorter, because they have
/// at most 200 characters. The rest of the key has room for a hashed id.
const MAX_PROFILE_BYTES: usize = 800;

/// The subject of an announcement, or of a mark.
///
/// The expiry is part of the key. So a file whose expiry changes is announced again, and two files with the same id but
/// different expiries have different keys.
///
/// Create keys with [`Key::of_item`], [`Key::of_handled`], [`Key::of_post`], [`Key::of_failing`] and [`Key::of_unwatched`]. They
/// replace parts that are too long to be stored by their hash. Different subjects always have different keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A file in a gallery.
    Item {
        /// The profile that owns the gallery.
        profile: ProfileName,
        /// Its id, or its URL or name if it has no id.
        id: String,
        /// When it expires, in milliseconds since 1970.
        expires_at_ms: Option<i64>,
    },
    /// The mark of a file that people have handled. If the expiry of the file changes, the mark no longer applies.
    Handled {
        /// The profile that owns the gallery.
        profile: ProfileName,
        /// The id of the file, as in [`Key::Item`].
        id: String,
        /// When it expires, in milliseconds since 1970.
        expires_at_ms: Option<i64>,
    },
    /// A scheduled post that will fail.
    Post {
        /// The profile that owns the post.
        profile: ProfileName,
        /// Its identity: see [`PostAtRisk::identity`].
        id: String,
        /// The earliest expiry of its media, in milliseconds since 1970.
        expires_at_ms: Option<i64>,
    },
    /// A profile that could not be checked.
    Failing {
        /// The profile.
        profile: ProfileName,
        /// The part that could not be read.
        part: Part,
    },
    /// A profile of the account that nobody watches.
    Unwatched {
        /// What `id` is.
        by: KnownBy,
        /// Its `refId` or its title.
        id: String,
    },
}

/// What an unwatched profile is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KnownBy {
    /// Its `refId`.
    RefId,
    /// Its title, because it has no `refId`.
    Title,
}

impl Key {
    /// Creates the key of a file.
    #[must_use]
    pub fn of_item(profile: &ProfileName, media: &Media) -> Self {
        Self::of_file(profile, media, |profile, id, expires_at_ms| Self::Item { profile, id, expires_at_ms })
    }

    /// Creates the key of the mark of a file.
    #[must_use]
    pub fn of_handled(profile: &ProfileName, media: &Media) -> Self {
        Self::of_file(profile, media, |profile, id, expires_at_ms| Self::Handled { profile, id, expires_at_ms })
    }

    fn of_file(profile: &ProfileName, media: &Media, key: impl Fn(ProfileName, String, Option<i64>) -> Self) -> Self {
        let expires_at_ms = media.expires_at.map(Timestamp::as_millisecond);
        let profile = stored_profile(profile);
        let key = |id| key(profile.clone(), id, expires_at_ms);
        key(stored_id(media.identity(), &profile, &key))
    }

    /// Creates the key of a post.
    #[must_use]
    pub fn of_post(post: &PostAtRisk) -> Self {
        let expiries = post.media.iter().filter_map(|media| media.expires_at);
        let expires_at_ms = expiries.min().map(Timestamp::as_millisecond);
        let profile = stored_profile(&post.profile);
        let id = post.identity();
        Self::Post { profile, id, expires_at_ms }
    }

    /// The expiry in the key of a post: the earliest one of the files that it will lack, if it is known.
    #[must_use]
    pub fn expiry_of_post(&self) -> Option<Timestamp> {
        let Self::Post { expires_at_ms, .. } = self else { return None };
        Timestamp::from_millisecond((*expires_at_ms)?).ok()
    }

    /// The key of a profile that nobody watches: by its `refId`, which stays when the title changes, else by its title.
    #[must_use]
    pub fn of_unwatched(profile: &AyrshareProfile) -> Self {
        let (by, id) = match &profile.ref_id {
            Some(ref_id) => (KnownBy::RefId, ref_id.clone()),
            None => (KnownBy::Title, comparable_title(profile.title.as_deref().unwrap_or_default())),
        };
        let is_short = escaped_len(&id) <= MAX_PROFILE_BYTES && !is_hash(&id);
        Self::Unwatched { by, id: if is_short { id } else { hash(&id) } }
    }

    /// Creates the key of a profile that could not be checked.
    #[must_use]
    pub fn of_failing(profile: &ProfileName, part: Part) -> Self {
        Self::Failing { profile: stored_profile(profile), part }
    }
}

/// Returns the name of a profile in keys.
#[must_use]
pub fn stored_profile(profile: &ProfileName) -> ProfileName {
    let name = profile.as_str();
    let is_short = escaped_len(name) <= MAX_PROFILE_BYTES && !is_hash(name);
    if is_short { profile.clone() } else { ProfileName::new(&hash(name)) }
}

fn stored_id(id: &str, profile: &ProfileName, key: &impl Fn(String) -> Key) -> String {
    let fits = || key(String::new()).to_string().len() + escaped_len(id) <= MAX_KEY_BYTES;
    // Most ids are so short that the exact length need not be computed.
    let is_tiny = 3 * (profile.as_str().len() + id.len()) <= MAX_KEY_BYTES / 2;
    let is_short = id.len() <= MAX_ID_BYTES && (is_tiny || fits());
    if is_short && !is_hash(id) { id.to_owned() } else { hash(id) }
}

/// Returns the text that replaces another one in a key.
pub(super) fn hash(text: &str) -> String {
    format!("{HASH_PREFIX}{}", hex::encode(Sha256::digest(text)))
}

const HASH_PREFIX: &str = "sha256:";

/// Returns whether a text looks like a [`hash`]. Such a text must be hashed too, or it could be confused with the hash of
/// another text.
pub(super) fn is_hash(text: &str) -> bool {
    let is_hex = |digits: &str| {
        digits.len() == 2 * Sha256::output_size()
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    text.strip_prefix(HASH_PREFIX).is_some_and(is_hex)
}

/// Writes the parts of the key, separated by `#`. A `#` or `%` within a part is percent-encoded.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |ms: &Option<i64>| ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        match self {
            Self::Item { profile, id, expires_at_ms } => {
                write!(f, "item#{}#{}#{}", escape(profile.as_str()), escape(id), moment(expires_at_ms))
            }
            Self::Handled { profile, id, expires_at_ms } => {
                write!(f, "handled#{}#{}#{}", escape(profile.as_str()), escape(id), moment(expires_at_ms))
            }
            Self::Post { profile, id, expires_at_ms } => {
                write!(f, "post#{}#{}#{}", escape(profile.as_str()), escape(id), moment(expires_at_ms))
            }
            Self::Unwatched { by: KnownBy::RefId, id } => write!(f, "unwatched#{}#ref", escape(id)),
            Self::Unwatched { by: KnownBy::Title, id } => write!(f, "unwatched#{}#title", escape(id)),
            Self::Failing { profile, part: Part::Media } => write!(f, "failing#{}#media", escape(profile.as_str())),
            Self::Failing { profile, part: Part::Dates } => write!(f, "failing#{}#dates", escape(profile.as_str())),
            Self::Failing { profile, part: Part::Posts } => write!(f, "failing#{}#posts", escape(profile.as_str())),
            Self::Failing { profile, part: Part::Profiles } => {
                write!(f, "failing#{}#profiles", escape(profile.as_str()))
            }
        }
    }
}

impl Key {
    /// Parses the text of a key. Returns `None` for a key of another version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_sharing(text, &mut None)
    }

    /// Like [`Key::parse`], but shares the profile name with the previous key if it is the same, to save memory.
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
            ("handled", of, name, Some(at), None) => {
                Some(Self::Handled { expires_at_ms: moment(at)?, profile: profile(of), id: id(name) })
            }
            ("post", of, name, Some(at), None) => {
                Some(Self::Post { expires_at_ms: moment(at)?, profile: profile(of), id: id(name) })
            }
            ("failing", of, "media", None, None) => Some(Self::Failing { profile: profile(of), part: Part::Media }),
            ("failing", of, "dates", None, None) => Some(Self::Failing { profile: profile(of), part: Part::Dates }),
            ("failing", of, "posts", None, None) => Some(Self::Failing { profile: profile(of), part: Part::Posts }),
            ("unwatched", of, "ref", None, None) => Some(Self::Unwatched { by: KnownBy::RefId, id: id(of) }),
            ("unwatched", of, "title", None, None) => Some(Self::Unwatched { by: KnownBy::Title, id: id(of) }),
            ("failing", of, "profiles", None, None) => {
                Some(Self::Failing { profile: profile(of), part: Part::Profiles })
            }
            _ => None,
        }
    }
}

fn escaped_len(text: &str) -> usize {
    text.len() + 2 * text.bytes().filter(|byte| matches!(byte, b'%' | b'#')).count()
}

fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '#']) { text.replace('%', "%25").replace('#', "%23").into() } else { text.into() }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if text.contains('%') { text.replace("%23", "#").replace("%25", "%").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_can_be_parsed_again_and_never_collide(
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

    /// Hostile texts: long ones, ones that need escaping, multi-byte ones, and hashes of other texts.
    fn hostile_text() -> impl Strategy<Value = String> {
        let repeated = ("[a#%é名📸]{1,3}", 1..400_usize).prop_map(|(text, times)| text.repeat(times));
        let hashed = repeated.clone().prop_map(|text| hash(&text));
        prop_oneof![repeated, hashed, any::<String>()]
    }

    fn key_of_item(profile: &str, id: &str, expires_at_ms: Option<i64>) -> Key {
        let expires_at = expires_at_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Key::of_item(&ProfileName::new(profile), &Media { id: Some(id.to_owned()), expires_at, ..Media::default() })
    }

    proptest! {
        #[test]
        fn every_key_fits_into_dynamodb_and_different_subjects_have_different_keys(
            (a, b) in (hostile_text(), hostile_text()), (c, d) in (hostile_text(), hostile_text()),
            at in proptest::option::of(any::<i64>()),
        ) {
            let (one, two) = (key_of_item(&a, &b, at), key_of_item(&c, &d, at));
            prop_assert!(one.to_string().len() <= MAX_KEY_BYTES, "{} bytes", one.to_string().len());
            prop_assert_eq!(Key::parse(&one.to_string()), Some(one.clone()));
            prop_assert_eq!(one.to_string() == two.to_string(), (&a, &b) == (&c, &d));
            // Somebody could try to pass off the hash of a text as that text.
            let hashed = key_of_item(&hash(&a), &hash(&b), at);
            prop_assert_ne!(one.to_string(), hashed.to_string());
            let marked = |profile: &str, id: &str| {
                let expires_at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
                let media = Media { id: Some(id.to_owned()), expires_at, ..Media::default() };
                Key::of_handled(&ProfileName::new(profile), &media)
            };
            let (mark, other) = (marked(&a, &b), marked(&c, &d));
            prop_assert!(mark.to_string().len() <= MAX_KEY_BYTES, "{} bytes", mark.to_string().len());
            prop_assert_eq!(Key::parse(&mark.to_string()), Some(mark.clone()));
            prop_assert_eq!(mark.to_string() == other.to_string(), (&a, &b) == (&c, &d));
            prop_assert_ne!(mark.to_string(), one.to_string());
            for part in [Part::Media, Part::Dates, Part::Posts, Part::Profiles] {
                let failing = Key::of_failing(&ProfileName::new(&a), part);
                prop_assert!(failing.to_string().len() <= MAX_KEY_BYTES);
                prop_assert_eq!(Key::parse(&failing.to_string()), Some(failing));
            }
            let unwatched = |ref_id: Option<&String>, title: &String| {
                Key::of_unwatched(&AyrshareProfile { title: Some(title.clone()), ref_id: ref_id.cloned() })
            };
            let (by_title, by_ref_id) = (unwatched(None, &a), unwatched(Some(&a), &b));
            prop_assert_ne!(by_title.to_string(), by_ref_id.to_string());
            prop_assert_ne!(unwatched(None, &hash(&a)).to_string(), by_title.to_string());
            prop_assert_eq!(by_ref_id.clone(), unwatched(Some(&a), &c));
            for key in [by_title, by_ref_id] {
                prop_assert!(key.to_string().len() <= MAX_KEY_BYTES);
                prop_assert_eq!(Key::parse(&key.to_string()), Some(key));
            }
        }
    }

    #[test]
    fn a_key_that_fits_into_dynamodb_is_not_hashed() {
        let check = |profile: &str, id: &str, expected: &str| {
            assert_eq!(key_of_item(profile, id, Some(1_795_413_600_000)).to_string(), expected);
        };
        check("Acme #1", "5553a26a%jpeg", "item#Acme %231#5553a26a%25jpeg#1795413600000");
        let (name, id) = ("名".repeat(200), "a".repeat(300));
        check(&name, &id, &format!("item#{name}#{id}#1795413600000"));
        let longest = "#".repeat(134);
        check(&name, &longest, &format!("item#{name}#{}#1795413600000", "%23".repeat(134)));
        // Ids of more than 300 bytes have always been hashed.
        let id = "a".repeat(301);
        check("A", &id, &format!("item#A#{}#1795413600000", hash(&id)));
    }

    #[test]
    fn an_id_that_is_too_long_after_escaping_is_hashed() {
        for character in ["#", "%"] {
            let (name, id) = ("名".repeat(200), character.repeat(300));
            let expected = format!("item#{name}#{}#1795413600000", hash(&id));
            assert_eq!(key_of_item(&name, &id, Some(1_795_413_600_000)).to_string(), expected);
        }
        assert!(key_of_item("A", &"#".repeat(300), None).to_string().starts_with("item#A#%23%23"));
    }

    #[test]
    fn an_id_that_needs_much_escaping_is_hashed_also_if_it_is_short() {
        let (name, id) = ("#".repeat(66), "#".repeat(290));
        assert!(key_of_item(&name, &id, None).to_string().len() < 600);
        assert_eq!(key_of_item("A", &id, None).to_string(), format!("item#A#{}#-", "%23".repeat(290)));
    }

    #[test]
    fn only_what_could_be_a_hash_is_hashed_again() {
        for id in ["sha256:abc".to_owned(), format!("sha256:{}", "x".repeat(64))] {
            assert_eq!(key_of_item("A", &id, None).to_string(), format!("item#A#{id}#-"));
        }
        assert_ne!(key_of_item("A", &hash("a"), None).to_string(), format!("item#A#{}#-", hash("a")));
    }

    #[test]
    fn keys_of_posts_can_be_parsed_again_and_keys_in_a_row_share_the_name_of_the_profile() {
        let key = |profile: &str, id: &str| Key::Post {
            profile: ProfileName::new(profile),
            id: id.to_owned(),
            expires_at_ms: Some(5),
        };
        let mut before = None;
        let mut parse = |key: &Key| Key::parse_sharing(&key.to_string(), &mut before);
        let keys = [key("A", "1"), key("A", "2"), key("B", "1")];
        let parsed = keys.each_ref().map(|key| parse(key).expect("a key"));
        assert_eq!(parsed, keys);
        let [one, two, _] = parsed.each_ref().map(|key| match key {
            Key::Post { profile, .. } => profile.as_str().as_ptr(),
            _ => panic!("the key of a post"),
        });
        assert_eq!(one, two);
    }
}
