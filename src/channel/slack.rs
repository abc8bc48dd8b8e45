//! Renders a digest as Block Kit messages and posts them to an incoming webhook of Slack.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::{Message, SEND_TIMEOUT, SendError};
use crate::config::SecretUrl;
use crate::digest::{self, Digest, Entry, Subject, Urgency};
use crate::model::text::{one_line, shorten, units};
use crate::model::{Item, MediaKind, PostAtRisk, ProfileName, State};
use crate::net::{self, Answer, Deadline};

/// The most blocks in one message. Slack accepts 50; the difference is reserved for the footer.
const MAX_BLOCKS: usize = 44;
/// The longest text of a section, in characters. Slack accepts 3,000.
const MAX_SECTION: usize = 2_900;
/// The longest JSON of a message's blocks, in characters. Slack rejects messages somewhere above 10,000
/// (`msg_blocks_too_long`).
const MAX_MESSAGE: usize = 9_000;
/// The part of [`MAX_MESSAGE`] that is reserved for the footer.
const FOOTER: usize = 1_900;
/// The most messages for one digest: more would be noise, and Slack accepts about one per second.
const MAX_MESSAGES: usize = 5;
/// The most pictures in one message.
const MAX_PICTURES: usize = 8;
/// The longest header, in characters: Slack's limit.
const MAX_HEADER: usize = 150;
/// The longest name or text of a post, in characters.
const MAX_NAME: usize = 120;
/// The longest URL that is linked or shown as a picture, in characters.
const MAX_URL: usize = 600;
/// How many unchecked profiles are named.
const MAX_UNCHECKED: usize = 8;
/// Characters of the names of profiles that nobody watches, once escaped: one at least has room.
const MAX_UNWATCHED: usize = 600;
/// The longest text of the good news, in characters. Escaping can make it five times as long.
const MAX_GOOD_NEWS: usize = 550;
/// How many entries the fallback text names.
const MAX_IN_FALLBACK: usize = 3;

/// Renders a digest as one message, or as several if its entries do not fit into one.
#[must_use]
pub fn render(digest: &Digest) -> Vec<Message> {
    let mut drafts = vec![Draft::first(digest)];
    let mut rest = digest.entries.as_slice();
    while let [entry, others @ ..] = rest {
        let is_taken = drafts.last_mut().is_some_and(|draft| draft.add(entry, digest));
        if is_taken {
            rest = others;
        } else if drafts.len() < MAX_MESSAGES {
            drafts.push(Draft::default());
        } else {
            break;
        }
    }

    let parts = drafts.len();
    let finish = |(index, mut draft): (usize, Draft<'_>)| {
        draft.close_section();
        let mut entries = draft.entries;
        if index + 1 == parts {
            draft.add_footer(digest, rest);
            entries += rest.len();
        } else {
            draft.push(context(&format!("Part {} of {parts}, continued in the next message.", index + 1)));
        }
        let text = if index == 0 {
            fallback(digest)
        } else {
            escape(&format!("{} (part {} of {parts})", digest.headline(), index + 1))
        };
        Message { body: json!({"text": text, "blocks": draft.blocks}), entries }
    };
    drafts.into_iter().enumerate().map(finish).collect()
}

/// A message to which entries are still being added.
#[derive(Default)]
struct Draft<'a> {
    blocks: Vec<Value>,
    /// The length of `blocks` as JSON, in characters.
    size: usize,
    /// The lines of the section that is not yet a block.
    open: Vec<String>,
    /// The headings of the last entry.
    last: Option<(&'a Urgency, &'a ProfileName)>,
    pictures: usize,
    entries: usize,
}

