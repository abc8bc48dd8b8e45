//! Renders a digest as Block Kit messages and posts them to an incoming webhook of Slack.

mod markup;

use std::iter;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use url::Url;

use self::markup::{bold, entities, literal};
use super::{Message, SEND_TIMEOUT, SendError};
use crate::config::{Mentions, SecretUrl};
use crate::digest::{self, Digest, DigestLine, LineSubject, Sentence, Urgency};
use crate::model::text::{one_line, shorten, units};
use crate::model::{Item, MediaKind, PostAtRisk, ProfileName};
use crate::net::{self, Answer, Deadline};

/// The most blocks in one message. Slack accepts 50; the difference is reserved for the footer.
const MAX_BLOCKS: usize = 44;
/// The longest text of a section, in characters. Slack accepts 3,000.
const MAX_SECTION: usize = 2_900;
/// The longest JSON of a message's blocks, in characters. Slack rejects messages somewhere above 10,000
/// (`msg_blocks_too_long`).
const MAX_MESSAGE: usize = 9_000;
/// The longest fallback text, in characters. Slack recommends fewer than 4,000.
const MAX_FALLBACK: usize = 3_900;
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
/// The longest list of names of profiles that nobody watches, in characters after escaping. It has room for at least one
/// name.
const MAX_UNWATCHED: usize = 600;
/// The longest text of the good news, in characters. Escaping can make it five times as long.
const MAX_GOOD_NEWS: usize = 550;
/// The longest line at the end, such as the note about the ledger, in characters.
const MAX_CLOSING: usize = 500;
/// How many entries the fallback text names.
const MAX_IN_FALLBACK: usize = 3;

/// Renders a digest as one message, or as several if its entries do not fit into one. If the digest is urgent enough, the
/// first one mentions the people in `mentions`.
#[must_use]
pub fn render(digest: &Digest, mentions: Option<&Mentions>) -> Vec<Message> {
    let note = digest.note.as_deref().map(note);
    // Reserves room for a footer that counts every line. A footer that counts fewer is not longer, except for the ending of a
    // plural.
    let lines = digest.lines();
    let footer = footer(digest, &lines).iter().chain(&note).map(size).sum::<usize>() + 50;
    let mut drafts = vec![Draft::first(digest, mentions, footer)];
    let mut rest = lines.as_slice();
    while let [line, others @ ..] = rest {
        let is_taken = drafts.last_mut().is_some_and(|draft| draft.add(line, digest, &lines));
        if is_taken {
            rest = others;
        } else if drafts.len() < MAX_MESSAGES {
            drafts.push(Draft { footer, ..Draft::default() });
        } else {
            break;
        }
    }
    drafts.iter_mut().for_each(Draft::close_section);
    let footer_blocks: Vec<_> = self::footer(digest, rest).into_iter().chain(note).collect();
    // The lines above the entries may leave no room for the footer.
    let last = drafts.last().map_or(0, |draft| draft.size);
    if MAX_MESSAGE < last + footer_blocks.iter().map(size).sum::<usize>() && drafts.len() < MAX_MESSAGES {
        drafts.push(Draft::default());
    }

    let parts = drafts.len();
    let finish = |(index, mut draft): (usize, Draft<'_>)| {
        let mut entries = draft.entries;
        if index + 1 == parts {
            draft.blocks.extend(footer_blocks.iter().cloned());
            entries += rest.iter().map(|line| line.entries).sum::<usize>();
        } else {
            draft.push(context(&format!("Part {} of {parts}, continued in the next message.", index + 1)));
        }
        let text = if index == 0 {
            fallback(digest, &lines)
        } else {
            entities(&format!("{} (part {} of {parts})", digest.headline(), index + 1))
        };
        // A preview of each linked picture would double the message.
        let body = json!({"text": text, "blocks": draft.blocks, "unfurl_links": false, "unfurl_media": false});
        Message { body, entries }
    };
    drafts.into_iter().enumerate().map(finish).collect()
}

/// A message to which entries are still being added.
#[derive(Default)]
struct Draft<'a> {
    blocks: Vec<Value>,
    /// The length of `blocks` as JSON, in characters.
    size: usize,
    /// The part of [`MAX_MESSAGE`] that is reserved for the footer.
    footer: usize,
    /// The lines of the section that is not yet a block.
    open: Vec<String>,
    /// The headings of the last entry.
    last: Option<(&'a Urgency, &'a ProfileName)>,
    pictures: usize,
    entries: usize,
}

