//! Renders results as text for a terminal, within its width. Pure.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

use crate::cli::terminal::{TerminalStyle, fit, pad, slack_message, wrap};
use crate::digest::{self, Urgency};
use crate::model::Status;
use crate::model::text::{count, distance, list, one_line, shorten, thousands, visible};
use crate::model::{
    AyrshareProfile, FailedProfile, Failure, IdentifiedProfile, Item, ListingOrigin, MediaAtRisk, PROFILES_FROM, Part,
    PostAtRisk, RiskReason, State, Zone,
};
use crate::report::{self, Question, Report};
use crate::run::command::Action;
use crate::run::result::{ChannelResult, Outcome, RunResult};

/// Narrower terminals have no room for columns, so each name gets its own line.
const MIN_WIDTH_FOR_COLUMNS: usize = 72;
/// The width limit of the profile column.
const MAX_PROFILE: usize = 24;
/// The longest name, in characters, if the width is unlimited.
const MAX_NAME: usize = 160;
/// How many files of a post are shown.
const MAX_POST_FILES: usize = 4;
/// Columns of the names of profiles that nobody watches.
const MAX_UNWATCHED: usize = 2_000;
/// How many profiles the warnings name.
const MAX_WARNINGS: usize = 20;
/// The left margin of a row.
const INDENT: &str = "  ";

/// Renders a report: the most urgent entries first, and at the end, because that stays visible, what could not be checked.
pub fn report(result: &RunResult, question: &Question, terminal: TerminalStyle) -> String {
    let survey = &result.survey;
    let mut rows = Rows::new(terminal, survey.now, &question.zone);
    if !survey.posts_at_risk.is_empty() {
        rows.heading(&Urgency::PostAtRisk, survey.posts_at_risk.len());
        rows.columns(["DUE", "TIME", "PROFILE", "POST"]);
        for post in &survey.posts_at_risk {
            rows.post(post);
        }
    }
    let sections = survey.items.chunk_by(|a, b| Urgency::of_item(a) == Urgency::of_item(b));
    for (index, section) in sections.enumerate() {
        rows.heading(&Urgency::of_item(&section[0]), section.len());
        if index == 0 {
            rows.columns(["EXPIRES", "TIME", "PROFILE", "FILE"]);
        }
        for item in section {
            rows.item(item);
        }
    }
    let mut text = rows.text();
    text += &unchecked(result, terminal);
    text += &unwatched(result, terminal);
    text += &ledger(result, terminal);
    text += &totals(result, question, terminal);
    text
}

/// Renders the result of an alert run or a test: what each channel was sent, or would be sent.
pub fn sent(result: &RunResult, question: &Question, terminal: TerminalStyle) -> String {
    let mut text = String::new();
    for channel in result.channels.iter().filter(|channel| !channel.payloads.is_empty()) {
        text += &payloads(channel, terminal.for_prose());
    }
    text += &channels(&result.channels, terminal);
    text += &unchecked(result, terminal);
    text += &unwatched(result, terminal);
    text += &ledger(result, terminal);
    if result.is_busy() {
        let busy = "Another run is in progress, so this one did nothing.";
        return format!("{text}\n{}\n", terminal.yellow(busy));
    }
    if result.action != Action::Test {
        text += &totals(result, question, terminal);
    }
    text
}

