//! Signed links to the report page: `{report_url}/r/{token}`.
//!
//! A token contains its channel, the profiles that the channel had, and its end. It is signed with HMAC-SHA-256, so nobody
//! can create or change one without the secret. Instead of names it contains the first bytes of their SHA-256 hashes, which
//! keeps it short and reveals no names. A collision of these bytes reveals nothing either, because a token only opens
//! profiles that its channel still has in the configuration.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::config::{Channel, HttpConfig};
use crate::digest::ReportLink;
use crate::model::ProfileName;

/// The prefix of the signed text. It prevents a signature made with the same secret for another purpose from being valid
/// here.
const CONTEXT: &[u8] = b"media-expiry-alerts report link";
/// The version of a token that contains a hash of each profile.
const LISTED: u8 = 1;
/// The version of a token that contains one hash of all profiles. It becomes invalid when they change.
const COMBINED: u8 = 2;
/// The most profiles with a hash of their own. With more, the URL would not fit into a line of an email, which has at most
/// 998 bytes.
const MAX_NAMED: usize = 150;
/// The length of a signature.
const TAG_BYTES: usize = 32;
/// The length of the version, the end time and the channel.
const HEAD_BYTES: usize = 1 + 8 + 8;

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The link was valid but has expired.
    #[error("the link has expired")]
    Expired,
    /// The link was never created by this function, or its channel or profiles no longer exist.
    #[error("there is no such link")]
    Unknown,
}

/// Creates and opens links. It exists if `report_url` and `link_secret` are set.
pub struct Links {
    base: String,
    ttl: std::time::Duration,
    /// The first secret signs new links. All of them are accepted, so that old links still work after a rotation.
    keys: Vec<hmac::Key>,
}

impl Links {
    /// Returns `None` if the configuration has no links.
    #[must_use]
    pub fn of(http: &HttpConfig) -> Option<Self> {
        let (url, secret) = (http.report_url.as_ref()?, http.link_secret.as_ref()?);
        let secrets = [Some(secret), http.previous_link_secret.as_ref()].into_iter().flatten();
        let key = |secret: &SecretString| hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        let keys = secrets.map(key).collect();
        let base = url.as_str().trim_end_matches('/').to_owned();
        Some(Self { base, ttl: http.link_ttl, keys })
    }

    /// Creates a link to the report on a channel's profiles, which expires after the configured time.
    #[must_use]
    pub fn make(&self, channel: &Channel, now: Timestamp) -> Option<ReportLink> {
        let until = now.checked_add(self.ttl).unwrap_or(Timestamp::MAX);
        let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
        let mut payload = Vec::with_capacity(HEAD_BYTES + 4 * MAX_NAMED + TAG_BYTES);
        let is_named = channel.profiles.len() <= MAX_NAMED;
        payload.push(if is_named { LISTED } else { COMBINED });
        payload.extend(until.as_second().to_be_bytes());
        payload.extend(channel_hash(&channel.name));
        if is_named {
            payload.extend(channel.profiles.iter().flat_map(profile_hash));
        } else {
            payload.extend(set_hash(&channel.profiles));
        }
        let tag = hmac::sign(self.keys.first()?, &self.signed(&payload));
        payload.extend(tag.as_ref());
        Some(ReportLink { url: format!("{}/r/{}", self.base, URL_SAFE_NO_PAD.encode(payload)), until })
    }