impl<'a> Draft<'a> {
    fn first(digest: &Digest, mentions: Option<&Mentions>, footer: usize) -> Self {
        let mut draft = Self { footer, ..Self::default() };
        let headline = digest.headline();
        let (headline, also) = if headline.chars().count() <= MAX_HEADER { (headline, None) } else { digest.title() };
        draft.push(json!({
            "type": "header",
            "text": {"type": "plain_text", "text": shorten(&headline, MAX_HEADER)},
        }));
        if let Some(also) = also {
            draft.push(section(&literal(&also)));
        }
        if let Some(mentions) = mentions.filter(|mentions| digest.is_urgent_at(&mentions.at)) {
            // Slack notifies people because of mentions in blocks, and not of those in the fallback text.
            let who: Vec<_> = mentions.who.iter().map(markup::mention).collect();
            draft.push(section(&who.join(" ")));
        }
        draft.push(context(&said(&digest.coverage(), digest)));
        if let Some(report) = &digest.report_link {
            // Not a button, because Slack shows a warning when somebody presses a button of an app without an endpoint.
            let until = markup::date(report.until, &digest.zone);
            draft.push(section(&format!("<{}|Open the report> · works until {until}", entities(&report.url))));
        }
        if let Some(step) = digest.first_step() {
            draft.push(section(&format!(":point_right: {}", said(&step, digest))));
        }
        if !digest.unchecked.is_empty() {
            let advice = digest.unchecked_advice().into_iter().map(advice);
            let heading: Vec<_> = iter::once(":warning: *Could not be checked*".to_owned()).chain(advice).collect();
            let mut lines = vec![heading.join("\n")];
            lines.extend(
                digest
                    .unchecked
                    .iter()
                    .take(MAX_UNCHECKED)
                    .map(|failed| format!("• {}: {}", name(failed.profile.as_str()), literal(&digest::reason(failed)))),
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
        if let Some(unwatched) = digest.unwatched(MAX_UNWATCHED, |label| units(&literal(label))) {
            draft.push(section(&format!("👀 {}", literal(&unwatched))));
        }
        let good_news = digest.good_news().join("\n");
        if !good_news.is_empty() {
            draft.push(section(&format!(":white_check_mark: {}", literal(&shorten(&good_news, MAX_GOOD_NEWS)))));
        }
        draft
    }

    /// Adds a line, with its headings unless the previous line has the same ones. Returns false if the message has no
    /// room for it.
    ///
    /// An empty draft accepts every line, because the longest one is far shorter than a message.
    fn add(&mut self, line: &DigestLine<'a>, digest: &Digest, all: &[DigestLine<'a>]) -> bool {
        let mut lines = self.headings(line, digest, all);
        lines.push(text_of(line, digest));
        let picture = picture(line).filter(|_| self.pictures < MAX_PICTURES);
        let open_json = section(&self.open.join("\n")).to_string();
        let more_json = section(&lines.join("\n")).to_string();
        let picture_json = picture.as_ref().map_or(0, |picture| units(&picture.to_string()) + 20);
        let is_full = MAX_MESSAGE.saturating_sub(self.footer)
            < self.size + units(&open_json) + units(&more_json) + picture_json
            || MAX_BLOCKS < self.blocks.len() + 2;
        if is_full && (0 < self.entries || !self.blocks.is_empty()) {
            return false;
        }
        let section_units: usize = self.open.iter().chain(&lines).map(|line| units(line) + 1).sum();
        // Slack puts space between blocks, so each urgency begins a new one.
        let is_as_urgent = self.last.is_none_or(|(urgency, _)| urgency == line.urgency);
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
        self.last = Some((line.urgency, line.profile));
        self.entries += line.entries;
        true
    }

    fn headings(&self, line: &DigestLine<'_>, digest: &Digest, all: &[DigestLine<'_>]) -> Vec<String> {
        let mut lines = Vec::new();
        let DigestLine { urgency, profile, .. } = line;
        if self.last.is_none_or(|(last, _)| last != *urgency) {
            let tally = digest.tally(all, urgency);
            lines.push(format!("{} *{}* · {tally}", sign(urgency), entities(&urgency.heading())));
            // All thresholds have the same advice.
            if self.last.is_none_or(|(last, _)| last.advice() != urgency.advice()) {
                lines.push(advice(urgency.advice()));
            }
        }
        if !lines.is_empty() || self.last.is_none_or(|(_, last)| last != *profile) {
            lines.push(name(profile.as_str()));
        }
        lines
    }

    fn close_section(&mut self) {
        if !self.open.is_empty() {
            let block = section(&std::mem::take(&mut self.open).join("\n"));
            self.push(block);
        }
    }

    fn push(&mut self, block: Value) {
        self.size += size(&block);
        self.blocks.push(block);
    }
}