/// Renders the result of a check: each profile, each channel and the ledger.
pub fn check(
    result: &RunResult,
    profiles: &[String],
    has_ledger: bool,
    has_store: bool,
    terminal: TerminalStyle,
) -> String {
    let mut text = format!("{}\n", terminal.bold("Profiles"));
    let failures = result.survey.failed();
    let discovery = &result.survey.discovery;
    let identified: HashMap<_, _> = discovery.identified.iter().map(|one| (one.profile.as_str(), one)).collect();
    let (of_list, of_profiles): (Vec<_>, Vec<_>) = failures.iter().partition(|failed| failed.what == Part::Profiles);
    let mut reasons: HashMap<_, _> = HashMap::new();
    for failed in of_profiles {
        reasons.entry(failed.profile.as_str()).or_insert_with(|| why(failed));
    }
    for profile in profiles {
        let reason = reasons.get(profile.as_str()).map(String::as_str);
        text += &line(&one_line(profile), "ok", reason, terminal);
        if let Some(identified) = identified.get(profile.as_str()) {
            text += &indented(&at_ayrshare(identified), 10, terminal);
        }
    }
    text += &listing(result, &of_list, terminal);
    text += &unwatched(result, terminal);
    text += &format!("\n{}\n", terminal.bold("Channels"));
    for channel in &result.channels {
        let label = format!("{} ({})", one_line(&channel.name), channel.kind);
        let failed =
            (channel.outcome == Outcome::Failed).then(|| channel.error.as_deref().unwrap_or("no reason given"));
        text += &line(&label, "ok", failed, terminal);
    }
    if has_ledger {
        text += &format!("\n{}\n", terminal.bold("Ledger"));
        text += &line("ledger", "ok", result.ledger_error.as_deref(), terminal);
    }
    if has_store {
        text += &format!("\n{}\n", terminal.bold("Store"));
        text += &line("store", "ok", result.store_error.as_deref(), terminal);
    }
    text
}

/// How many profiles `[profiles_from]` gave, and what of it cannot be used.
fn listing(result: &RunResult, failures: &[&FailedProfile], terminal: TerminalStyle) -> String {
    let listing = &result.survey.listing;
    if listing.origin == ListingOrigin::None && failures.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", terminal.bold("List of profiles"));
    if !failures.iter().any(|failed| failed.is_of_list()) {
        let gave = format!("{PROFILES_FROM}: {}", count(listing.profiles, "profile"));
        text += &line(&gave, "ok", None, terminal);
    }
    for failed in failures {
        text += &line(&one_line(failed.profile.as_str()), "ok", Some(&why(failed)), terminal);
    }
    text
}

/// What a profile is at Ayrshare: `“Acme Coffee GmbH” at Ayrshare, refId 3f2a…`.
fn at_ayrshare(identified: &IdentifiedProfile) -> String {
    let AyrshareProfile { title, ref_id } = &identified.at_ayrshare;
    let title = title.as_ref().map(|title| format!("“{}” at Ayrshare", shorten(&one_line(title), MAX_NAME)));
    let ref_id = ref_id.as_ref().map(|ref_id| format!("refId {}", one_line(ref_id)));
    let parts: Vec<_> = title.into_iter().chain(ref_id).collect();
    let differs = if identified.title_differs { ": the name is another one than the title" } else { "" };
    format!("{}{differs}", parts.join(", "))
}

/// What to know about profiles that nobody watches.
fn unwatched(result: &RunResult, terminal: TerminalStyle) -> String {
    let Some(sentences) =
        digest::unwatched(&result.survey.discovery.unwatched, MAX_UNWATCHED, unicode_width::UnicodeWidthStr::width)
    else {
        return String::new();
    };
    format!("\n{}\n{}", terminal.yellow("Watched by nobody"), indented(&sentences, INDENT.len(), terminal))
}

/// Returns `  ok      Acme Coffee`, or `  failed  Acme Coffee` with the reason below it.
fn line(label: &str, ok: &str, failed: Option<&str>, terminal: TerminalStyle) -> String {
    let label = fit(label, terminal.columns.saturating_sub(10).min(MAX_NAME)).into_owned();
    match failed {
        None => format!("{INDENT}{}  {label}\n", terminal.green(&pad(ok, 6))),
        Some(reason) => {
            format!("{INDENT}{}  {label}\n{}", terminal.red("failed"), indented(reason, 10, terminal))
        }
    }
}

/// Wraps text and indents it by this many columns.
pub(super) fn indented(text: &str, columns: usize, terminal: TerminalStyle) -> String {
    let width = sentence_width(terminal).saturating_sub(columns);
    wrap(&one_line(text), width).iter().map(|line| format!("{}{line}\n", " ".repeat(columns))).collect()
}

