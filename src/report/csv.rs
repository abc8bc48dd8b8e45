//! The files of a report as a table: RFC 4180, with a byte order mark so that spreadsheet programs detect UTF-8.

use csv::{Terminator, WriterBuilder};

use super::Report;
use crate::model::text::{one_line, thousands};
use crate::model::{Item, MediaKind, State};

const COLUMNS: [&str; 11] = [
    "profile",
    "state",
    "threshold",
    "expires_at",
    "expires_in_s",
    "file_name",
    "kind",
    "size_bytes",
    "id",
    "url",
    "posts_at_risk",
];

/// Renders the files of a report, one per line. If a size limit left some out, the last line says how many.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory cannot fail, and every record has as many fields as the first.
    let _ = writer.write_record(COLUMNS);
    for item in report.items {
        let _ = writer.write_record(record(item, report));
    }
    if 0 < report.items_left_out() {
        let left_out = thousands(i64::try_from(report.items_left_out()).unwrap_or(i64::MAX));
        let mut note = [const { String::new() }; COLUMNS.len()];
        note[0] = format!("… and {left_out} more that there is no room for: ask for fewer with `profile` or `within`");
        let _ = writer.write_record(note);
    }
    let bytes = writer.into_inner().unwrap_or_default();
    format!("\u{FEFF}{}", String::from_utf8(bytes).unwrap_or_default())
}

fn record(item: &Item, report: &Report<'_>) -> [String; COLUMNS.len()] {
    let number = |number: Option<String>| number.unwrap_or_default();
    let media = &item.media;
    let left = item.remaining(report.survey.now).map(|left| left.as_millis().div_euclid(1000));
    let text = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
    [
        cell(item.profile.as_str()),
        state(item.state).to_owned(),
        item.threshold.as_ref().map(ToString::to_string).unwrap_or_default(),
        number(media.expires_at.map(|at| at.to_string())),
        number(left.map(|seconds| seconds.to_string())),
        text(&media.file_name),
        kind(media.kind()).to_owned(),
        number(media.size_bytes.map(|bytes| bytes.to_string())),
        text(&media.id),
        text(&media.url),
        cell(&report.posts_by_media.of(item).join(" ")),
    ]
}

/// Prevents spreadsheet programs from running text from outside as a formula: text that begins like a formula gets an
/// apostrophe in front, which marks it as text. Chinese and Japanese programs also accept the full-width characters.
///
/// In many regional settings `;` or a tab separates cells, and text without a quote or comma is not quoted. So the text
/// after such a separator is treated in the same way.
fn cell(outside: &str) -> String {
    let text = one_line(outside);
    let mut cell = String::with_capacity(text.len() + 1);
    let mut at_start = true;
    for character in text.chars() {
        if at_start && matches!(character, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            cell.push('\'');
        }
        cell.push(character);
        at_start = character == ';' || (at_start && matches!(character, ' ' | '"' | '\''));
    }
    cell
}

fn state(state: State) -> &'static str {
    match state {
        State::Expired => "expired",
        State::Expiring => "expiring",
        State::Undated => "undated",
    }
}

fn kind(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_escaped_even_after_a_semicolon() {
        let check = |outside: &str, expected: &str| assert_eq!(cell(outside), expected);
        check("=1+1", "'=1+1");
        check("＝1", "'＝1");
        check(" -1", "'-1");
        check("\"=1", "\"'=1");
        check("a;=HYPERLINK(1)", "a;'=HYPERLINK(1)");
        check("a; \"@b;;+c", "a; \"'@b;;'+c");
        check("a\t=1", "a =1");
        check("a-b; c=d", "a-b; c=d");
    }
}
