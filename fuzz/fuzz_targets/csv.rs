//! The table, about any survey, as another program reads it.

#![no_main]

use csv::ReaderBuilder;
use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::model::text::one_line;
use media_expiry_alerts::model::{Item, State};
use media_expiry_alerts::report::{Format, Question, Report, render_csv};
use media_expiry_alerts_fuzz::survey::Found;

fuzz_target!(|found: Found| {
    let survey = found.survey();
    // Shortening a report takes several times as long as rendering it.
    let body = if found.digest.handled == 1 {
        found.result.report(Format::Csv, &Question::default(), 2_000, str::len).body
    } else {
        render_csv(&Report::new(survey, None))
    };
    let table = body.strip_prefix('\u{FEFF}').expect("a byte order mark");
    assert!(table.ends_with("\r\n"));

    let mut reader = ReaderBuilder::new().from_reader(table.as_bytes());
    let names: Vec<_> = reader.headers().expect("names").iter().map(ToOwned::to_owned).collect();
    assert_eq!(names.len(), 11);
    let column = |name: &str| names.iter().position(|other| other == name).expect("a column");
    let mut records: Vec<_> = reader.records().map(|record| record.expect("as many cells as names")).collect();
    // Only the line that counts what is left out has no state.
    if found.digest.handled == 1 && records.last().is_some_and(|record| record[column("state")].is_empty()) {
        records.pop();
    } else {
        assert_eq!(records.len(), survey.items.len());
    }
    for (record, item) in records.iter().zip(&survey.items) {
        let cell = |name: &str| &record[column(name)];
        let cells = outside(item);
        for (name, text) in &cells {
            is_neutral(cell(name));
            assert_eq!(without_marks(cell(name)), without_marks(&one_line(text)), "{name}");
        }
        is_neutral(cell("posts_at_risk"));
        let expires_at = item.media.expires_at.map(|at| at.to_string()).unwrap_or_default();
        assert_eq!(cell("expires_at"), expires_at);
        let state = match item.state {
            State::Expired => "expired",
            State::Expiring => "expiring",
            State::Undated => "undated",
        };
        assert_eq!(cell("state"), state);
    }
});

fn outside(item: &Item) -> [(&'static str, &str); 4] {
    let media = &item.media;
    [
        ("profile", item.profile.as_str()),
        ("file_name", media.file_name.as_deref().unwrap_or_default()),
        ("id", media.id.as_deref().unwrap_or_default()),
        ("url", media.url.as_deref().unwrap_or_default()),
    ]
}

/// Checks that no spreadsheet program takes a cell for a formula, also where semicolons or tabs separate cells.
fn is_neutral(cell: &str) {
    assert!(!cell.contains(['\r', '\n', '\t']), "{cell:?}");
    for part in cell.split(';') {
        let start = part.trim_start_matches([' ', '"']).chars().next();
        assert!(!matches!(start, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')), "a formula: {cell:?}");
    }
}

/// A cell without the marks that make it a text.
fn without_marks(cell: &str) -> String {
    cell.replace('\'', "")
}
