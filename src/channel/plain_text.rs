//! Renders a digest as the plain text of an email: short lines, an empty line between items, and each URL on its own line.

use crate::digest::{self, Digest, DigestLine, LineSubject};
use crate::model::text::{byte_prefix, one_line, shorten};

/// What is reserved for the line about the entries that are left out, and for breaking long lines, in bytes.
const RESERVED_BYTES: usize = 2_560;
/// The longest paragraph of running text, in bytes. Names and reasons from outside must leave room for the entries.
const MAX_PARAGRAPH_BYTES: usize = 2_000;
/// The longest name, in characters.
const MAX_NAME: usize = 150;
/// The longest line of an email, in bytes (RFC 5322). Mail servers break longer ones at any byte.
const MAX_LINE_BYTES: usize = 998;
/// Bytes of the names of profiles that nobody watches.
const MAX_UNWATCHED: usize = 1_600;
/// The width of running text, in characters.
const LINE_WIDTH: usize = 72;

/// Renders a digest in at most `max_bytes`, which are at least 64 KiB. The second value says whether entries were left out.
#[must_use]
pub(super) fn render(digest: &Digest, max_bytes: usize) -> (String, bool) {
    let mut text = wrapped(&format!("{}.", digest.headline()));
    text += "\n";
    if let Some(step) = digest.first_step() {
        text += &wrapped(&step.plain(&digest.zone));
        text += "\n";
    }
    text += &wrapped(&digest.coverage().plain(&digest.zone));
    if let Some(link) = &digest.report_link {
        text += "\n\n";
        let until = digest.zone.format(link.until);
        text += &wrapped(&format!("See everything with its pictures, until {until}:"));
        // The URL is on its own line and never broken, because mail programs would link only a part of it.
        text += &format!("\n{}", link.url);
    }
    let mut end = String::new();
    for line in digest.closing().iter().chain(&digest.note) {
        end += "\n\n";
        end += &wrapped(line);
    }
    let max_bytes = max_bytes - RESERVED_BYTES - end.len();

    if !digest.unchecked.is_empty() {
        text += "\n\nCOULD NOT BE CHECKED\n";
        for advice in digest.unchecked_advice() {
            text += &wrapped(advice);
            text += "\n";
        }
        for (index, failed) in digest.unchecked.iter().enumerate() {
            let line = format!("\n{}:\n  {}\n", name(failed.profile.as_str()), digest::reason(failed));
            if max_bytes / 2 < text.len() + line.len() {
                text += &format!("\n... and {} more.\n", digest.unchecked.len() - index);
                break;
            }
            text += &line;
        }
    }

    for line in digest.unwatched(MAX_UNWATCHED, str::len).into_iter().chain(digest.good_news()) {
        text += "\n\n";
        text += &wrapped(&line);
    }

    let all = digest.lines();
    let mut shown = 0;
    let mut last: Option<&DigestLine<'_>> = None;
    for line in &all {
        let mut lines = String::new();
        let new_section = last.is_none_or(|last| last.urgency != line.urgency);
        if new_section {
            let tally = digest.tally(&all, line.urgency);
            lines += &format!("\n\n{} ({tally})\n", line.urgency.heading().to_uppercase());
            // All thresholds have the same advice.
            if last.is_none_or(|last| last.urgency.advice() != line.urgency.advice()) {
                lines += &wrapped(line.urgency.advice());
                lines += "\n";
            }
        }
        if new_section || last.is_none_or(|last| last.profile != line.profile) {
            lines += &format!("\n{}\n", name(line.profile.as_str()));
        }
        lines += &paragraph(line, digest);
        if max_bytes < text.len() + lines.len() {
            break;
        }
        text += &lines;
        shown += 1;
        last = Some(line);
    }

    let left_out = &all[shown..];
    if !left_out.is_empty() {
        text += "\n\n";
        text += &wrapped(&digest::left_out(left_out).replace('…', "..."));
    }
    text += &end;
    while text.ends_with('\n') {
        text.pop();
    }
    text.push('\n');
    (folded(&text), !left_out.is_empty())
}

