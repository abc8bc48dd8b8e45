//! What people read in a terminal. Pure: a result in, text out, as wide as the window.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

use crate::cli::terminal::{TerminalStyle, fit, pad, slack_message, wrap};
use crate::digest::{self, Urgency};
use crate::model::Status;
use crate::model::text::{count, distance, list, one_line, shorten, thousands, utc, visible};
use crate::model::{
    FailedProfile, Failure, Item, ListingOrigin, MediaAtRisk, PROFILES_FROM, Part, PostAtRisk, RiskReason, State,
};
use crate::report::{self, Question, Report};
use crate::run::result::{ChannelResult, Outcome, RunResult};

/// A window that is narrower has no room for columns: the name has a line of its own.
const LEAST_FOR_COLUMNS: usize = 72;
/// The most columns of a profile's name.
const MAX_PROFILE: usize = 24;
/// The most characters of a name where nothing limits its columns.
const MAX_NAME: usize = 160;
/// Files of one post that are shown.
const MAX_POST_FILES: usize = 4;
/// Profiles that standard error names.
const MAX_COMPLAINTS: usize = 20;
/// What sets a row in.
const INDENT: &str = "  ";

/// What a report shows: the most urgent first, and at the end, where a terminal stops, what could not be checked.
pub fn report(result: &RunResult, question: &Question, look: TerminalStyle) -> String {
    let survey = &result.survey;
    let mut rows = Rows::new(look, survey.now);
    if !survey.posts_at_risk.is_empty() {
        rows.heading(&Urgency::PostAtRisk, survey.posts_at_risk.len());
        rows.columns(["DUE", "UTC", "PROFILE", "POST"]);
        for post in &survey.posts_at_risk {
            rows.post(post);
        }
    }
    let sections = survey.items.chunk_by(|a, b| Urgency::of_item(a) == Urgency::of_item(b));
    for (index, section) in sections.enumerate() {
        rows.heading(&Urgency::of_item(&section[0]), section.len());
        if index == 0 {
            rows.columns(["EXPIRES", "UTC", "PROFILE", "FILE"]);
        }
        for item in section {
            rows.item(item);
        }
    }
    let mut text = rows.text();
    text += &unchecked(result, look);
    text += &ledger(result, look);
    text += &totals(result, question, look);
    text
}

/// What became of an alert or of samples: what each channel was told, or would be.
pub fn sent(result: &RunResult, question: &Question, look: TerminalStyle) -> String {
    let mut text = String::new();
    for channel in result.channels.iter().filter(|channel| !channel.payloads.is_empty()) {
        text += &payloads(channel, look.for_prose());
    }
    text += &channels(&result.channels, look);
    text += &unchecked(result, look);
    text += &ledger(result, look);
    if result.is_busy() {
        let busy = "Another run is under way, so this one did nothing. Its lease ends with it.";
        return format!("{text}\n{}\n", look.yellow(busy));
    }
    if result.action != crate::run::command::Action::Test {
        text += &totals(result, question, look);
    }
    text
}

/// What a check proved: each profile, each channel, the ledger.
pub fn check(result: &RunResult, profiles: &[String], has_ledger: bool, look: TerminalStyle) -> String {
    let mut text = format!("{}\n", look.bold("Profiles"));
    let failures = result.survey.failed();
    let (of_list, of_profiles): (Vec<_>, Vec<_>) = failures.iter().partition(|failed| failed.what == Part::Profiles);
    let mut reasons: HashMap<_, _> = HashMap::new();
    for failed in of_profiles {
        reasons.entry(failed.profile.as_str()).or_insert_with(|| why(failed));
    }
    for profile in profiles {
        let reason = reasons.get(profile.as_str()).map(String::as_str);
        text += &line(&one_line(profile), "ok", reason, look);
    }
    text += &listing(result, &of_list, look);
    text += &format!("\n{}\n", look.bold("Channels"));
    for channel in &result.channels {
        let label = format!("{} ({})", one_line(&channel.name), channel.kind);
        let failed =
            (channel.outcome == Outcome::Failed).then(|| channel.error.as_deref().unwrap_or("no reason given"));
        text += &line(&label, "ok", failed, look);
    }
    if has_ledger {
        text += &format!("\n{}\n", look.bold("Ledger"));
        text += &line("ledger", "ok", result.ledger_error.as_deref(), look);
    }
    text
}