impl<'a> Draft<'a> {
    fn first(digest: &Digest) -> Self {
        let mut draft = Self::default();
        let headline = digest.headline();
        draft.push(json!({
            "type": "header",
            "text": {"type": "plain_text", "text": shorten(&headline, MAX_HEADER)},
        }));
        draft.push(context(&escape(&digest.coverage())));
        if let Some(report) = &digest.report_link {
            // Not a button, because Slack shows a warning when somebody presses a button of an app without an endpoint.
            let until = crate::model::text::utc(report.until);
            draft.push(section(&format!("<{}|Open the report> · works until {until}", escape(&report.url))));
        }
        if !digest.unchecked.is_empty() {
            let mut lines = vec![":warning: *Could not be checked*".to_owned()];
            lines.extend(
                digest.unchecked.iter().take(MAX_UNCHECKED).map(|failed| {
                    format!("• *{}*: {}", text(failed.profile.as_str()), escape(&digest::reason(failed)))
                }),
            );
            // Escaping can make a name five times as long, so not all names may fit. The others are counted.
            let mut room = MAX_SECTION - 30;
            let fitting = lines.iter().take_while(|line| {
                let left = room.checked_sub(units(line) + 1);
                room = left.unwrap_or_default();
                left.is_some()
            });
            let named = fitting.count() - 1;
            lines.truncate(named + 1);
            if named < digest.unchecked.len() {
                lines.push(format!("… and {} more", digest.unchecked.len() - named));
            }
            draft.push(section(&lines.join("\n")));
        }
        if let Some(unwatched) = digest.unwatched(MAX_UNWATCHED, |label| units(&escape(label))) {
            draft.push(section(&format!(":see_no_evil: {}", escape(&unwatched))));
        }
        let good_news = digest.good_news().join("\n");
        if !good_news.is_empty() {
            draft.push(section(&format!(":white_check_mark: {}", escape(&shorten(&good_news, MAX_GOOD_NEWS)))));
        }
        draft
    }

    /// Adds an entry, with its headings unless the previous entry has the same ones. Returns false if the message has no
    /// room for it.
    ///
    /// A draft without entries accepts every entry, because the longest one is far shorter than a message.
    fn add(&mut self, entry: &'a Entry, digest: &Digest) -> bool {
        let mut lines = self.headings(entry, digest);
        lines.push(line(entry, digest));
        let picture = picture(entry).filter(|_| self.pictures < MAX_PICTURES);
        let open_json = section(&self.open.join("\n")).to_string();
        let more_json = section(&lines.join("\n")).to_string();
        let picture_json = picture.as_ref().map_or(0, |picture| units(&picture.to_string()) + 20);
        let is_full = MAX_MESSAGE - FOOTER < self.size + units(&open_json) + units(&more_json) + picture_json
            || MAX_BLOCKS < self.blocks.len() + 2;
        if is_full && 0 < self.entries {
            return false;
        }
        let section_units: usize = self.open.iter().chain(&lines).map(|line| units(line) + 1).sum();
        // Slack puts space between blocks, so each urgency begins a new one.
        let is_as_urgent = self.last.is_none_or(|(urgency, _)| *urgency == entry.urgency);
        if picture.is_some() || !is_as_urgent || MAX_SECTION < section_units {
            self.close_section();
        }
        self.open.extend(lines);
        if let Some(picture) = picture {
            // An accessory of a section, not an image block: Slack rejects the whole message if it cannot fetch the
            // picture of an image block (slackapi/java-slack-sdk#1396).
            let mut block = section(&std::mem::take(&mut self.open).join("\n"));
            block["accessory"] = picture;
            self.push(block);
            self.pictures += 1;
        }
        self.last = Some((&entry.urgency, entry.profile()));
        self.entries += 1;
        true
    }

    fn headings(&self, entry: &Entry, digest: &Digest) -> Vec<String> {
        let mut lines = Vec::new();
        if self.last.is_none_or(|(urgency, _)| *urgency != entry.urgency) {
            let all = digest.entries.iter().filter(|other| other.urgency == entry.urgency).count();
            lines.push(format!("{} *{}* · {all}", sign(&entry.urgency), escape(&entry.urgency.heading())));
        }
        if !lines.is_empty() || self.last.is_none_or(|(_, profile)| profile != entry.profile()) {
            lines.push(format!("*{}*", text(entry.profile().as_str())));
        }
        lines
    }

