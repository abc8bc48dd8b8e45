//! Mails, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::channel::email;
use media_expiry_alerts::config::{ChannelKind, EmailConfig};
use media_expiry_alerts::model::text::units;
use media_expiry_alerts_fuzz::config::CONFIG;
use media_expiry_alerts_fuzz::markup;
use media_expiry_alerts_fuzz::survey::Found;
use media_expiry_alerts_fuzz::text::check_plain_text;

/// Gmail cuts larger mails.
const MAX_HTML_BYTES: usize = 90_000;
const MAX_TEXT_BYTES: usize = 64 * 1024;
const MAX_SUBJECT: usize = 150;
/// The longest line of a mail (RFC 5322).
const MAX_LINE_BYTES: usize = 998;

fuzz_target!(|found: Found| {
    let config = CONFIG.channels.iter().find_map(|channel| match &channel.kind {
        ChannelKind::Email(email) => Some(email),
        _ => None,
    });
    let config = EmailConfig { pictures: !found.digest.is_test, ..config.expect("a channel").clone() };
    let message = email::render(&found.digest, &config);
    assert_eq!(message.entries, found.digest.entries.len());
    let part = |name: &str| message.body[name].as_str().expect("a text");

    let subject = part("subject");
    assert!(!subject.is_empty() && units(subject) <= MAX_SUBJECT && !subject.contains(char::is_control), "{subject:?}");
    let html = part("html");
    assert!(html.len() < MAX_HTML_BYTES, "{} bytes", html.len());
    let longest = html.split('\n').map(str::len).max();
    assert!(longest <= Some(MAX_LINE_BYTES), "a line of {longest:?} bytes");
    markup::check(html);
    let text = part("text");
    assert!(text.len() <= MAX_TEXT_BYTES, "{} bytes", text.len());
    check_plain_text(text);
});