    /// Returns the channel of a token, and the profiles that the channel had when the token was created and still has.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub fn open<'c>(
        &self,
        token: &str,
        channels: &'c [Channel],
        now: Timestamp,
    ) -> Result<(&'c Channel, Vec<&'c ProfileName>), LinkError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| LinkError::Unknown)?;
        let (payload, tag) = bytes.split_last_chunk::<TAG_BYTES>().ok_or(LinkError::Unknown)?;
        let signed = self.signed(payload);
        // `hmac::verify` compares in constant time.
        if !self.keys.iter().any(|key| hmac::verify(key, &signed, tag).is_ok()) {
            return Err(LinkError::Unknown);
        }
        let (version, rest) = payload.split_first().ok_or(LinkError::Unknown)?;
        let (until, rest) = rest.split_first_chunk::<8>().ok_or(LinkError::Unknown)?;
        let (channel, hashes) = rest.split_first_chunk::<8>().ok_or(LinkError::Unknown)?;
        if i64::from_be_bytes(*until) <= now.as_second() {
            return Err(LinkError::Expired);
        }
        let channel = channels.iter().find(|one| channel_hash(&one.name) == *channel).ok_or(LinkError::Unknown)?;
        let profiles: Vec<_> = match *version {
            LISTED => {
                let is_named =
                    |profile: &&ProfileName| hashes.chunks_exact(4).any(|hash| hash == profile_hash(profile));
                channel.profiles.iter().filter(is_named).collect()
            }
            COMBINED if hashes == set_hash(&channel.profiles) => channel.profiles.iter().collect(),
            _ => return Err(LinkError::Unknown),
        };
        if profiles.is_empty() { Err(LinkError::Unknown) } else { Ok((channel, profiles)) }
    }

    /// Returns the text that is signed for a payload. It includes `report_url`, so that links of another stack are not
    /// accepted here even if both stacks use the same secret.
    fn signed(&self, payload: &[u8]) -> Vec<u8> {
        [CONTEXT, b"\0", self.base.as_bytes(), b"\0", payload].concat()
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({}, {} secrets)", self.base, self.keys.len())
    }
}

fn channel_hash(name: &str) -> [u8; 8] {
    first(Sha256::digest(["channel\0", name].concat()).as_slice())
}

fn profile_hash(name: &ProfileName) -> [u8; 4] {
    first(Sha256::digest(["profile\0", name.as_str()].concat()).as_slice())
}

/// Returns the hash of a set of profiles, independent of their order. Names contain no control characters, so the separator
/// is unambiguous.
fn set_hash(profiles: &[ProfileName]) -> [u8; 16] {
    let mut names: Vec<_> = profiles.iter().map(ProfileName::as_str).collect();
    names.sort_unstable();
    first(Sha256::digest(["profiles", &names.join("\0")].join("\0")).as_slice())
}

fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    hash.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;
    use crate::config::{ChannelKind, SnsFormat, TopicArn};
    use crate::digest::fixtures::{now, thresholds};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NEW_SECRET: &str = "fedcba9876543210 fedcba9876543210";

    fn links_at(secret: &str, url: &str) -> Links {
        links_of(secret, None, url)
    }

    fn links_of(secret: &str, previous: Option<&str>, url: &str) -> Links {
        let http = HttpConfig {
            require_authorizer: true,
            report_url: Some(url.parse().expect("a URL")),
            link_secret: Some(SecretString::from(secret)),
            previous_link_secret: previous.map(SecretString::from),
            link_ttl: Duration::from_hours(24),
        };
        Links::of(&http).expect("links")
    }

    fn links(secret: &str) -> Links {
        links_at(secret, "https://reports.example/prod/")
    }

    fn channel(name: &str, profiles: &[&str]) -> Channel {
        let topic = TopicArn::parse("arn:aws:sns:eu-central-1:123456789012:alerts").expect("an ARN");
        Channel {
            has_all_profiles: false,
            name: name.to_owned(),
            kind: ChannelKind::Sns { topic, format: SnsFormat::Text },
            profiles: profiles.iter().map(|name| ProfileName::new(name)).collect(),
            thresholds: thresholds(),
        }
    }

    fn token(links: &Links, channel: &Channel) -> String {
        let link = links.make(channel, now()).expect("a link");
        link.url.strip_prefix("https://reports.example/prod/r/").expect("a token").to_owned()
    }

    /// Returns the profiles that a token opens.
    fn opened(links: &Links, token: &str, channels: &[Channel], hours: i64) -> Result<Vec<String>, LinkError> {
        let (_, profiles) = links.open(token, channels, now() + SignedDuration::from_hours(hours))?;
        Ok(profiles.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_link_opens_its_own_profiles_until_it_expires() {
        let (links, channels) = (links(SECRET), [channel("a", &["A", "B"]), channel("b", &["C"])]);
        let [a, b] = [0, 1].map(|index| token(&links, &channels[index]));
        assert_eq!(opened(&links, &a, &channels, 23), Ok(vec!["A".into(), "B".into()]));
        assert_eq!(opened(&links, &b, &channels, 23), Ok(vec!["C".into()]));
        assert_eq!(opened(&links, &a, &channels, 24), Err(LinkError::Expired));
    }

    #[test]
    fn a_link_opens_only_profiles_that_its_channel_had_and_still_has() {
        let (links, then) = (links(SECRET), channel("a", &["A", "B"]));
        let token = token(&links, &then);
        assert_eq!(opened(&links, &token, &[channel("a", &["B", "C"])], 0), Ok(vec!["B".into()]));
        assert_eq!(opened(&links, &token, &[channel("a", &["C"])], 0), Err(LinkError::Unknown));
        assert_eq!(opened(&links, &token, &[channel("b", &["A", "B"])], 0), Err(LinkError::Unknown));
    }

    #[test]
    fn invalid_tokens_are_rejected() {
        let (links, channels) = (links(SECRET), [channel("a", &["A"])]);
        let good = token(&links, &channels[0]);
        let unknown = |token: &str| assert_eq!(opened(&links, token, &channels, 0), Err(LinkError::Unknown), "{token}");
        for wrong in ["", "x", "é", "..", &good[..good.len() / 2], &good[good.len() / 2..], &format!("{good}A")] {
            unknown(wrong);
        }
        let bytes = URL_SAFE_NO_PAD.decode(&good).expect("base64");
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[index] ^= 1 << bit;
                unknown(&URL_SAFE_NO_PAD.encode(changed));
            }
        }
        for (secret, url) in [("another secret!!", "https://reports.example/prod"), (SECRET, "https://other.example")] {
            let link = links_at(secret, url).make(&channels[0], now()).expect("a link").url;
            unknown(link.rsplit('/').next().expect("a token"));
        }
    }

    #[test]
    fn links_with_the_previous_secret_still_work() {
        let channels = [channel("a", &["A"])];
        let old = token(&links(SECRET), &channels[0]);
        let both = links_of(NEW_SECRET, Some(SECRET), "https://reports.example/prod/");
        assert_eq!(opened(&both, &old, &channels, 0), Ok(vec!["A".into()]));
        assert_eq!(token(&both, &channels[0]), token(&links(NEW_SECRET), &channels[0]));
        assert_eq!(opened(&links(NEW_SECRET), &old, &channels, 0), Err(LinkError::Unknown));
    }

    #[test]
    fn a_link_signed_with_a_part_of_the_secret_is_rejected() {
        let channels = [channel("a", &["A"])];
        let part = token(&links("fedcba9876543210"), &channels[0]);
        assert_eq!(opened(&links(NEW_SECRET), &part, &channels, 0), Err(LinkError::Unknown));
    }

    #[test]
    fn thousands_of_profiles_fit_into_a_link_that_works_until_they_change() {
        let names: Vec<_> = (0..5_000).map(|index| format!("Client {index}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let links = links(SECRET);
        assert!(token(&links, &channel("a", &names[..150])).len() < 870);
        let many = token(&links, &channel("a", &names));
        assert!(many.len() < 120);
        assert_eq!(opened(&links, &many, &[channel("a", &names)], 0).map(|names| names.len()), Ok(5_000));
        assert_eq!(opened(&links, &many, &[channel("a", &names[1..])], 0), Err(LinkError::Unknown));
    }

    #[test]
    fn debug_output_contains_no_secret() {
        assert_eq!(format!("{:?}", links(SECRET)), "Links(https://reports.example/prod, 1 secrets)");
    }
}
