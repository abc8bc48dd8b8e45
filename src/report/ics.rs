//! A report as a calendar (RFC 5545) with an entry for each expiry and for each scheduled post at risk.
//!
//! It is written without a crate, because the only well-maintained one depends on a second date library.
//!
//! The UID of an entry depends on its file or post but not on the date. So when the date changes, a subscribed calendar
//! moves the entry instead of adding a second one. The `SEQUENCE` never changes: of two versions with the same one, the later
//! `DTSTAMP` wins (RFC 5546, section 2.1.5).

use std::collections::HashMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{Format, Report, safe_url};
use crate::digest::{self, Urgency};
use crate::model::text::{count, list, one_line, shorten, utc};
use crate::model::{Item, MediaAtRisk, PostAtRisk, RiskReason};

/// The longest line in bytes, without its end (RFC 5545, section 3.1). Longer ones must be folded.
const LINE: usize = 75;
/// The longest name, in characters.
const MAX_NAME: usize = 150;
/// The longest text of a post, in characters.
const MAX_TEXT: usize = 1_000;
/// How many unchecked profiles are named.
const MAX_NAMES: usize = 20;

/// Renders a report as a calendar.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let mut calendar = Calendar { text: String::new(), stamp: stamp(report.survey.now), uids: HashMap::new() };
    calendar.line("BEGIN", "VCALENDAR");
    calendar.line("VERSION", "2.0");
    calendar.line("PRODID", concat!("-//", env!("CARGO_PKG_NAME"), "//", env!("CARGO_PKG_VERSION"), "//EN"));
    calendar.line("CALSCALE", "GREGORIAN");
    for name in ["NAME", "X-WR-CALNAME"] {
        calendar.text(name, "Media that expires");
    }
    for name in ["DESCRIPTION", "X-WR-CALDESC"] {
        calendar.text(name, &description(report));
    }
    calendar.line("REFRESH-INTERVAL;VALUE=DURATION", "PT6H");
    calendar.line("X-PUBLISHED-TTL", "PT6H");
    for post in report.posts {
        calendar.post(post, report.survey.now);
    }
    for item in report.items {
        calendar.file(item, report.posts_by_media.of(item).len());
    }
    let left_out = report.left_out(Format::Ics);
    if 0 < left_out {
        calendar.begin(&uid("left-out", &[]));
        calendar.day(report.survey.now);
        calendar.text("SUMMARY", &format!("{} more that there is no room for", count(left_out, "item")));
        calendar.text("DESCRIPTION", "Ask for fewer with the parameters `profile` or `within`.");
        calendar.end();
    }
    calendar.line("END", "VCALENDAR");
    calendar.text
}

/// Returns what has no entry in the calendar: how many files have no date, and what could not be checked.
fn description(report: &Report<'_>) -> String {
    let mut parts =
        vec![format!("Checked {} of {}.", report.survey.checked(), count(report.survey.configured(), "profile"))];
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|failed| format!("{} ({})", name(failed.profile.as_str()), digest::reason(failed)))
        .collect();
    if !failed.is_empty() {
        let all = failed.len() + report.failed_left_out();
        parts.push(format!("Could not be checked ({all}): {}.", list(&failed, MAX_NAMES)));
    }
    if 0 < report.media.undated {
        let (undated, is) = (report.media.undated, if report.media.undated == 1 { "is" } else { "are" });
        parts.push(format!("{} without an expiry date {is} not in here.", count(undated, "file")));
    }
    parts.join(" ")
}

struct Calendar {
    text: String,
    stamp: String,
    /// How often each UID was used. Indistinguishable files still need an entry each.
    uids: HashMap<String, usize>,
}

impl Calendar {
    fn file(&mut self, item: &Item, needed_by: usize) {
        let media = &item.media;
        let Some(expires_at) = media.expires_at else { return };
        let label = shorten(&item.label(), MAX_NAME).into_owned();
        let profile = name(item.profile.as_str());
        let urgency = Urgency::of_item(item);
        let verb = if urgency == Urgency::Expired { "Expired" } else { "Expires" };
        let created_at = media.created_at.map(|at| at.to_string());
        let named = [media.file_name.as_deref(), created_at.as_deref()].map(Option::unwrap_or_default);
        let key = match (&media.id, &media.url) {
            (Some(id), _) => uid("file", &[item.profile.as_str(), id]),
            (None, Some(url)) => uid("file-at", &[item.profile.as_str(), url]),
            (None, None) => uid("file-named", &[item.profile.as_str(), named[0], named[1]]),
        };
        self.begin(&key);
        self.moment(expires_at);
        self.text("SUMMARY", &format!("{verb}: {label} ({profile})"));
        let mut description = format!("{label}\n{verb} {}\nProfile: {profile}", utc(expires_at));
        if 0 < needed_by {
            description += &format!("\n{} will fail without it.", count(needed_by, "scheduled post"));
        }
        description += &format!("\n\n{}", urgency.advice());
        self.text("DESCRIPTION", &description);
        if let Some(url) = media.url.as_deref().and_then(safe_url) {
            self.line("URL", url.as_str());
        }
        self.text("CATEGORIES", "Media expiry");
        self.end();
    }