/// How many profiles `[profiles_from]` gave, and what of it cannot be used.
fn listing(result: &RunResult, failures: &[&FailedProfile], look: TerminalStyle) -> String {
    let listing = &result.survey.listing;
    if listing.origin == ListingOrigin::None && failures.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", look.bold("List of profiles"));
    if !failures.iter().any(|failed| failed.is_of_list()) {
        let gave = format!("{PROFILES_FROM}: {}", count(listing.profiles, "profile"));
        text += &line(&gave, "ok", None, look);
    }
    for failed in failures {
        text += &line(&one_line(failed.profile.as_str()), "ok", Some(&why(failed)), look);
    }
    text
}

/// `  ok      Acme Coffee`, or `  failed  Acme Coffee` and below it why.
fn line(label: &str, well: &str, failed: Option<&str>, look: TerminalStyle) -> String {
    let label = fit(label, look.columns.saturating_sub(10).min(MAX_NAME)).into_owned();
    match failed {
        None => format!("{INDENT}{}  {label}\n", look.green(&pad(well, 6))),
        Some(reason) => {
            format!("{INDENT}{}  {label}\n{}", look.red("failed"), set_in(reason, 10, look))
        }
    }
}

/// Text in lines of their own, so many columns from the left.
fn set_in(text: &str, columns: usize, look: TerminalStyle) -> String {
    let width = sentence(look).saturating_sub(columns);
    wrap(&one_line(text), width).iter().map(|line| format!("{}{line}\n", " ".repeat(columns))).collect()
}

/// How wide sentences are set.
fn sentence(look: TerminalStyle) -> usize {
    look.for_prose().columns
}

fn channels(channels: &[ChannelResult], look: TerminalStyle) -> String {
    let widest = channels.iter().map(|channel| one_line(&channel.name).width()).max().unwrap_or_default();
    let width = widest.min(look.columns / 3);
    let mut text = String::new();
    for channel in channels {
        let name = pad(&fit(&one_line(&channel.name), width), width);
        let messages = count(channel.messages, "message");
        let outcome = match channel.outcome {
            Outcome::Delivered if channel.announced == 0 => look.green(&format!("delivered in {messages}")),
            Outcome::Delivered => {
                let things = if channel.announced == 1 { "file or post" } else { "files and posts" };
                look.green(&format!("told of {} {things} in {messages}", number(channel.announced)))
            }
            Outcome::NothingDue => look.faint("nothing new to say"),
            Outcome::DryRun => format!("would be sent {}", count(channel.payloads.len(), "message")),
            Outcome::Failed => look.red("failed"),
            Outcome::Reachable => look.green("ok"),
            Outcome::Busy => look.yellow("not served"),
        };
        text += &format!("{INDENT}{name}  {outcome}\n");
        if let Some(error) = &channel.error {
            text += &set_in(error, INDENT.len() + width + 2, look);
        }
    }
    text
}

/// What a dry run would send, as it would be read.
fn payloads(channel: &ChannelResult, look: TerminalStyle) -> String {
    let mut text = String::new();
    for (index, payload) in channel.payloads.iter().enumerate() {
        let part = match channel.payloads.len() {
            1 => String::new(),
            all => format!(", {} of {all}", index + 1),
        };
        text += &format!("{}\n\n", look.rule(&format!("{} ({}){part}", one_line(&channel.name), channel.kind)));
        match (channel.kind, payload["message"].as_str()) {
            ("slack", _) => text += &slack_message(payload, look),
            (_, Some(message)) => {
                let subject = one_line(payload["subject"].as_str().unwrap_or_default());
                text += &format!("{INDENT}{} {}\n\n", look.faint("Subject:"), look.bold(&subject));
                for line in message.lines() {
                    text += format!("{INDENT}{} {}", look.faint("│"), visible(line)).trim_end();
                    text.push('\n');
                }
            }
            _ => format!("{payload:#}").lines().for_each(|line| text += &format!("{INDENT}{}\n", visible(line))),
        }
        text.push('\n');
    }
    text
}