    fn close_section(&mut self) {
        if !self.open.is_empty() {
            let block = section(&std::mem::take(&mut self.open).join("\n"));
            self.push(block);
        }
    }

    /// Adds the footer of the last message: how much is left out, and what to do about the entries.
    fn add_footer(&mut self, digest: &Digest, left_out: &[Entry]) {
        if !left_out.is_empty() {
            self.push(section(&escape(&digest::left_out(left_out))));
        }
        for lines in [digest.advice().join("\n"), digest.closing().join("\n")] {
            if !lines.is_empty() {
                self.push(context(&escape(&lines)));
            }
        }
    }

    fn push(&mut self, block: Value) {
        self.size += units(&block.to_string()) + 1;
        self.blocks.push(block);
    }
}

fn sign(urgency: &Urgency) -> &'static str {
    match urgency {
        Urgency::PostAtRisk => ":rotating_light:",
        Urgency::Expired => ":x:",
        Urgency::Within(_) => ":hourglass_flowing_sand:",
        Urgency::Undated => ":grey_question:",
    }
}

fn line(entry: &Entry, digest: &Digest) -> String {
    match &entry.subject {
        Subject::File(item) => file_line(item, digest),
        Subject::Post(post) => post_line(post, digest),
    }
}

fn file_line(item: &Item, digest: &Digest) -> String {
    let sign = match item.media.kind() {
        MediaKind::Image => ":frame_with_picture:",
        MediaKind::Video => ":clapper:",
        MediaKind::Other => ":page_facing_up:",
    };
    let timing = escape(&digest::timing(item, digest.now));
    format!("{sign} {} · {timing}", link(item.media.url.as_deref(), &item.label()))
}

fn post_line(post: &PostAtRisk, digest: &Digest) -> String {
    let mut line =
        format!("• {}\n    {}", text(&digest::post_label(post)), escape(&digest::post_timing(post, digest.now)));
    for reason in digest::post_reasons(post, digest.now) {
        line += &format!("\n    {}", escape(&reason));
    }
    line
}

/// Returns the picture of a file that still exists and has a format that Slack shows.
fn picture(entry: &Entry) -> Option<Value> {
    let Subject::File(item) = &entry.subject else { return None };
    let url = Url::parse(item.media.url.as_deref()?).ok().filter(|url| url.scheme() == "https")?;
    let extension = url.path().rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let shown = matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "gif");
    (shown && item.state != State::Expired && units(url.as_str()) <= MAX_URL).then(|| {
        let label = item.label();
        json!({"type": "image", "image_url": url.as_str(), "alt_text": shorten(&label, MAX_NAME)})
    })
}

/// Returns a link with a label, or the label alone if the URL must not be linked.
fn link(url: Option<&str>, label: &str) -> String {
    let label = text(label);
    let url = url.and_then(|url| Url::parse(url).ok()).filter(|url| url.scheme() == "https");
    match url.map(|url| url.as_str().replace('<', "%3C").replace('>', "%3E").replace('|', "%7C")) {
        Some(url) if units(&url) <= MAX_URL => format!("<{}|{label}>", url.replace('&', "&amp;")),
        _ => label,
    }
}

/// Shortens and escapes text from outside. It is shortened first, so that no entity is cut in half.
fn text(outside: &str) -> String {
    escape(&shorten(&one_line(outside), MAX_NAME))
}

/// Escapes the three characters that Slack requires to be escaped.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

fn context(text: &str) -> Value {
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
}