/// Returns the width of sentences.
pub(super) fn sentence_width(terminal: TerminalStyle) -> usize {
    terminal.for_prose().columns
}

fn channels(channels: &[ChannelResult], terminal: TerminalStyle) -> String {
    let widest = channels.iter().map(|channel| one_line(&channel.name).width()).max().unwrap_or_default();
    let width = widest.min(terminal.columns / 3);
    let mut text = String::new();
    for channel in channels {
        let name = pad(&fit(&one_line(&channel.name), width), width);
        let messages = count(channel.messages, "message");
        let outcome = match channel.outcome {
            Outcome::Delivered if channel.announced == 0 => terminal.green(&format!("delivered in {messages}")),
            Outcome::Delivered => {
                let things = if channel.announced == 1 { "file or post" } else { "files and posts" };
                terminal.green(&format!("announced {} {things} in {messages}", number(channel.announced)))
            }
            Outcome::NothingDue => terminal.faint("nothing new"),
            Outcome::DryRun => format!("would be sent {}", count(channel.payloads.len(), "message")),
            Outcome::Failed => terminal.red("failed"),
            // A workflow answers whatever it does with a message.
            Outcome::Reachable if channel.kind == "teams" => {
                format!(
                    "{}; only `expiry-alerts test` shows whether its workflow posts",
                    terminal.green("its host answers")
                )
            }
            Outcome::Reachable => terminal.green("ok"),
            Outcome::Busy => terminal.yellow("not sent"),
        };
        text += &format!("{INDENT}{name}  {outcome}\n");
        if let Some(error) = &channel.error {
            text += &indented(error, INDENT.len() + width + 2, terminal);
        }
    }
    text
}

/// Renders the messages that a dry run would send.
fn payloads(channel: &ChannelResult, terminal: TerminalStyle) -> String {
    let mut text = String::new();
    for (index, payload) in channel.payloads.iter().enumerate() {
        let part = match channel.payloads.len() {
            1 => String::new(),
            all => format!(", {} of {all}", index + 1),
        };
        text += &format!("{}\n\n", terminal.rule(&format!("{} ({}){part}", one_line(&channel.name), channel.kind)));
        match (channel.kind, payload["message"].as_str()) {
            ("slack", _) => text += &slack_message(payload, terminal),
            (_, Some(message)) => {
                let subject = one_line(payload["subject"].as_str().unwrap_or_default());
                text += &format!("{INDENT}{} {}\n\n", terminal.faint("Subject:"), terminal.bold(&subject));
                for line in message.lines() {
                    text += format!("{INDENT}{} {}", terminal.faint("│"), visible(line)).trim_end();
                    text.push('\n');
                }
            }
            _ => format!("{payload:#}").lines().for_each(|line| text += &format!("{INDENT}{}\n", visible(line))),
        }
        text.push('\n');
    }
    text
}

/// Renders what could not be checked.
pub(super) fn unchecked(result: &RunResult, terminal: TerminalStyle) -> String {
    let failed = result.survey.failed();
    if failed.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", terminal.red("Could not be checked"));
    for failed in &failed {
        let name =
            fit(&one_line(failed.profile.as_str()), terminal.columns.saturating_sub(2).min(MAX_NAME)).into_owned();
        text += &format!("{INDENT}{}\n", terminal.bold(&name));
        text += &indented(&why(failed), 4, terminal);
    }
    text
}

/// Returns the reason as text, followed by Ayrshare's message for whoever has to fix the problem.
fn why(failed: &FailedProfile) -> String {
    let part = digest::unchecked_part(failed.what);
    let Failure { kind, message, .. } = &failed.failure;
    let words = kind.in_words(failed.what);
    if message.is_empty() { format!("{part}{words}") } else { format!("{part}{words}: {message}") }
}

fn ledger(result: &RunResult, terminal: TerminalStyle) -> String {
    let Some(error) = &result.ledger_error else { return String::new() };
    format!("\n{}\n{}", terminal.red("The ledger failed"), indented(error, 2, terminal))
}

