//! Signed links to the report page, `{report_url}/r/{token}`, and to the calendar, `{report_url}/r/{token}.ics`.
//!
//! A token contains its channel, as the beginning of a SHA-256 hash, and its expiry, signed with HMAC-SHA-256. It names no
//! profile, because a channel can have thousands: it shows what its channel has in the configuration when it is opened.
//! Tokens of the page and of the calendar are not interchangeable, because the URL of a calendar stays in a calendar
//! program for a year.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::config::{Channel, HttpConfig};
use crate::digest::ReportLink;

/// The version of the payload. Tokens of other versions open nothing.
const VERSION: u8 = 3;
/// Bytes of a signature.
const TAG_BYTES: usize = 32;
/// What follows the token in the address of a calendar. Some calendar programs recognize a calendar by it.
pub const CALENDAR_SUFFIX: &str = ".ics";

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// The report page and what can be done on it.
    Page,
    /// The calendar, for a subscription.
    Calendar,
}

impl LinkKind {
    /// The prefix of the signed text. It prevents a signature made with the same secret for another purpose from being
    /// valid here.
    fn context(self) -> &'static [u8] {
        match self {
            Self::Page => b"media-expiry-alerts report link",
            Self::Calendar => b"media-expiry-alerts calendar link",
        }
    }
}

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

/// The address of a channel's calendar.
#[derive(Clone, Debug)]
pub struct CalendarLink {
    /// The address, with `https:`.
    pub url: String,
    /// The token in it.
    pub token: String,
    /// How long it works from the moment on when it was made.
    pub ttl: Duration,
}

/// Creates and opens links. It exists if `report_url` and `link_secret` are set.
pub struct Links {
    base: String,
    page_ttl: Duration,
    calendar_ttl: Duration,
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
        Some(Self { base, page_ttl: http.link_ttl, calendar_ttl: http.calendar_ttl, keys })
    }

    /// The link that shows a channel's report from `now` on, as long as links live.
    #[must_use]
    pub fn make(&self, channel: &Channel, now: Timestamp) -> Option<ReportLink> {
        let until = end(now, self.page_ttl);
        Some(ReportLink { url: self.page_url(&self.token(LinkKind::Page, channel, until)?), until })
    }

    /// The address of a channel's calendar, which works from `now` on, as long as calendars live.
    #[must_use]
    pub fn make_calendar(&self, channel: &Channel, now: Timestamp) -> Option<CalendarLink> {
        let token = self.token(LinkKind::Calendar, channel, end(now, self.calendar_ttl))?;
        Some(CalendarLink { url: format!("{}{CALENDAR_SUFFIX}", self.page_url(&token)), token, ttl: self.calendar_ttl })
    }

    /// The address of the page behind a token.
    #[must_use]
    pub fn page_url(&self, token: &str) -> String {
        format!("{}/r/{token}", self.base)
    }

    fn token(&self, kind: LinkKind, channel: &Channel, until: Timestamp) -> Option<String> {
        let mut payload = vec![VERSION];
        payload.extend(until.as_second().to_be_bytes());
        payload.extend(channel_mark(&channel.name));
        let tag = hmac::sign(self.keys.first()?, &self.signed(kind, &payload));
        payload.extend(tag.as_ref());
        Some(URL_SAFE_NO_PAD.encode(payload))
    }

    /// The channel that a token of this kind is for.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub fn open<'c>(
        &self,
        kind: LinkKind,
        token: &str,
        channels: &'c [Channel],
        now: Timestamp,
    ) -> Result<&'c Channel, LinkError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| LinkError::Unknown)?;
        let (payload, tag) = bytes.split_last_chunk::<TAG_BYTES>().ok_or(LinkError::Unknown)?;
        let signed = self.signed(kind, payload);
        // `hmac::verify` compares in constant time.
        if !self.keys.iter().any(|key| hmac::verify(key, &signed, tag).is_ok()) {
            return Err(LinkError::Unknown);
        }
        let (version, rest) = payload.split_first().ok_or(LinkError::Unknown)?;
        let (until, rest) = rest.split_first_chunk::<8>().ok_or(LinkError::Unknown)?;
        if i64::from_be_bytes(*until) <= now.as_second() {
            return Err(LinkError::Expired);
        }
        if *version != VERSION {
            return Err(LinkError::Unknown);
        }
        channels.iter().find(|channel| rest == channel_mark(&channel.name)).ok_or(LinkError::Unknown)
    }

    /// Returns the text that is signed for a payload. It includes `report_url`, so that links of another stack are not
    /// accepted here even if both stacks use the same secret.
    fn signed(&self, kind: LinkKind, payload: &[u8]) -> Vec<u8> {
        [kind.context(), b"\0", self.base.as_bytes(), b"\0", payload].concat()
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({}, {} secrets)", self.base, self.keys.len())
    }
}

/// When a link ends that is made now, in whole seconds.
fn end(now: Timestamp, ttl: Duration) -> Timestamp {
    let until = now.checked_add(ttl).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(until.as_second()).unwrap_or(until)
}

