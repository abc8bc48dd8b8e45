//! The calendar, about any survey, as another program reads it.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::report::{Format, Question, Report, ics};
use media_expiry_alerts_fuzz::survey::Found;

/// The longest line in bytes, without its end (RFC 5545, section 3.1).
const MAX_LINE_BYTES: usize = 75;
/// The properties, with their parameters.
const PROPERTIES: [&str; 21] = [
    "BEGIN",
    "END",
    "VERSION",
    "PRODID",
    "CALSCALE",
    "NAME",
    "X-WR-CALNAME",
    "DESCRIPTION",
    "X-WR-CALDESC",
    "REFRESH-INTERVAL;VALUE=DURATION",
    "X-PUBLISHED-TTL",
    "UID",
    "DTSTAMP",
    "LAST-MODIFIED",
    "SEQUENCE",
    "DTSTART",
    "DTSTART;VALUE=DATE",
    "SUMMARY",
    "URL",
    "CATEGORIES",
    "TRANSP",
];
const TEXTS: [&str; 6] = ["NAME", "X-WR-CALNAME", "DESCRIPTION", "X-WR-CALDESC", "SUMMARY", "CATEGORIES"];

fuzz_target!(|found: Found| {
    let survey = found.survey();
    // Shortening a report takes several times as long as rendering it.
    let is_short = found.digest.handled == 1;
    let body = if is_short {
        found.result.report(Format::Ics, &Question::default(), 3_000, str::len).body
    } else {
        ics::render(&Report::new(survey, None))
    };
    let calendar = body.strip_suffix("\r\n").expect("the end of a line");
    let mut lines: Vec<String> = Vec::new();
    for line in calendar.split("\r\n") {
        assert!(line.len() <= MAX_LINE_BYTES, "{} bytes: {line}", line.len());
        assert!(!line.contains(['\r', '\n']), "{line:?}");
        match line.strip_prefix(' ') {
            Some(folded) => lines.last_mut().expect("a first line").push_str(folded),
            None => lines.push(line.to_owned()),
        }
    }
    let mut uids = HashSet::new();
    let mut open = Vec::new();
    let mut entries = 0;
    for line in &lines {
        let (name, value) = line.split_once(':').expect("a name and a value");
        assert!(PROPERTIES.contains(&name), "{line}");
        assert!(!value.is_empty() && !value.contains(char::is_control), "{line:?}");
        match name {
            "BEGIN" => {
                open.push(value);
                entries += usize::from(value == "VEVENT");
            }
            "END" => assert_eq!(open.pop(), Some(value)),
            "UID" => assert!(uids.insert(value), "{value} is there twice"),
            name if TEXTS.contains(&name) => escaped(value),
            _ => {}
        }
    }
    assert!(open.is_empty());
    let dated = survey.items.iter().filter(|item| item.media.expires_at.is_some()).count();
    if is_short {
        assert!(entries <= dated + survey.posts_at_risk.len() + 1);
    } else {
        assert_eq!(entries, dated + survey.posts_at_risk.len());
    }
});

/// Checks that commas and semicolons are escaped, and that a backslash begins an escape (RFC 5545, section 3.3.11).
fn escaped(text: &str) {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => assert!(matches!(characters.next(), Some('\\' | ',' | ';' | 'n')), "{text}"),
            ',' | ';' => panic!("not escaped: {text}"),
            _ => {}
        }
    }
}