/// The text that notifications, phones and screen readers show instead of the blocks.
fn fallback(digest: &Digest) -> String {
    let mut lines = vec![format!("{}.", digest.headline())];
    lines.extend(digest.entries.iter().take(MAX_IN_FALLBACK).map(|entry| {
        let profile = shorten(entry.profile().as_str(), MAX_NAME);
        match &entry.subject {
            Subject::File(item) => {
                let label = item.label();
                format!("{profile}: {} {}", shorten(&label, MAX_NAME), digest::timing(item, digest.now))
            }
            Subject::Post(post) => {
                let label = digest::post_label(post);
                format!("{profile}: {} {}", shorten(&label, MAX_NAME), digest::post_timing(post, digest.now))
            }
        }
    }));
    if MAX_IN_FALLBACK < digest.entries.len() {
        lines.push(format!("And {} more.", digest.entries.len() - MAX_IN_FALLBACK));
    }
    if !digest.unchecked.is_empty() {
        let names: Vec<_> = digest.unchecked.iter().map(|failed| shorten(failed.profile.as_str(), MAX_NAME)).collect();
        lines.push(format!("Could not be checked: {}.", crate::model::text::list(&names, MAX_UNCHECKED)));
    }
    lines.extend(digest.unwatched(MAX_UNWATCHED, |label| units(&escape(label))));
    lines.extend(digest.good_news().iter().map(|line| shorten(line, MAX_GOOD_NEWS / 2).into_owned()));
    lines.push(digest.coverage());
    escape(&lines.join("\n"))
}

/// Posts one message.
///
/// # Errors
///
/// Returns an error with Slack's response. It never contains the URL, which is the credential.
pub async fn deliver(
    http: &Client,
    webhook_url: &SecretUrl,
    body: &Value,
    deadline: Deadline,
) -> Result<(), SendError> {
    let answer = post(http, webhook_url, body, deadline).await?;
    if answer.status.is_success() && answer.body == b"ok" {
        return Ok(());
    }
    Err(SendError::rejected("Slack", &answer))
}

/// Checks that a webhook works, without posting a message: a working one answers an empty message with 400.
///
/// # Errors
///
/// Returns an error with Slack's response if it is a different one.
pub async fn check(http: &Client, webhook_url: &SecretUrl, deadline: Deadline) -> Result<(), SendError> {
    let answer = post(http, webhook_url, &json!({}), deadline).await?;
    let is_alive =
        answer.status == StatusCode::BAD_REQUEST && matches!(answer.body.trim_ascii(), b"no_text" | b"invalid_payload");
    if is_alive { Ok(()) } else { Err(SendError::rejected("Slack", &answer)) }
}