fn channel_mark(name: &str) -> [u8; 8] {
    let hash = Sha256::digest(["channel\0", name].concat());
    hash.first_chunk().copied().unwrap_or([0; 8])
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::config::{Audience, ChannelKind, SnsFormat, TopicArn};
    use crate::digest::fixtures::{now, thresholds};
    use crate::model::Zone;

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
            calendar_ttl: Duration::from_hours(48),
            allow_handled: false,
        };
        Links::of(&http).expect("links")
    }

    fn links(secret: &str) -> Links {
        links_at(secret, "https://reports.example/prod/")
    }

    fn channel(name: &str) -> Channel {
        let topic = TopicArn::parse("arn:aws:sns:eu-central-1:123456789012:alerts").expect("an ARN");
        Channel {
            name: name.to_owned(),
            kind: ChannelKind::Sns { topic, format: SnsFormat::Text },
            audience: Audience::All,
            thresholds: thresholds(),
            timezone: Zone::UTC,
            note: None,
        }
    }

    fn token(links: &Links, channel: &Channel) -> String {
        let link = links.make(channel, now()).expect("a link");
        link.url.strip_prefix("https://reports.example/prod/r/").expect("a token").to_owned()
    }

    /// The channel that a token opens.
    fn opened(links: &Links, token: &str, channels: &[Channel], hours: i64) -> Result<String, LinkError> {
        let channel = links.open(LinkKind::Page, token, channels, now() + SignedDuration::from_hours(hours))?;
        Ok(channel.name.clone())
    }

    #[test]
    fn a_link_opens_its_own_channel_until_its_time_is_over() {
        let (links, channels) = (links(SECRET), [channel("a"), channel("b")]);
        let [a, b] = [0, 1].map(|index| token(&links, &channels[index]));
        assert_eq!(opened(&links, &a, &channels, 23), Ok("a".into()));
        assert_eq!(opened(&links, &b, &channels, 23), Ok("b".into()));
        assert_eq!(opened(&links, &a, &channels, 24), Err(LinkError::Expired));
        assert_eq!(opened(&links, &a, &channels[1..], 0), Err(LinkError::Unknown));
        assert_eq!(a.len(), 66, "short, whatever the channel has");
    }

    #[test]
    fn a_calendar_opens_with_its_own_token_only_and_lives_longer() {
        let (links, channels) = (links(SECRET), [channel("a"), channel("b")]);
        let calendar = links.make_calendar(&channels[1], now()).expect("a calendar");
        assert_eq!(calendar.url, format!("https://reports.example/prod/r/{}.ics", calendar.token));
        let opened_as = |links: &Links, kind, token: &str, hours| {
            let at = now() + SignedDuration::from_hours(hours);
            links.open(kind, token, &channels, at).map(|channel| channel.name.clone())
        };
        assert_eq!(opened_as(&links, LinkKind::Calendar, &calendar.token, 47), Ok("b".into()));
        assert_eq!(opened_as(&links, LinkKind::Calendar, &calendar.token, 48), Err(LinkError::Expired));
        assert_eq!(opened_as(&links, LinkKind::Page, &calendar.token, 0), Err(LinkError::Unknown));
        let page = token(&links, &channels[1]);
        assert_eq!(opened_as(&links, LinkKind::Calendar, &page, 0), Err(LinkError::Unknown));
        assert_ne!(page, calendar.token);

        let rotated = links_of(NEW_SECRET, Some(SECRET), "https://reports.example/prod/");
        assert_eq!(opened_as(&rotated, LinkKind::Calendar, &calendar.token, 0), Ok("b".into()));
        assert_eq!(opened_as(&rotated, LinkKind::Page, &calendar.token, 0), Err(LinkError::Unknown));
    }

    #[test]
    fn a_token_of_another_version_opens_nothing() {
        let (links, channels) = (links(SECRET), [channel("a")]);
        for (version, more) in [(1, &[0; 4][..]), (2, &[0; 16]), (3, &[0; 4]), (4, &[])] {
            let until = (now() + SignedDuration::from_hours(1)).as_second();
            let mut payload = vec![version];
            payload.extend(until.to_be_bytes());
            payload.extend(channel_mark("a"));
            payload.extend(more);
            let tag = hmac::sign(&links.keys[0], &links.signed(LinkKind::Page, &payload));
            payload.extend(tag.as_ref());
            let token = URL_SAFE_NO_PAD.encode(payload);
            assert_eq!(opened(&links, &token, &channels, 0), Err(LinkError::Unknown), "{version}");
        }
    }

    #[test]
    fn nothing_else_opens_anything() {
        let (links, channels) = (links(SECRET), [channel("a")]);
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
    fn a_secret_can_be_replaced() {
        let channels = [channel("a")];
        let old = token(&links(SECRET), &channels[0]);
        let both = links_of(NEW_SECRET, Some(SECRET), "https://reports.example/prod/");
        assert_eq!(opened(&both, &old, &channels, 0), Ok("a".into()));
        assert_eq!(token(&both, &channels[0]), token(&links(NEW_SECRET), &channels[0]));
        assert_eq!(opened(&links(NEW_SECRET), &old, &channels, 0), Err(LinkError::Unknown));
    }

    #[test]
    fn a_part_of_a_secret_opens_nothing() {
        let channels = [channel("a")];
        let part = token(&links("fedcba9876543210"), &channels[0]);
        assert_eq!(opened(&links(NEW_SECRET), &part, &channels, 0), Err(LinkError::Unknown));
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", links(SECRET)), "Links(https://reports.example/prod, 1 secrets)");
    }
}