/// What could not be looked at. Silence about it would say that all is well.
fn unchecked(result: &RunResult, look: TerminalStyle) -> String {
    let failed = result.survey.failed();
    if failed.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", look.red("Could not be checked"));
    for failed in &failed {
        let name = fit(&one_line(failed.profile.as_str()), look.columns.saturating_sub(2).min(MAX_NAME)).into_owned();
        text += &format!("{INDENT}{}\n", look.bold(&name));
        text += &set_in(&why(failed), 4, look);
    }
    text
}

/// Why, in words, and then what Ayrshare said, for whoever has to mend it.
fn why(failed: &FailedProfile) -> String {
    let part = digest::unchecked_part(failed.what);
    let Failure { kind, message, .. } = &failed.failure;
    let words = kind.in_words(failed.what);
    if message.is_empty() { format!("{part}{words}") } else { format!("{part}{words}: {message}") }
}

fn ledger(result: &RunResult, look: TerminalStyle) -> String {
    let Some(error) = &result.ledger_error else { return String::new() };
    format!("\n{}\n{}", look.red("The ledger failed"), set_in(error, 2, look))
}

/// The last lines, where nobody misses them.
fn totals(result: &RunResult, question: &Question, look: TerminalStyle) -> String {
    let survey = &result.survey;
    let report = Report::new(survey);
    let headline = format!("{}.", report::headline(&report, question));
    let coverage = format!("Looked at {} on {}.", report::coverage(&report), utc(survey.now));
    let lines = |text: &str| wrap(text, sentence(look)).join("\n");
    let is_clear = survey.items.is_empty() && survey.posts_at_risk.is_empty() && report.failed.is_empty();
    let headline = lines(&headline);
    let headline = if is_clear { look.green(&headline) } else { look.bold(&headline) };
    let mut text = format!("\n{headline}\n{}\n", look.faint(&lines(&coverage)));
    let unread = survey.configured().saturating_sub(survey.checked());
    if 0 < unread {
        let all = count(survey.configured(), "profile");
        let warning = format!("{unread} of {all} could not be checked: more may expire than is shown here.");
        text += &format!("{}\n", look.red(&lines(&warning)));
    } else if report.failed.iter().any(|failed| failed.what == Part::Profiles) {
        let warning = "Some profiles are not watched: more may expire than is shown here.";
        text += &format!("{}\n", look.red(&lines(warning)));
    } else if !report.failed.is_empty() {
        let profiles: HashSet<_> = report.failed.iter().map(|failed| &failed.profile).collect();
        let of = count(profiles.len(), "profile");
        let has_dates = report.failed.iter().any(|failed| failed.what == Part::Dates);
        let what = if has_dates { "Some dates or scheduled posts" } else { "The scheduled posts" };
        let warning = format!("{what} of {of} could not be checked: more may fail than is shown here.");
        text += &format!("{}\n", look.red(&lines(&warning)));
    }
    text
}

/// What standard error is told of a result that a file or another program gets.
pub fn complaints(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
    if result.status == Status::Failed {
        lines.push(format!("error: the run failed: {}", one_line(&result.failure_in_words())));
    } else if result.is_busy() {
        lines.push("warning: another run is under way, so this one did nothing".to_owned());
    }
    let failed = result.survey.failed();
    lines.extend(failed.iter().take(MAX_COMPLAINTS).map(|failed| {
        let profile = one_line(failed.profile.as_str());
        let what = if failed.what == Part::Media { " could not be checked" } else { "" };
        format!("warning: {}{what}: {}", shorten(&profile, 100), digest::reason(failed))
    }));
    if MAX_COMPLAINTS < failed.len() {
        lines.push(format!("warning: and {} more", count(failed.len() - MAX_COMPLAINTS, "profile")));
    }
    lines
}

/// Rows of four columns, which all sections share.
struct Rows {
    look: TerminalStyle,
    now: Timestamp,
    lines: Vec<Line>,
}

