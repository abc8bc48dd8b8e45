//! Renders a digest for Amazon Q Developer in chat applications: a custom notification as the body of an SNS message.
//!
//! Amazon Q silently drops messages of any other shape, so its topic should carry nothing else.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::RunJson;
use crate::digest::{self, Digest, DigestLine, LineSubject, Sentence};
use crate::model::text::{list, one_line, shorten, units};

/// The longest description, in characters. No limit is documented; chat applications show about this much of one message.
const MAX_DESCRIPTION: usize = 3_000;
/// Characters of the names of profiles that nobody watches.
const MAX_UNWATCHED: usize = 500;
/// The longest line of good news, in characters. One that there is no room for is left out: it asks nobody to do anything.
const MAX_GOOD_NEWS: usize = 500;
/// The longest of the last lines, in characters.
const MAX_CLOSING: usize = 240;
/// The longest note of the configuration, in characters.
const MAX_NOTE: usize = 1_000;
/// What is reserved for the counts of what there is no room for, in characters.
const COUNTS: usize = 350;
/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// How many profiles become keywords, and how many of the unchecked ones are named.
const MAX_NAMES: usize = 8;

/// Renders a digest; the second value says whether entries were left out.
#[must_use]
pub fn render(digest: &Digest, run: RunJson<'_>) -> (String, bool) {
    let concerned: Vec<_> = digest.concerned().iter().map(|profile| text(profile.as_str())).collect();
    let counts = digest.counts();
    let (description, is_cut) = description(digest);
    let message = json!({
        "version": "1.0",
        "source": "custom",
        "id": run.run_id,
        "content": {
            "textType": "client-markdown",
            "title": digest.headline(),
            "description": description,
            "nextSteps": digest.next_steps(),
            "keywords": concerned.iter().take(MAX_NAMES).collect::<Vec<_>>(),
        },
        "metadata": {
            "threadId": thread_id(run.channel),
            "summary": digest.headline(),
            "eventType": digest.severity(),
            "additionalContext": {
                "posts_at_risk": counts.posts_at_risk.to_string(),
                "expired": counts.expired.to_string(),
                "expiring": counts.expiring.to_string(),
                "profiles": list(&concerned, MAX_NAMES),
            },
        },
    });
    (message.to_string(), is_cut)
}

/// Returns an id that is the same for all messages of a channel, so that they form one thread. It is a hash, because the names
/// of channels may have any characters.
fn thread_id(channel: &str) -> String {
    format!("{}-{}", env!("CARGO_PKG_NAME"), hex::encode(&Sha256::digest(channel)[..8]))
}

fn description(digest: &Digest) -> (String, bool) {
    let closing = digest.closing().into_iter().map(|line| format!("\n\n{}", fitting(&line, MAX_CLOSING, escape)));
    // The note is the operator's own Markdown, but never a mention.
    let note = digest.note.as_deref().map(|note| format!("\n\n{}", fitting(note, MAX_NOTE, entities)));
    let end: String = closing.chain(note).collect();
    let max_entries = MAX_DESCRIPTION.saturating_sub(COUNTS + units(&end));
    let mut text = digest.coverage().plain(&digest.zone);
    if let Some(report) = &digest.report_link {
        let until = digest.zone.format(report.until);
        let link = format!("\n\n[Open the report]({}) (works until {until})", report.url);
        if units(&text) + units(&link) <= max_entries {
            text += &link;
        }
    }
    if !digest.unchecked.is_empty() {
        text += "\n\n**Could not be checked**";
        let mut named = 0;
        for failed in digest.unchecked.iter().take(MAX_NAMES) {
            let line = format!("\n- {}: {}", self::text(failed.profile.as_str()), digest::reason(failed));
            if max_entries < units(&text) + units(&line) {
                break;
            }
            text += &line;
            named += 1;
        }
        if named < digest.unchecked.len() {
            text += &format!("\n- and {} more", digest.unchecked.len() - named);
        }
    }
    let unwatched = digest.unwatched(MAX_UNWATCHED, |name| units(&escape(name))).map(|line| escape(&line));
    let good_news = digest.good_news().into_iter().map(|line| fitting(&line, MAX_GOOD_NEWS, escape));
    for paragraph in unwatched.into_iter().chain(good_news) {
        if units(&text) + units(&paragraph) + 2 <= max_entries {
            text += "\n\n";
            text += &paragraph;
        }
    }
    let all = digest.lines();
    let mut shown = 0;
    let mut last: Option<&DigestLine<'_>> = None;
    for line in &all {
        let mut lines = String::new();
        let new_section = last.is_none_or(|last| last.urgency != line.urgency);
        if new_section {
            lines += &format!("\n\n**{}** ({})", line.urgency.heading(), digest.tally(&all, line.urgency));
        }
        if new_section || last.is_none_or(|last| last.profile != line.profile) {
            lines += &format!("\n*{}*", self::text(line.profile.as_str()));
        }
        lines += &bullet(line, digest);
        if max_entries < units(&text) + units(&lines) {
            break;
        }
        text += &lines;
        shown += 1;
        last = Some(line);
    }
    let left_out = &all[shown..];
    if !left_out.is_empty() {
        text += "\n\n";
        text += &digest::left_out(left_out);
    }
    text += &end;
    (text, !left_out.is_empty())
}

fn bullet(line: &DigestLine<'_>, digest: &Digest) -> String {
    let said = |sentence: Sentence| escape(&sentence.plain(&digest.zone));
    match &line.subject {
        LineSubject::File(item) => format!("\n- {}: {}", text(&item.label()), said(digest.timing(&[*item]))),
        LineSubject::Files(files) => {
            let names = digest::first_names(files, |item| text(&item.label()));
            format!("\n- {names}: {}", said(digest.timing(files)))
        }
        LineSubject::Post(post) => {
            let reasons = digest.post_reasons(post).into_iter();
            let reasons: String = reasons.map(|reason| format!("; {}", said(reason))).collect();
            format!("\n- {}: {}{reasons}", text(&digest::post_label(post)), said(digest::post_timing(post, digest.now)))
        }
    }
}

/// Shortens text from outside and escapes what Markdown or a chat application would act on.
fn text(outside: &str) -> String {
    escape(&shorten(&one_line(outside), MAX_NAME))
}

/// Escapes as much of a text as fits into `max` characters.
fn fitting(text: &str, max: usize, escape: impl Fn(&str) -> String) -> String {
    let mut raw_max = max;
    loop {
        let escaped = escape(&shorten(text, raw_max));
        let length = units(&escaped);
        if length <= max {
            return escaped;
        }
        raw_max = raw_max * max / length;
    }
}

/// Escapes what could begin a mention or a link of the chat application.
fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn escape(outside: &str) -> String {
    let mut text = String::new();
    for character in outside.chars() {
        match character {
            '*' | '_' | '`' | '~' | '[' | ']' | '|' | '\\' => text.extend(['\\', character]),
            '<' => text += "&lt;",
            '>' => text += "&gt;",
            '&' => text += "&amp;",
            _ => text.push(character),
        }
    }
    text
}