fn paragraph(line: &DigestLine<'_>, digest: &Digest) -> String {
    match &line.subject {
        LineSubject::Files(files) => {
            let names = digest::first_names(files, |item| name(&item.label()));
            format!("\n  {names}\n  {}\n", digest.timing(files).plain(&digest.zone))
        }
        LineSubject::File(item) => {
            let timing = digest.timing(&[*item]).plain(&digest.zone);
            let mut lines = format!("\n  {}\n  {timing}\n", name(&item.label()));
            if let Some(url) = &item.media.url {
                let url = one_line(url);
                let fits = url.len() < MAX_LINE_BYTES - 2;
                lines += &format!("  {}\n", if fits { &url } else { "(its URL is too long for an email)" });
            }
            lines
        }
        LineSubject::Post(post) => {
            let timing = digest::post_timing(post, digest.now).plain(&digest.zone);
            let mut lines = format!("\n  {}\n  {timing}\n", digest::post_label(post));
            for reason in digest.post_reasons(post) {
                lines += &format!("  {}\n", reason.plain(&digest.zone));
            }
            lines
        }
    }
}

fn name(outside: &str) -> String {
    shorten(&one_line(outside), MAX_NAME).into_owned()
}

/// Breaks running text into lines of [`LINE_WIDTH`], and cuts it after [`MAX_PARAGRAPH_BYTES`].
fn wrapped(text: &str) -> String {
    let cut = byte_prefix(text, MAX_PARAGRAPH_BYTES);
    if cut.len() < text.len() {
        return wrapped(cut) + "...";
    }
    let mut lines = String::with_capacity(text.len() + 8);
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if 0 < column {
            let breaks = LINE_WIDTH < column + 1 + length;
            lines.push(if breaks { '\n' } else { ' ' });
            column = if breaks { 0 } else { column + 1 };
        }
        lines += word;
        column += length;
    }
    lines
}

/// Breaks lines that are too long for an email, at a space if there is one.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for mut line in text.split_inclusive('\n') {
        while MAX_LINE_BYTES < line.trim_end_matches('\n').len() {
            let part = byte_prefix(line, MAX_LINE_BYTES);
            let (part, rest) = line.split_at(part.rfind(' ').filter(|space| 0 < *space).unwrap_or(part.len()));
            folded += part;
            folded.push('\n');
            line = rest.strip_prefix(' ').unwrap_or(rest);
        }
        folded += line;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::fixtures::{digest, report_link, survey_of};
    use crate::model::{FailedProfile, Failure, FailureKind, Part, ProfileName};

    #[test]
    fn the_longest_texts_from_outside_leave_room_for_the_first_entry() {
        const MAX_BYTES: usize = 64 * 1024;
        let long = "\u{1f4a1}".repeat(2_000);
        let parts = [Part::Media, Part::Dates, Part::Posts, Part::Profiles];
        let profile = |index: usize| ProfileName::new(&format!("{index}{long}"));
        let failure = Failure { kind: FailureKind::Forbidden, http_status: None, code: None, message: long.clone() };
        let digest = Digest {
            unchecked: (0..100)
                .map(|index| FailedProfile { profile: profile(index), what: Part::Media, failure: failure.clone() })
                .collect(),
            recovered: parts
                .into_iter()
                .flat_map(|part| (0..20).map(move |index| (index, part)))
                .map(|(index, part)| (profile(index), part))
                .collect(),
            resolved: (0..20).map(|index| (profile(index), long.clone())).collect(),
            ledger_note: Some(long.clone()),
            note: Some(long.clone()),
            report_link: Some(report_link()),
            ..digest(&survey_of(3_000))
        };
        let (text, is_cut) = render(&digest, MAX_BYTES);
        assert!(is_cut && text.len() <= MAX_BYTES, "{} bytes", text.len());
        assert!(text.contains("campaign-0000"), "{text}");
    }

    #[test]
    fn a_line_that_is_too_long_is_broken_at_a_space() {
        let long = "é".repeat(600);
        let folded = folded(&format!("a {long} b\nc\n"));
        assert_eq!(folded, format!("a\n{}\n{} b\nc\n", "é".repeat(499), "é".repeat(101)));
    }
}
