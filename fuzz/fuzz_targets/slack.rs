//! Messages for Slack, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::channel::slack;
use media_expiry_alerts::config::ChannelKind;
use media_expiry_alerts::demo::stand_ins::check_slack_message;
use media_expiry_alerts::model::text::units;
use media_expiry_alerts_fuzz::config::CONFIG;
use media_expiry_alerts_fuzz::survey::Found;

/// Slack accepts about one message a second.
const MAX_MESSAGES: usize = 5;
/// Slack recommends fewer.
const MAX_FALLBACK: usize = 4_000;
/// Slack rejects messages somewhere above 10,000.
const MAX_BLOCKS_JSON: usize = 9_500;

fuzz_target!(|found: Found| {
    let mentions = CONFIG.channels.iter().find_map(|channel| match &channel.kind {
        ChannelKind::Slack { mentions, .. } => mentions.as_ref(),
        _ => None,
    });
    let messages = slack::render(&found.digest, mentions);
    assert!((1..=MAX_MESSAGES).contains(&messages.len()), "{} messages", messages.len());
    let entries: usize = messages.iter().map(|message| message.entries).sum();
    assert_eq!(entries, found.digest.entries.len(), "every entry is announced once");
    for message in &messages {
        check_slack_message(&message.body).unwrap_or_else(|what| panic!("{what}: {:#}", message.body));
        assert!(units(message.body["text"].as_str().expect("a text")) <= MAX_FALLBACK);
        let json = units(&message.body["blocks"].to_string());
        assert!(json <= MAX_BLOCKS_JSON, "{json} characters");
    }
});