/// The footer of the last message: how much is left out, and the last lines of the digest.
fn footer(digest: &Digest, left_out: &[DigestLine<'_>]) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !left_out.is_empty() {
        blocks.push(section(&entities(&digest::left_out(left_out))));
    }
    let closing: Vec<_> = digest.closing().iter().map(|line| literal(&shorten(line, MAX_CLOSING))).collect();
    if !closing.is_empty() {
        blocks.push(context(&closing.join("\n")));
    }
    blocks
}

/// The length of a block in a message, in characters of JSON.
fn size(block: &Value) -> usize {
    units(&block.to_string()) + 1
}

fn sign(urgency: &Urgency) -> &'static str {
    match urgency {
        Urgency::PostAtRisk => ":rotating_light:",
        Urgency::Expired => ":x:",
        Urgency::Within(_) => ":hourglass_flowing_sand:",
        Urgency::Undated => ":grey_question:",
    }
}

/// What to do about a section, in italics.
fn advice(advice: &str) -> String {
    format!("_{}_", entities(advice))
}

fn text_of(line: &DigestLine<'_>, digest: &Digest) -> String {
    match &line.subject {
        LineSubject::File(item) => file_line(&[*item], &linked(item), digest),
        LineSubject::Files(files) => file_line(files, &digest::first_names(files, linked), digest),
        LineSubject::Post(post) => post_line(post, digest),
    }
}

fn linked(item: &Item) -> String {
    link(item.media.url.as_deref(), &item.label())
}

/// The line of a file, or of files that expire together.
fn file_line(files: &[&Item], names: &str, digest: &Digest) -> String {
    let sign = match files.first().map(|item| item.media.kind()) {
        Some(MediaKind::Image) => ":frame_with_picture:",
        Some(MediaKind::Video) => ":clapper:",
        Some(MediaKind::Other) | None => ":page_facing_up:",
    };
    let timing = said(&digest.timing(files), digest);
    format!("{sign} {names} · {timing}")
}

fn post_line(post: &PostAtRisk, digest: &Digest) -> String {
    let timing = said(&digest::post_timing(post, digest.now), digest);
    let mut line = format!("• {}\n    {timing}", text(&digest::post_label(post)));
    for reason in digest.post_reasons(post) {
        line += &format!("\n    {}", said(&reason, digest));
    }
    line
}

/// A sentence in Slack's markup, in which everybody reads times in their own zone.
fn said(sentence: &Sentence, digest: &Digest) -> String {
    sentence.write(literal, |time| markup::date(time, &digest.zone))
}