/// Renders the totals. They are the last lines because those stay visible in a terminal.
fn totals(result: &RunResult, question: &Question, terminal: TerminalStyle) -> String {
    let survey = &result.survey;
    let report = Report::new(survey, None);
    let headline = format!("{}.", report::headline(&report, question));
    let coverage = format!("Checked {} at {}.", report::coverage(&report), question.zone.format_short(survey.now));
    let lines = |text: &str| wrap(text, sentence_width(terminal)).join("\n");
    let is_clear = survey.items.is_empty()
        && survey.posts_at_risk.is_empty()
        && report.failed.is_empty()
        && survey.discovery.unwatched.is_empty();
    let headline = lines(&headline);
    let headline = if is_clear { terminal.green(&headline) } else { terminal.bold(&headline) };
    let mut text = format!("\n{headline}\n{}\n", terminal.faint(&lines(&coverage)));
    let unread = survey.configured().saturating_sub(survey.checked());
    if 0 < unread {
        let all = count(survey.configured(), "profile");
        let warning = format!("{unread} of {all} could not be checked: more may expire than is shown here.");
        text += &format!("{}\n", terminal.red(&lines(&warning)));
    } else if report.failed.iter().any(|failed| failed.what == Part::Profiles) {
        let warning = "Some profiles are not watched: more may expire than is shown here.";
        text += &format!("{}\n", terminal.red(&lines(warning)));
    } else if !report.failed.is_empty() {
        let profiles: HashSet<_> = report.failed.iter().map(|failed| &failed.profile).collect();
        let of = count(profiles.len(), "profile");
        let has_dates = report.failed.iter().any(|failed| failed.what == Part::Dates);
        let what = if has_dates { "Some dates or scheduled posts" } else { "The scheduled posts" };
        let warning = format!("{what} of {of} could not be checked: more may fail than is shown here.");
        text += &format!("{}\n", terminal.red(&lines(&warning)));
    }
    text
}

/// Returns the errors and warnings of a run, for standard error.
pub fn warnings(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
    if result.status == Status::Failed {
        lines.push(format!("error: the run failed: {}", one_line(&result.failure_in_words())));
    } else if result.is_busy() {
        lines.push("warning: another run is in progress, so this one did nothing".to_owned());
    }
    let failed = result.survey.failed();
    lines.extend(failed.iter().take(MAX_WARNINGS).map(|failed| {
        let profile = one_line(failed.profile.as_str());
        let what = if failed.what == Part::Media { " could not be checked" } else { "" };
        format!("warning: {}{what}: {}", shorten(&profile, 100), digest::reason(failed))
    }));
    if MAX_WARNINGS < failed.len() {
        lines.push(format!("warning: and {} more", count(failed.len() - MAX_WARNINGS, "profile")));
    }
    lines
}

/// The rows of all sections. They share the widths of their four columns.
struct Rows {
    terminal: TerminalStyle,
    now: Timestamp,
    zone: Zone,
    lines: Vec<Line>,
}