async fn post(http: &Client, webhook_url: &SecretUrl, body: &Value, deadline: Deadline) -> Result<Answer, SendError> {
    let request = http
        .post(webhook_url.expose().clone())
        .header("content-type", "application/json; charset=utf-8")
        .body(body.to_string());
    Ok(net::send(request, SEND_TIMEOUT, deadline, super::MAX_ANSWER_BYTES).await?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::fixtures::{digest, hostile_survey, report_link, survey, survey_of};

    /// Checks a message against Slack's documented limits.
    fn check_limits(body: &Value) {
        let fallback = body["text"].as_str().expect("a text");
        assert!(!fallback.is_empty() && units(fallback) < 4_000, "the text has {} characters", units(fallback));
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
        assert!(units(&body["blocks"].to_string()) < 9_500, "{} characters", units(&body["blocks"].to_string()));
        for block in blocks {
            let text = |value: &Value, most: usize| {
                let text = value["text"].as_str().expect("a text");
                assert!((1..=most).contains(&units(text)), "{} characters in {value}", units(text));
                if value["type"] == "mrkdwn" {
                    assert!(!text.contains("<!") && !text.contains("<@") && !text.contains("<javascript"), "{text}");
                }
            };
            match block["type"].as_str() {
                Some("header") => text(&block["text"], 150),
                Some("section") => {
                    text(&block["text"], 3_000);
                    if !block["accessory"].is_null() {
                        let url = block["accessory"]["image_url"].as_str().expect("a URL");
                        assert!(url.starts_with("https://") && units(url) <= 3_000, "{url}");
                        assert!(!block["accessory"]["alt_text"].as_str().expect("a text").is_empty());
                    }
                }
                Some("context") => {
                    let elements = block["elements"].as_array().expect("elements");
                    assert!((1..=10).contains(&elements.len()));
                    for element in elements {
                        text(element, 3_000);
                    }
                }
                other => panic!("a block of type {other:?}"),
            }
        }
    }

    /// Returns how many entries the messages show, going by their bullets, and how many they count as left out.
    fn shown_and_counted(messages: &[Message]) -> (usize, usize) {
        let mut shown = 0;
        let mut counted = 0;
        for block in messages.iter().flat_map(|message| message.body["blocks"].as_array().expect("blocks")) {
            for line in block["text"]["text"].as_str().unwrap_or_default().lines() {
                let marks = [":frame_with_picture: ", ":clapper: ", ":page_facing_up: ", "• “", "• (a post"];
                shown += usize::from(marks.iter().any(|mark| line.starts_with(mark)));
                if let Some((number, _)) = line.strip_prefix("… and ").and_then(|rest| rest.split_once(" more that"))
                {
                    counted += number.replace(',', "").parse::<usize>().expect("a number");
                }
            }
        }
        (shown, counted)
    }

    #[test]
    fn a_digest_of_everything() {
        let messages = render(&digest(&survey()));
        assert_eq!(messages.len(), 1);
        check_limits(&messages[0].body);
        insta::assert_json_snapshot!(messages[0].body);
    }

    #[test]
    fn a_long_digest_is_split_and_the_entries_left_out_are_counted() {
        let check = |entries: usize, expected_messages: usize| {
            let messages = render(&digest(&survey_of(entries)));
            for message in &messages {
                check_limits(&message.body);
            }
            let (shown, counted) = shown_and_counted(&messages);
            assert_eq!(shown + counted, entries, "{shown} shown and {counted} counted");
            assert_eq!(messages.iter().map(|message| message.entries).sum::<usize>(), entries);
            assert_eq!(messages.len(), expected_messages, "{entries} entries");
        };
        check(20, 1);
        check(60, 2);
        check(300, MAX_MESSAGES);
    }

    #[test]
    fn the_first_message_links_to_the_report() {
        let mut digest = digest(&survey_of(60));
        digest.report_link = Some(report_link());
        let messages = render(&digest);
        let linked = messages[0].body["blocks"][2]["text"]["text"].as_str().expect("a text");
        assert!(linked.starts_with("<https://reports.example.com/prod/r/AAA"), "{linked}");
        assert!(linked.ends_with("A|Open the report> · works until 2026-11-30 06:00 UTC"), "{linked}");
        for message in &messages {
            check_limits(&message.body);
        }
    }

    #[test]
    fn only_https_urls_are_linked_and_outside_text_cannot_add_markup() {
        assert_eq!(link(Some("https://a.example/x y|z>"), "a|b"), "<https://a.example/x%20y%7Cz%3E|a|b>");
        assert_eq!(link(Some("javascript:alert(1)"), "<!channel>"), "&lt;!channel&gt;");
        assert_eq!(link(Some("http://a.example/x"), "a & b"), "a &amp; b");
        assert_eq!(text(&"&".repeat(200)), format!("{}…", "&amp;".repeat(MAX_NAME - 1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_message_is_within_the_limits_and_every_entry_is_shown_or_counted(survey in hostile_survey(), linked in any::<bool>()) {
            let mut digest = digest(&survey);
            digest.report_link = linked.then(report_link);
            let messages = render(&digest);
            prop_assert!(messages.len() <= MAX_MESSAGES);
            for message in &messages {
                check_limits(&message.body);
            }
            let said = digest.unwatched(MAX_UNWATCHED, |label| units(&escape(label)));
            let is_said = said.is_none_or(|said| messages[0].body["blocks"].to_string().contains(&json!(escape(&said)).to_string().trim_matches('"')[..20]));
            prop_assert!(is_said);
            let (shown, counted) = shown_and_counted(&messages);
            prop_assert_eq!(shown + counted, digest.entries.len());
            prop_assert_eq!(messages.iter().map(|message| message.entries).sum::<usize>(), digest.entries.len());
        }
    }
}
