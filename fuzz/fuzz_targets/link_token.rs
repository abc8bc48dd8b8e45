//! The tokens of signed links: what was signed opens, and nothing else does.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::config::HttpConfig;
use media_expiry_alerts::report::link::{LinkError, LinkKind, Links};
use media_expiry_alerts_fuzz::config::CONFIG;
use secrecy::SecretString;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// When the link is made, in seconds.
    made_at: i64,
    /// How much later it is opened, in seconds.
    opened_after: u32,
    channel: u8,
    is_calendar: bool,
    /// Where the token is changed, and into which byte.
    change: Option<(u8, u8)>,
    /// A token of somebody else.
    token: &'a str,
}

/// Links before a rotation of the secret, and after it.
static LINKS: LazyLock<[Links; 2]> = LazyLock::new(|| {
    let links = |secret: &str, previous: Option<&str>| {
        let http = HttpConfig {
            require_authorizer: true,
            report_url: "https://reports.example/prod/".parse().ok(),
            link_secret: Some(SecretString::from(secret)),
            previous_link_secret: previous.map(SecretString::from),
            link_ttl: Duration::from_hours(24),
            calendar_ttl: Duration::from_hours(48),
            allow_handled: false,
        };
        Links::of(&http).expect("links")
    };
    let (old, new) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210 fedcba9876543210");
    [links(old, None), links(new, Some(old))]
});

fuzz_target!(|input: Input<'_>| {
    let [old, new] = &*LINKS;
    let channels = &CONFIG.channels;
    let channel = &channels[usize::from(input.channel) % channels.len()];
    let Ok(made_at) = Timestamp::from_second(input.made_at % 377_705_116_800) else { return };
    let opened_at =
        Timestamp::from_second(made_at.as_second() + i64::from(input.opened_after)).unwrap_or(Timestamp::MAX);

    for kind in [LinkKind::Page, LinkKind::Calendar] {
        let opened = new.open(kind, input.token, channels, opened_at).map(|channel| &channel.name);
        assert_eq!(opened, Err(LinkError::Unknown), "a token that nobody has signed");
    }

    let (kind, other_kind, token, lasts) = if input.is_calendar {
        let link = old.make_calendar(channel, made_at).expect("a calendar");
        (LinkKind::Calendar, LinkKind::Page, link.token, 48 * 3_600)
    } else {
        let link = old.make(channel, made_at).expect("a link");
        let token = link.url.rsplit('/').next().expect("a token").to_owned();
        (LinkKind::Page, LinkKind::Calendar, token, 24 * 3_600)
    };
    let is_over = made_at.as_second() + lasts <= opened_at.as_second() || Timestamp::MAX <= opened_at;
    let expected = if is_over { Err(LinkError::Expired) } else { Ok(&channel.name) };
    for links in [old, new] {
        assert_eq!(links.open(kind, &token, channels, opened_at).map(|channel| &channel.name), expected);
        let other = links.open(other_kind, &token, channels, opened_at).map(|channel| &channel.name);
        assert_eq!(other, Err(LinkError::Unknown), "a link of another kind");
    }

    if let Some((at, byte)) = input.change {
        let mut changed = token.clone().into_bytes();
        let at = usize::from(at) % changed.len();
        changed[at] = byte;
        if let Ok(changed) = String::from_utf8(changed)
            && changed != token
        {
            let opened = new.open(kind, &changed, channels, opened_at).map(|channel| &channel.name);
            assert_eq!(opened, Err(LinkError::Unknown), "a token that was changed");
        }
    }
});