enum Line {
    Heading(String),
    Columns([&'static str; 4]),
    Row(Row),
    /// A detail of the row above.
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
    fn new(terminal: TerminalStyle, now: Timestamp, zone: &Zone) -> Self {
        Self { terminal, now, zone: zone.clone(), lines: Vec::new() }
    }

    fn heading(&mut self, urgency: &Urgency, rows: usize) {
        let heading = format!("{}: {}", urgency.heading(), number(rows));
        self.lines.push(Line::Heading(match urgency {
            Urgency::PostAtRisk | Urgency::Expired => self.terminal.red(&heading),
            Urgency::Within(_) | Urgency::Undated => self.terminal.bold(&heading),
        }));
    }

    fn columns(&mut self, names: [&'static str; 4]) {
        self.lines.push(Line::Columns(names));
    }

    fn item(&mut self, item: &Item) {
        let left = item.remaining(self.now);
        self.lines.push(Line::Row(Row {
            distance: match left {
                // A file that expires at this very moment counts as expired.
                Some(left) if left.is_zero() && item.state == State::Expired => "just now".to_owned(),
                Some(left) => distance(left),
                None => "unknown".to_owned(),
            },
            exact: item.media.expires_at.map(|at| self.zone.format_short(at)).unwrap_or_default(),
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
            distance: post.scheduled_at.map_or_else(|| "unknown".to_owned(), |due| distance(due.duration_since(now))),
            exact: post.scheduled_at.map(|due| self.zone.format_short(due)).unwrap_or_default(),
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
        let has_columns = MIN_WIDTH_FOR_COLUMNS <= self.terminal.columns;
        let widest = |column: fn(&Row) -> &str| {
            let rows = self.lines.iter().filter_map(|line| if let Line::Row(row) = line { Some(row) } else { None });
            rows.map(|row| column(row).width()).max().unwrap_or_default()
        };
        let distance = widest(|row| &row.distance).max("EXPIRES".len());
        let exact = widest(|row| &row.exact).max("TIME".len());
        let profile = widest(|row| &row.profile).max("PROFILE".len()).min(MAX_PROFILE.min(self.terminal.columns / 5));
        let before = INDENT.len() + distance + 2 + exact + 2 + profile + 2;
        let cut = |name: &str, before: usize| {
            let name = shorten(name, MAX_NAME);
            fit(&name, self.terminal.columns.saturating_sub(before)).into_owned()
        };

        let mut text = String::new();
        for line in &self.lines {
            text += &match line {
                Line::Heading(heading) if text.is_empty() => heading.clone(),
                Line::Heading(heading) => format!("\n{heading}"),
                Line::Columns(_) if !has_columns => continue,
                Line::Columns([a, b, c, d]) => {
                    let line = format!("{}  {}  {}  {d}", pad(a, distance), pad(b, exact), pad(c, profile));
                    format!("{INDENT}{}", self.terminal.faint(&line))
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
                        format!("{}, {}", row.distance, row.exact)
                    };
                    let when = fit(&when, self.terminal.columns.saturating_sub(4)).into_owned();
                    format!(
                        "{INDENT}{}\n    {}\n    {}",
                        cut(&row.name, INDENT.len()),
                        self.paint(&when, &row.urgency),
                        cut(&row.profile, 4),
                    )
                }
                Line::Below(what) => {
                    let before = if has_columns { before } else { 4 };
                    format!("{}{}", " ".repeat(before), self.terminal.faint(&cut(&format!("└ {what}"), before)))
                }
            };
            text.push('\n');
        }
        text
    }

    fn paint(&self, text: &str, urgency: &Urgency) -> String {
        match urgency {
            Urgency::PostAtRisk | Urgency::Expired => self.terminal.red(text),
            Urgency::Within(_) => self.terminal.yellow(text),
            Urgency::Undated => self.terminal.faint(text),
        }
    }
}

/// Returns why a post will fail. The reason comes before the name, because the name may be cut off.
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

fn number(number: usize) -> String {
    thousands(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::digest::fixtures::{hostile_survey, survey, survey_of, unwatched};
    use crate::model::ProfileName;
    use crate::model::threshold::Threshold;
    use crate::model::{FailureKind, Listing};
    use crate::run::command::Action;
    use crate::run::result::tests::result;

    fn question() -> Question {
        Question { horizon: Threshold::parse("7d").ok(), is_signed: true, ..Question::default() }
    }

    fn terminal(columns: usize) -> TerminalStyle {
        TerminalStyle { is_styled: false, columns }
    }

    fn channel_result(outcome: Outcome) -> ChannelResult {
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
        insta::assert_snapshot!("a_table_of_everything", report(&result(survey()), &question(), terminal(90)));
        insta::assert_snapshot!("a_narrow_table_of_everything", report(&result(survey()), &question(), terminal(40)));
    }

    #[test]
    fn an_empty_report_says_all_clear_only_if_everything_was_checked() {
        let nothing = survey_of(0);
        let text = report(&result(nothing.clone()), &question(), terminal(80));
        let expected = "\nAll clear: no file expires within 7 days.\n\
                        Checked the profile, 40 files (1 ignored) at 2026-11-23 06:00 UTC.\n";
        assert_eq!(text, expected);

        let mut nobody = result(nothing);
        Arc::make_mut(&mut nobody.survey).profiles[0].failed =
            Some(result(survey()).survey.failed()[0].failure.clone());
        let text = report(&nobody, &question(), terminal(80));
        assert!(!text.contains("All clear") && text.contains("1 of 1 profile could not be checked"), "{text}");
    }

    #[test]
    fn colours_are_only_used_in_terminals() {
        let text = report(&result(survey()), &question(), TerminalStyle { is_styled: true, columns: 90 });
        assert!(text.contains("\u{1b}[1;31mCould not be checked\u{1b}[0m"), "{text}");
    }

    #[test]
    fn each_channel_has_a_line() {
        let mut result = result(survey());
        result.channels = vec![
            ChannelResult { announced: 1_204, messages: 2, ..channel_result(Outcome::Delivered) },
            ChannelResult {
                error: Some("Slack answered 404 Not Found: no_service".into()),
                ..channel_result(Outcome::Failed)
            },
            channel_result(Outcome::NothingDue),
        ];
        result.ledger_error = Some("the table is gone".into());
        let text = sent(&result, &question(), terminal(80));
        let expected = "  social-team  announced 1,204 files and posts in 2 messages\n\
                        \x20 social-team  failed\n\
                        \x20              Slack answered 404 Not Found: no_service\n\
                        \x20 social-team  nothing new\n\n\
                        Could not be checked\n  Acme Coffee\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("The ledger failed\n  the table is gone\n"), "{text}");

        result.channels = vec![channel_result(Outcome::Busy)];
        assert!(sent(&result, &question(), terminal(80)).contains("Another run is in progress"));
    }

    #[test]
    fn a_check_lists_everything_that_was_checked() {
        let mut result = result(survey());
        result.action = Action::Check;
        result.channels = vec![channel_result(Outcome::Reachable)];
        let identified = |profile: &str, title: &str, title_differs: bool| IdentifiedProfile {
            profile: ProfileName::new(profile),
            at_ayrshare: AyrshareProfile { title: Some(title.into()), ref_id: Some("3f2a91".into()) },
            title_differs,
        };
        let mut discovery = unwatched([(Some("Birch & Co".into()), "9c01".into())]);
        discovery.identified =
            vec![identified("Head office", "Primary Profile", false), identified("Café 東京", "Café Tokyo GmbH", true)];
        Arc::make_mut(&mut result.survey).discovery = discovery;
        let profiles = ["Head office", "Acme Coffee", "Café 東京"].map(ToOwned::to_owned);
        insta::assert_snapshot!(check(&result, &profiles, true, true, terminal(80)));
    }

    #[test]
    fn a_check_says_how_many_profiles_the_list_gave() {
        let check = |origin: ListingOrigin, failed: Vec<FailedProfile>| {
            let mut result = result(survey_of(0));
            Arc::make_mut(&mut result.survey).listing = Listing { origin, profiles: 2, failed };
            super::check(&result, &["Head office".to_owned()], false, false, terminal(80))
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
    fn the_number_of_warnings_is_limited() {
        let mut result = result(survey());
        result.status = Status::Failed;
        let failing =
            result.survey.profiles.iter().find(|profile| profile.failed.is_some()).expect("one that fails").clone();
        Arc::make_mut(&mut result.survey).profiles = vec![failing; 22];
        let lines = warnings(&result);
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
        fn text_from_outside_stays_within_its_line_and_the_width(survey in hostile_survey(), columns in 40_usize..160) {
            let mut result = result(survey.clone());
            result.channels = vec![ChannelResult { payloads: vec![json!({"a": "\u{1b}[31m\u{202E}"})], ..channel_result(Outcome::DryRun) }];
            for text in [report(&result, &question(), terminal(columns)), sent(&result, &question(), terminal(columns))] {
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