    fn post(&mut self, post: &PostAtRisk, now: Timestamp) {
        let profile = name(post.profile.as_str());
        let label = digest::post_label(post);
        let key = match &post.id {
            Some(id) => uid("post", &[post.profile.as_str(), id]),
            None => uid("post-saying", &[post.profile.as_str(), post.text.as_deref().unwrap_or_default()]),
        };
        self.begin(&key);
        match post.scheduled_at {
            Some(due) => self.moment(due),
            // A post without a due date is shown today, where people notice it.
            None => self.day(now),
        }
        self.text("SUMMARY", &format!("Post will fail: {label} ({profile})"));
        let text = one_line(post.text.as_deref().unwrap_or_default());
        let platforms: Vec<_> = post.platforms.iter().map(|platform| name(platform)).collect();
        let mut lines = vec![shorten(&text, MAX_TEXT).into_owned(), String::new(), format!("Profile: {profile}")];
        if !platforms.is_empty() {
            lines.push(format!("For {}", list(&platforms, MAX_NAMES)));
        }
        lines.extend(post.media.iter().take(MAX_NAMES).map(reason));
        if MAX_NAMES < post.media.len() {
            lines.push(format!("and {} more", count(post.media.len() - MAX_NAMES, "file")));
        }
        lines.push(format!("\n{}", Urgency::PostAtRisk.advice()));
        self.text("DESCRIPTION", lines.join("\n").trim());
        self.text("CATEGORIES", "Post at risk");
        self.end();
    }

    fn begin(&mut self, uid: &str) {
        let seen = self.uids.entry(uid.to_owned()).and_modify(|seen| *seen += 1).or_default();
        let uid = if *seen == 0 { uid.to_owned() } else { format!("{uid}-{seen}") };
        let stamp = self.stamp.clone();
        self.line("BEGIN", "VEVENT");
        self.line("UID", &format!("{uid}@{}", env!("CARGO_PKG_NAME")));
        self.line("DTSTAMP", &stamp);
        self.line("LAST-MODIFIED", &stamp);
        self.line("SEQUENCE", "0");
    }

    fn end(&mut self) {
        // The entry does not make anybody appear busy.
        self.line("TRANSP", "TRANSPARENT");
        self.line("END", "VEVENT");
    }

    fn moment(&mut self, at: Timestamp) {
        self.line("DTSTART", &stamp(at));
    }

    fn day(&mut self, at: Timestamp) {
        self.line("DTSTART;VALUE=DATE", &at.strftime("%Y%m%d").to_string());
    }

    /// Adds a property with a text value, which is escaped.
    fn text(&mut self, name: &str, value: &str) {
        self.line(name, &escape(value));
    }

    /// Adds a line. If it is too long, it is folded between two characters.
    fn line(&mut self, name: &str, value: &str) {
        let mut column = 0;
        for character in name.chars().chain([':']).chain(value.chars()) {
            if LINE < column + character.len_utf8() {
                self.text += "\r\n ";
                column = 1;
            }
            self.text.push(character);
            column += character.len_utf8();
        }
        self.text += "\r\n";
    }
}

fn reason(media: &MediaAtRisk) -> String {
    let file = name(&media.label());
    match (media.reason, media.expires_at) {
        (RiskReason::ExpiresBeforePost, Some(at)) => format!("Its file {file} expires {}", utc(at)),
        (RiskReason::ExpiresBeforePost, None) => format!("Its file {file} expires before that"),
        (RiskReason::AlreadyGone, _) => format!("Its file {file} is gone already"),
        (RiskReason::LinkExpiresBeforePost, Some(at)) => {
            format!("The link to its file {file} ends at the latest on {}; use a link that lasts", utc(at))
        }
        (RiskReason::LinkExpiresBeforePost, None) => {
            format!("The link to its file {file} ends before that; use a link that lasts")
        }
    }
}

fn name(outside: &str) -> String {
    shorten(&one_line(outside), MAX_NAME).into_owned()
}

/// Returns the UID of an entry. It depends on the entry's subject but not on its date.
fn uid(kind: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update(kind);
    for part in parts {
        hash.update("\0");
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}

/// Formats a time in UTC. Fractions of a second are cut off, so that nothing appears to expire later than it does.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\\' | ';' | ',' => escaped.extend(['\\', character]),
            '\n' => escaped += "\\n",
            _ if character.is_control() => {}
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_loses_its_control_characters() {
        let check = |text: &str, expected: &str| assert_eq!(escape(text), expected);
        check("a\\b;c,d: \"é\"", "a\\\\b\\;c\\,d: \"é\"");
        check("a\nb\r\nc", "a\\nb\\nc");
        check("a\tb\u{7}c\u{85}", "abc");
    }
}
