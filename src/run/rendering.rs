//! Renders the messages for a channel, and the outcome of a dry run.

use std::sync::Arc;

use jiff::Timestamp;

use crate::channel::{self, Message, RunJson};
use crate::config::{Channel, ChannelKind};
use crate::digest::Digest;
use crate::model::threshold::Thresholds;
use crate::model::{Item, Media, ProfileName, State};
use crate::run::result::{ChannelResult, Outcome, RunResult};
use crate::scan::posts::CheckedPosts;
use crate::scan::select::Gallery;
use crate::scan::survey::{Scan, Survey};

/// The sample that `test` sends: one file that has just entered the shortest threshold.
pub(super) fn sample(now: Timestamp, profiles: &[ProfileName], thresholds: &Thresholds) -> Survey {
    let threshold = thresholds.iter().next().cloned();
    let expires_at = threshold.as_ref().and_then(|threshold| now.checked_add(threshold.span()).ok());
    let media = Media { file_name: Some("[TEST] sample.mp4".to_owned()), expires_at, ..Media::default() };
    let scan = |name: &ProfileName| Scan { profile: name.clone(), media: Ok(Gallery::default()), posts: None };
    let mut survey = Survey::new(now, profiles.iter().map(scan).collect(), CheckedPosts::default());
    survey.items.extend(
        profiles
            .first()
            .map(|profile| Arc::new(Item { profile: profile.clone(), media, state: State::Expiring, threshold })),
    );
    survey
}

/// Renders the messages of a digest. Only channels that send JSON call `result`.
pub(super) fn render(channel: &Channel, digest: &Digest, run_id: &str, result: &dyn Fn() -> RunResult) -> Vec<Message> {
    let within = |max_bytes: usize| {
        let json = result().to_json_within(max_bytes);
        (json.text, json.is_cut)
    };
    let result = RunJson { run_id, channel: &channel.name, within: &within };
    match &channel.kind {
        ChannelKind::Slack { mentions, .. } => channel::slack::render(digest, mentions.as_ref()),
        ChannelKind::Sns { format, .. } => vec![channel::sns::render(digest, *format, result)],
        ChannelKind::Webhook { .. } => vec![channel::webhook::render(digest, result)],
        ChannelKind::Email(email) => vec![channel::email::render(digest, email)],
        ChannelKind::Teams { .. } => vec![channel::teams::render(digest)],
    }
}

pub(super) fn fail(channel: &Channel, result: &mut ChannelResult, reason: String) {
    tracing::error!(channel = channel.name, kind = channel.kind.as_str(), "the channel failed: {reason}");
    result.outcome = Outcome::Failed;
    result.error = Some(reason);
}

pub(super) fn outcome(channel: &Channel, outcome: Outcome) -> ChannelResult {
    ChannelResult {
        name: channel.name.clone(),
        kind: channel.kind.as_str(),
        outcome,
        announced: 0,
        messages: 0,
        error: None,
        payloads: Vec::new(),
    }
}

/// The outcome of a channel in a dry run.
pub(super) fn rendered(channel: &Channel, messages: &[Message]) -> ChannelResult {
    ChannelResult {
        announced: messages.iter().map(|message| message.entries).sum(),
        messages: messages.len(),
        payloads: messages.iter().map(|message| message.body.clone()).collect(),
        ..outcome(channel, Outcome::DryRun)
    }
}