enum Line {
    Heading(String),
    Columns([&'static str; 4]),
    Row(Row),
    /// What belongs to the row above.
    Below(String),
}

struct Row {
    distance: String,
    exact: String,
    profile: String,
    name: String,
    urgency: Urgency,
}

impl Rows {
    fn new(look: TerminalStyle, now: Timestamp) -> Self {
        Self { look, now, lines: Vec::new() }
    }

    fn heading(&mut self, urgency: &Urgency, rows: usize) {
        let heading = format!("{}: {}", urgency.heading(), number(rows));
        self.lines.push(Line::Heading(match urgency {
            Urgency::PostAtRisk | Urgency::Expired => self.look.red(&heading),
            Urgency::Within(_) | Urgency::Undated => self.look.bold(&heading),
        }));
    }

    fn columns(&mut self, names: [&'static str; 4]) {
        self.lines.push(Line::Columns(names));
    }

    fn item(&mut self, item: &Item) {
        let left = item.remaining(self.now);
        self.lines.push(Line::Row(Row {
            distance: match left {
                // What expires at this very moment has expired.
                Some(left) if left.is_zero() && item.state == State::Expired => "just now".to_owned(),
                Some(left) => distance(left),
                None => "nobody knows".to_owned(),
            },
            exact: item.media.expires_at.map(exact).unwrap_or_default(),
            profile: one_line(item.profile.as_str()),
            name: item.label(),
            urgency: Urgency::of_item(item),
        }));
    }

    fn post(&mut self, post: &PostAtRisk) {
        let now = self.now;
        let text = one_line(post.text.as_deref().unwrap_or_default());
        let platforms: Vec<_> = post.platforms.iter().map(|platform| one_line(platform)).collect();
        let platforms = list(&platforms, 5);
        let text = if text.is_empty() { "a post without text".to_owned() } else { format!("“{text}”") };
        let name = if platforms.is_empty() { text } else { format!("{text} on {platforms}") };
        self.lines.push(Line::Row(Row {
            distance: post
                .scheduled_at
                .map_or_else(|| "nobody knows".to_owned(), |due| distance(due.duration_since(now))),
            exact: post.scheduled_at.map(exact).unwrap_or_default(),
            profile: one_line(post.profile.as_str()),
            name,
            urgency: Urgency::PostAtRisk,
        }));
        for media in post.media.iter().take(MAX_POST_FILES) {
            self.lines.push(Line::Below(lacking(media, now)));
        }
        if MAX_POST_FILES < post.media.len() {
            let more = count(post.media.len() - MAX_POST_FILES, "file");
            self.lines.push(Line::Below(format!("and {more} more")));
        }
    }

    fn text(&self) -> String {
        let has_columns = LEAST_FOR_COLUMNS <= self.look.columns;
        let widest = |column: fn(&Row) -> &str| {
            let rows = self.lines.iter().filter_map(|line| if let Line::Row(row) = line { Some(row) } else { None });
            rows.map(|row| column(row).width()).max().unwrap_or_default()
        };
        let distance = widest(|row| &row.distance).max("EXPIRES".len());
        let exact = widest(|row| &row.exact).max("UTC".len());
        let profile = widest(|row| &row.profile).max("PROFILE".len()).min(MAX_PROFILE.min(self.look.columns / 5));
        let before = INDENT.len() + distance + 2 + exact + 2 + profile + 2;
        let cut = |name: &str, before: usize| {
            let name = shorten(name, MAX_NAME);
            fit(&name, self.look.columns.saturating_sub(before)).into_owned()
        };

        let mut text = String::new();
        for line in &self.lines {
            text += &match line {
                Line::Heading(heading) if text.is_empty() => heading.clone(),
                Line::Heading(heading) => format!("\n{heading}"),
                Line::Columns(_) if !has_columns => continue,
                Line::Columns([a, b, c, d]) => {
                    let line = format!("{}  {}  {}  {d}", pad(a, distance), pad(b, exact), pad(c, profile));
                    format!("{INDENT}{}", self.look.faint(&line))
                }
                Line::Row(row) if has_columns => {
                    let when = self.paint(&pad(&row.distance, distance), &row.urgency);
                    let of = pad(&fit(&row.profile, profile), profile);
                    format!("{INDENT}{when}  {}  {of}  {}", pad(&row.exact, exact), cut(&row.name, before))
                }
                Line::Row(row) => {
                    let when = if row.exact.is_empty() {
                        row.distance.clone()
                    } else {
                        format!("{}, {} UTC", row.distance, row.exact)
                    };
                    let when = fit(&when, self.look.columns.saturating_sub(4)).into_owned();
                    format!(
                        "{INDENT}{}\n    {}\n    {}",
                        cut(&row.name, INDENT.len()),
                        self.paint(&when, &row.urgency),
                        cut(&row.profile, 4),
                    )
                }
                Line::Below(what) => {
                    let before = if has_columns { before } else { 4 };
                    format!("{}{}", " ".repeat(before), self.look.faint(&cut(&format!("└ {what}"), before)))
                }
            };
            text.push('\n');
        }
        text
    }

    fn paint(&self, text: &str, urgency: &Urgency) -> String {
        match urgency {
            Urgency::PostAtRisk | Urgency::Expired => self.look.red(text),
            Urgency::Within(_) => self.look.yellow(text),
            Urgency::Undated => self.look.faint(text),
        }
    }
}

/// Why a post will fail: the state first, because the name may be cut.
fn lacking(media: &MediaAtRisk, now: Timestamp) -> String {
    let label = media.label();
    let label = if label.is_empty() { "a file without a name" } else { &label };
    match (media.reason, media.expires_at) {
        (RiskReason::AlreadyGone, _) => format!("gone already: {label}"),
        (RiskReason::ExpiresBeforePost, Some(at)) => {
            format!("expires {}: {label}", distance(at.duration_since(now)))
        }
        (RiskReason::ExpiresBeforePost, None) => format!("expires before it is due: {label}"),
        (RiskReason::LinkExpiresBeforePost, Some(at)) => {
            format!("the link ends {}: {label}", distance(at.duration_since(now)))
        }
        (RiskReason::LinkExpiresBeforePost, None) => format!("the link ends before it is due: {label}"),
    }
}

/// A moment in UTC, which the column's head says.
fn exact(at: Timestamp) -> String {
    utc(at).trim_end_matches(" UTC").to_owned()
}

fn number(number: usize) -> String {
    thousands(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::digest::fixtures::{hostile_survey, survey, survey_of};
    use crate::model::threshold::Threshold;
    use crate::model::{FailureKind, Listing, ProfileName};
    use crate::run::command::Action;
    use crate::run::result::tests::result;

    fn question() -> Question {
        Question { horizon: Threshold::parse("7d").ok(), within: None, profiles: Vec::new(), is_signed: true }
    }

    fn look(columns: usize) -> TerminalStyle {
        TerminalStyle { is_styled: false, columns }
    }

    fn told(outcome: Outcome) -> ChannelResult {
        ChannelResult {
            name: "social-team".into(),
            kind: "slack",
            outcome,
            announced: 0,
            messages: 0,
            error: None,
            payloads: Vec::new(),
        }
    }

    #[test]
    fn a_report_of_everything() {
        insta::assert_snapshot!("a_table_of_everything", report(&result(survey()), &question(), look(90)));
        insta::assert_snapshot!("a_narrow_table_of_everything", report(&result(survey()), &question(), look(40)));
    }

    #[test]
    fn a_report_of_nothing_says_what_it_is_about() {
        let nothing = survey_of(0);
        let text = report(&result(nothing.clone()), &question(), look(80));
        let expected = "\nAll clear: no file expires within 7 days.\n\
                        Looked at the profile, 40 files (1 ignored) on 2026-11-23 06:00 UTC.\n";
        assert_eq!(text, expected);

        let mut nobody = result(nothing);
        Arc::make_mut(&mut nobody.survey).profiles[0].failed =
            Some(result(survey()).survey.failed()[0].failure.clone());
        let text = report(&nobody, &question(), look(80));
        assert!(!text.contains("All clear") && text.contains("1 of 1 profile could not be checked"), "{text}");
    }

    #[test]
    fn colours_are_for_terminals() {
        let text = report(&result(survey()), &question(), TerminalStyle { is_styled: true, columns: 90 });
        assert!(text.contains("\u{1b}[1;31mCould not be checked\u{1b}[0m"), "{text}");
    }

    #[test]
    fn each_channel_has_its_line() {
        let mut result = result(survey());
        result.channels = vec![
            ChannelResult { announced: 1_204, messages: 2, ..told(Outcome::Delivered) },
            ChannelResult { error: Some("Slack answered 404 Not Found: no_service".into()), ..told(Outcome::Failed) },
            told(Outcome::NothingDue),
        ];
        result.ledger_error = Some("the table is gone".into());
        let text = sent(&result, &question(), look(80));
        let expected = "  social-team  told of 1,204 files and posts in 2 messages\n\
                        \x20 social-team  failed\n\
                        \x20              Slack answered 404 Not Found: no_service\n\
                        \x20 social-team  nothing new to say\n\n\
                        Could not be checked\n  Acme Coffee\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("The ledger failed\n  the table is gone\n"), "{text}");

        result.channels = vec![told(Outcome::Busy)];
        assert!(sent(&result, &question(), look(80)).contains("Another run is under way"));
    }

    #[test]
    fn a_check_names_everything_that_it_tried() {
        let mut result = result(survey());
        result.action = Action::Check;
        result.channels = vec![told(Outcome::Reachable)];
        let profiles = ["Head office", "Acme Coffee", "Café 東京"].map(ToOwned::to_owned);
        insta::assert_snapshot!(check(&result, &profiles, true, look(80)));
    }

    #[test]
    fn a_check_says_how_many_profiles_the_list_gave() {
        let check = |origin: ListingOrigin, failed: Vec<FailedProfile>| {
            let mut result = result(survey_of(0));
            Arc::make_mut(&mut result.survey).listing = Listing { origin, profiles: 2, failed };
            super::check(&result, &["Head office".to_owned()], false, look(80))
        };
        let failed = |name: &str, kind: FailureKind| {
            let failure = Failure { kind, http_status: None, code: None, message: "it has no key".to_owned() };
            FailedProfile { profile: ProfileName::new(name), what: Part::Profiles, failure }
        };
        let all = "Profiles\n  ok      Head office\n\nList of profiles\n  ok      profiles_from: 2 profiles\n";
        let text = check(ListingOrigin::Read, Vec::new());
        assert_eq!(text, format!("{all}\nChannels\n"));
        // An entry with the name of a profile that was checked says nothing about that profile.
        let text = check(ListingOrigin::Read, vec![failed("Head office", FailureKind::InvalidEntry)]);
        let reason = "this entry of the list of profiles cannot be used: it has no key";
        assert_eq!(text, format!("{all}  failed  Head office\n          {reason}\n\nChannels\n"));
        let text = check(ListingOrigin::Missing, vec![failed(PROFILES_FROM, FailureKind::Unavailable)]);
        assert!(text.contains("  failed  profiles_from\n") && !text.contains("2 profiles"), "{text}");
    }

    #[test]
    fn complaints_are_few() {
        let mut result = result(survey());
        result.status = Status::Failed;
        let failing =
            result.survey.profiles.iter().find(|profile| profile.failed.is_some()).expect("one that fails").clone();
        Arc::make_mut(&mut result.survey).profiles = vec![failing; 22];
        let lines = complaints(&result);
        assert_eq!(lines.len(), 22, "{lines:?}");
        assert!(lines[0].starts_with("error: the run failed: "), "{lines:?}");
        assert_eq!(
            lines[1],
            "warning: Acme Coffee could not be checked: Ayrshare denies access to this profile (HTTP 403)"
        );
        assert_eq!(lines[21], "warning: and 2 profiles more");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn nothing_from_outside_leaves_its_line_or_the_window(survey in hostile_survey(), columns in 40_usize..160) {
            let mut result = result(survey.clone());
            result.channels = vec![ChannelResult { payloads: vec![json!({"a": "\u{1b}[31m\u{202E}"})], ..told(Outcome::DryRun) }];
            for text in [report(&result, &question(), look(columns)), sent(&result, &question(), look(columns))] {
                for line in text.lines() {
                    prop_assert!(line.width() <= columns, "{} columns: {line}", line.width());
                    prop_assert_eq!(visible(line), line);
                }
            }
            let listed = report(&result, &question(), TerminalStyle::plain());
            let rows = survey.items.len() + survey.posts_at_risk.len() + survey.failed().len();
            prop_assert!(rows <= listed.lines().count());
        }
    }
}