/// Returns the picture of the first file of a line, if it still exists and has a format that Slack shows.
fn picture(line: &DigestLine<'_>) -> Option<Value> {
    let item = match &line.subject {
        LineSubject::File(item) => item,
        LineSubject::Files(files) => files.first()?,
        LineSubject::Post(_) => return None,
    };
    let url = super::picture_url(item)?;
    (units(url.as_str()) <= MAX_URL).then(|| {
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
    literal(&shorten(&one_line(outside), MAX_NAME))
}

/// Does the same as [`text`], in bold.
fn name(outside: &str) -> String {
    bold(&shorten(&one_line(outside), MAX_NAME))
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": verbatim(text)})
}

fn context(text: &str) -> Value {
    json!({"type": "context", "elements": [verbatim(text)]})
}

/// Markup in which Slack does not turn names of channels, mentions and URLs into links by itself.
fn verbatim(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

/// The note of the configuration. It is not verbatim, so that its URLs become links.
fn note(note: &str) -> Value {
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": markup::note(note)}]})
}

/// The text that notifications, phones and screen readers show instead of the blocks.
fn fallback(digest: &Digest, all: &[DigestLine<'_>]) -> String {
    let mut lines = vec![literal(&format!("{}.", digest.headline()))];
    lines.extend(all.iter().take(MAX_IN_FALLBACK).map(|line| {
        let profile = shorten(line.profile.as_str(), MAX_NAME);
        let name = |item: &Item| shorten(&item.label(), MAX_NAME).into_owned();
        let (label, timing) = match &line.subject {
            LineSubject::File(item) => (name(item), digest.timing(&[*item])),
            LineSubject::Files(files) => (digest::first_names(files, name), digest.timing(files)),
            LineSubject::Post(post) => {
                (shorten(&digest::post_label(post), MAX_NAME).into_owned(), digest::post_timing(post, digest.now))
            }
        };
        format!("{} {}", literal(&format!("{profile}: {label}")), said(&timing, digest))
    }));
    let more: usize = all.iter().skip(MAX_IN_FALLBACK).map(DigestLine::shown).sum();
    if 0 < more {
        lines.push(format!("And {more} more."));
    }
    if !digest.unchecked.is_empty() {
        let names: Vec<_> = digest.unchecked.iter().map(|failed| shorten(failed.profile.as_str(), MAX_NAME)).collect();
        let names = crate::model::text::list(&names, MAX_UNCHECKED);
        lines.push(literal(&format!("Could not be checked: {names}.")));
    }
    lines.extend(digest.unwatched(MAX_UNWATCHED, |label| units(&literal(label))).map(|line| literal(&line)));
    lines.extend(digest.good_news().iter().map(|line| literal(&shorten(line, MAX_GOOD_NEWS / 2))));
    lines.push(said(&digest.coverage(), digest));
    let mut text = String::new();
    for line in lines {
        // Escaping can make a line five times as long. The blocks have everything.
        if units(&text) + units(&line) < MAX_FALLBACK {
            text.extend([line.as_str(), "\n"]);
        }
    }
    text.truncate(text.trim_end().len());
    text
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
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Mention;
    use crate::digest::fixtures::{digest, hostile_survey, item, report_link, survey, survey_of, unwatched};
    use crate::model::{FailedProfile, Threshold};

    /// Checks a message against Slack's documented limits.
    fn check_limits(body: &Value) {
        let fallback = body["text"].as_str().expect("a text");
        assert!(!fallback.is_empty() && units(fallback) < 4_000, "the text has {} characters", units(fallback));
        assert_eq!((&body["unfurl_links"], &body["unfurl_media"]), (&json!(false), &json!(false)));
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
        assert!(
            units(&body["blocks"].to_string()) < MAX_MESSAGE + 100,
            "{} characters",
            units(&body["blocks"].to_string())
        );
        for block in blocks {
            let text = |value: &Value, most: usize| {
                let text = value["text"].as_str().expect("a text");
                assert!((1..=most).contains(&units(text)), "{} characters in {value}", units(text));
                if value["type"] == "mrkdwn" {
                    assert!(
                        !text.replace("<!date^", "").contains("<!")
                            && !text.contains("<@")
                            && !text.contains("<javascript"),
                        "{text}"
                    );
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

    /// Returns how many entries the messages show, going by their bullets, and how many they count: as left out, and as
    /// named above.
    fn shown_and_counted(messages: &[Message]) -> (usize, usize) {
        let mut shown = 0;
        let mut counted = 0;
        for block in messages.iter().flat_map(|message| message.body["blocks"].as_array().expect("blocks")) {
            for line in block["text"]["text"].as_str().unwrap_or_default().lines() {
                let marks = [":frame_with_picture: ", ":clapper: ", ":page_facing_up: ", "• “", "• (a post"];
                if marks.iter().any(|mark| line.starts_with(mark)) {
                    let together = line.rsplit_once(" · ").and_then(|(names, _)| names.strip_suffix(" more"));
                    let more = together.and_then(|names| names.rsplit_once(" and ")?.1.parse::<usize>().ok());
                    shown += more.map_or(1, |more| 2 + more);
                }
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
        let messages = render(&digest(&survey()), None);
        assert_eq!(messages.len(), 1);
        check_limits(&messages[0].body);
        insta::assert_json_snapshot!(messages[0].body);
    }

    #[test]
    fn a_long_digest_is_split_and_the_entries_left_out_are_counted() {
        let check = |entries: usize, expected_messages: usize| {
            let messages = render(&digest(&survey_of(entries)), None);
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
        let messages = render(&digest, None);
        let linked = messages[0].body["blocks"][2]["text"]["text"].as_str().expect("a text");
        assert!(linked.starts_with("<https://reports.example.com/prod/r/AAA"), "{linked}");
        assert!(
            linked.ends_with(
                "A|Open the report> · works until <!date^1796018400^{date_short} at {time}|Mon 30 Nov 2026, 06:00 UTC>"
            ),
            "{linked}"
        );
        for message in &messages {
            check_limits(&message.body);
        }
    }

    fn mentions(at: &str) -> Mentions {
        let at = Threshold::parse(at).expect("a threshold");
        Mentions { who: vec![Mention::Here, Mention::User("U012AB3CD".to_owned())], at }
    }

    /// The longest note that a configuration accepts, with characters that are long once escaped.
    fn long_note() -> String {
        format!("Runbook: https://example.com/?a=1&b=2 {}", "&<>é📸 ".repeat(43))
    }

    #[test]
    fn people_are_mentioned_once_when_the_digest_is_urgent_enough() {
        let check = |hours: i64, at: &str, expected: bool| {
            let mut survey = survey_of(60);
            survey.items.truncate(1);
            survey.items[0] = Arc::new(item("Head office", "<!here> <@U012AB3CD> @here.png", Some(hours * 60)));
            let messages = render(&digest(&survey), Some(&mentions(at)));
            let all: String = messages.iter().map(|message| message.body.to_string()).collect();
            assert_eq!(all.matches("<!here>").count() - alt_texts(&messages), usize::from(expected), "{hours} {at}");
            let mention = json!({"type": "section", "text": verbatim("<!here> <@U012AB3CD>")});
            assert_eq!(messages[0].body["blocks"][1] == mention, expected, "{hours} {at}");
            assert!(!messages[0].body["text"].to_string().replace("<!date^", "").contains("<!"));
        };
        check(24, "1d", true);
        check(25, "1d", false);
        check(25, "3d", true);
        check(-1, "7d", false);
        assert!(render(&digest(&survey()), None)[0].body["blocks"][1]["type"] == "context");
    }

    /// How many pictures have a mention in their alternative text, which Slack shows as plain text.
    fn alt_texts(messages: &[Message]) -> usize {
        let blocks = messages.iter().flat_map(|message| message.body["blocks"].as_array().expect("blocks"));
        blocks.filter(|block| block["accessory"]["alt_text"].to_string().contains("<!here>")).count()
    }

    #[test]
    fn only_the_last_message_ends_in_the_note() {
        for entries in [0, 1, 60, 300] {
            let digest = Digest { note: Some(long_note()), announced_before: 3, ..digest(&survey_of(entries)) };
            let messages = render(&digest, None);
            for message in &messages {
                check_limits(&message.body);
            }
            let (shown, counted) = shown_and_counted(&messages);
            assert_eq!(shown + counted, entries, "{shown} shown and {counted} counted");
            let ends: Vec<_> = messages
                .iter()
                .map(|message| {
                    let blocks = message.body["blocks"].as_array().expect("blocks");
                    let element = &blocks.last().expect("a block")["elements"][0];
                    let is_note = element["text"].as_str().is_some_and(|text| text.starts_with("Runbook: https://"));
                    is_note && element["verbatim"].is_null()
                })
                .collect();
            assert!(ends.last() == Some(&true) && ends.iter().filter(|ends| **ends).count() == 1, "{ends:?}");
        }
    }

    #[test]
    fn a_footer_that_has_no_room_is_a_message_of_its_own() {
        let failed = digest(&survey()).unchecked.remove(0);
        let mut digest = digest(&survey_of(1));
        digest.unchecked = vec![FailedProfile { profile: ProfileName::new(&"&".repeat(120)), ..failed }; 40];
        digest.resolved = vec![(ProfileName::new("&&&"), "“&&&&&&&&”".repeat(50)); 10];
        digest.unwatched = unwatched((0..60).map(|index| (Some("&".repeat(90)), index.to_string()))).unwatched;
        digest.report_link = Some(report_link());
        digest.ledger_note = Some("&".repeat(1_000));
        digest.note = Some(long_note());
        let mut messages = render(&digest, Some(&mentions("7d")));
        let mention = messages[0].body["blocks"].as_array_mut().expect("blocks").remove(1);
        assert_eq!(mention["text"]["text"], "<!here> <@U012AB3CD>");
        for message in &messages {
            check_limits(&message.body);
        }
        assert_eq!(messages.iter().map(|message| message.entries).sum::<usize>(), 1);
        assert_eq!(shown_and_counted(&messages), (1, 0));
        assert!(1 < messages.len());
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
        fn every_message_is_within_the_limits_and_every_entry_is_shown_or_counted(
            survey in hostile_survey(),
            linked in any::<bool>(),
            noted in any::<bool>(),
        ) {
            let mut digest = digest(&survey);
            digest.report_link = linked.then(report_link);
            digest.note = noted.then(long_note);
            let messages = render(&digest, None);
            prop_assert!(messages.len() <= MAX_MESSAGES);
            for message in &messages {
                check_limits(&message.body);
            }
            let said = digest.unwatched(MAX_UNWATCHED, |label| units(&literal(label)));
            let is_said = said.is_none_or(|said| messages[0].body["blocks"].to_string().contains(&json!(literal(&said)).to_string().trim_matches('"')[..20]));
            prop_assert!(is_said);
            let (shown, counted) = shown_and_counted(&messages);
            prop_assert_eq!(shown + counted, digest.entries.len());
            prop_assert_eq!(messages.iter().map(|message| message.entries).sum::<usize>(), digest.entries.len());
        }
    }
}
