//! The Teams channel: an Adaptive Card, posted to a Workflows webhook.
//!
//! A workflow answers before it has posted, and silently drops what is too large or not a valid card. So a card stays far
//! below the limit, and uses only what version 1.4 defines. Text is in `TextRun`, which knows no Markdown.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::{MAX_ANSWER_BYTES, Message, SEND_TIMEOUT, SendError};
use crate::config::SecretUrl;
use crate::digest::{self, Digest, DigestLine, LineSubject, Urgency};
use crate::model::text::{self, one_line, shorten};
use crate::model::{Item, MediaAtRisk, PostAtRisk};
use crate::net::{self, Answer, Deadline};

/// The largest message, in bytes. Teams rejects a request of 24 KB.
const MAX_BYTES: usize = 20_000;
/// The most lines of a digest that are tried.
const MAX_LINES: usize = 60;
/// The most pictures.
const MAX_PICTURES: usize = 10;
/// The largest picture that Teams shows, in bytes.
const MAX_PICTURE_BYTES: u64 = 1_000_000;
/// The most profiles that could not be checked and are named.
const MAX_UNCHECKED: usize = 10;
/// Characters of the names of profiles that nobody watches.
const MAX_UNWATCHED: usize = 500;
/// The longest paragraph, in characters.
const MAX_PARAGRAPH: usize = 500;
/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// The longest URL, in bytes.
const MAX_URL_BYTES: usize = 800;

/// Renders a digest as one card of less than [`MAX_BYTES`]. What does not fit is counted.
#[must_use]
pub fn render(digest: &Digest) -> Message {
    let lines = digest.lines();
    let mut shown = lines.len().min(MAX_LINES);
    let body = loop {
        let message = message(digest, &lines, shown);
        let bytes = message.to_string().len();
        if bytes < MAX_BYTES || shown == 0 {
            break message;
        }
        shown = (shown * MAX_BYTES / bytes).min(shown - 1);
    };
    Message { body, entries: digest.entries.len() }
}

fn message(digest: &Digest, all: &[DigestLine<'_>], shown: usize) -> Value {
    let headline = digest.headline();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body(digest, all, shown),
    });
    if let Some(link) = digest.report_link.as_ref().filter(|link| link.url.len() <= MAX_URL_BYTES) {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open the report", "url": link.url}]);
    }
    json!({
        "type": "message",
        "summary": literal(&headline),
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

fn body(digest: &Digest, all: &[DigestLine<'_>], shown: usize) -> Vec<Value> {
    let (lines, rest) = all.split_at(shown);
    let mut blocks = vec![paragraph(
        json!([{"type": "TextRun", "text": literal(&digest.title().0), "weight": "Bolder", "size": "Large"}]),
    )];
    blocks.extend(digest.first_step().map(|step| plain(&step.plain(&digest.zone))));
    let mut coverage = digest.coverage().plain(&digest.zone);
    if let Some(link) = &digest.report_link {
        coverage += &format!(" The link to the report works until {}.", digest.zone.format(link.until));
    }
    blocks.push(spaced(soft(&coverage), "Small"));
    if !digest.unchecked.is_empty() {
        blocks.push(unchecked(digest));
    }
    let notices = digest.unwatched(MAX_UNWATCHED, |name| name.chars().count()).into_iter().chain(digest.good_news());
    blocks.extend(notices.map(|notice| plain(&shorten(&notice, MAX_PARAGRAPH))));
    let facts: Vec<_> = all
        .chunk_by(|one, other| one.urgency == other.urgency)
        .map(|section| {
            let urgency = section[0].urgency;
            json!({"title": urgency.heading(), "value": text::number(digest.total(urgency))})
        })
        .collect();
    if !facts.is_empty() {
        blocks.push(json!({"type": "FactSet", "facts": facts}));
    }
    let mut pictures = MAX_PICTURES;
    let mut last_advice = "";
    for section in lines.chunk_by(|one, other| one.urgency == other.urgency) {
        let urgency = section[0].urgency;
        blocks.push(heading(urgency, &digest.tally(all, urgency)));
        // All thresholds have the same advice.
        if last_advice != urgency.advice() {
            blocks.push(spaced(soft(urgency.advice()), "Small"));
        }
        last_advice = urgency.advice();
        for group in section.chunk_by(|one, other| one.profile == other.profile) {
            let profile = name(group[0].profile.as_str());
            let profile = json!([{"type": "TextRun", "text": profile, "weight": "Bolder", "isSubtle": true}]);
            blocks.push(spaced(paragraph(profile), "Medium"));
            blocks.extend(group.iter().map(|line| row(line, digest, &mut pictures)));
        }
    }
    if !rest.is_empty() {
        blocks.push(plain(&digest::left_out(rest)));
    }
    let closing = digest.closing().into_iter().chain(digest.note.clone());
    blocks.extend(closing.map(|line| soft(&shorten(&line, MAX_PARAGRAPH))));
    blocks
}

fn unchecked(digest: &Digest) -> Value {
    let mut items = vec![paragraph(
        json!([{"type": "TextRun", "text": "Could not be checked", "weight": "Bolder", "color": "Attention"}]),
    )];
    items.extend(digest.unchecked_advice().into_iter().map(|advice| spaced(soft(advice), "Small")));
    for failed in digest.unchecked.iter().take(MAX_UNCHECKED) {
        let reason = format!(": {}", shorten(&digest::reason(failed), MAX_PARAGRAPH));
        let text = paragraph(json!([
            {"type": "TextRun", "text": name(failed.profile.as_str()), "weight": "Bolder"},
            {"type": "TextRun", "text": literal(&reason)},
        ]));
        items.push(spaced(text, "Small"));
    }
    if MAX_UNCHECKED < digest.unchecked.len() {
        items.push(plain(&format!("… and {} more", digest.unchecked.len() - MAX_UNCHECKED)));
    }
    json!({"type": "Container", "style": "attention", "items": items})
}

fn heading(urgency: &Urgency, tally: &str) -> Value {
    let color = match urgency {
        Urgency::PostAtRisk => "Attention",
        Urgency::Expired | Urgency::Within(_) => "Warning",
        Urgency::Undated => "Default",
    };
    let text = json!([
        {"type": "TextRun", "text": urgency.heading(), "weight": "Bolder", "size": "Medium", "color": color},
        {"type": "TextRun", "text": format!(" · {tally}"), "size": "Medium", "isSubtle": true},
    ]);
    let mut heading = spaced(paragraph(text), "Large");
    heading["separator"] = true.into();
    heading
}

fn row(line: &DigestLine<'_>, digest: &Digest, pictures: &mut usize) -> Value {
    let zone = &digest.zone;
    let (title, details, item, url) = match &line.subject {
        LineSubject::Post(post) => {
            let timing = digest::post_timing(post, digest.now);
            let sentences = [timing].into_iter().chain(digest.post_reasons(post));
            let details: Vec<_> = sentences.map(|sentence| sentence.plain(zone)).collect();
            (digest::post_label(post), details, None, worst_file(post))
        }
        LineSubject::File(item) => {
            let url = item.media.url.as_deref().and_then(https_url);
            (shorten(&one_line(&item.label()), MAX_NAME).into_owned(), timing(&[*item], digest), Some(*item), url)
        }
        LineSubject::Files(files) => {
            let names = digest::first_names(files, |item| shorten(&one_line(&item.label()), MAX_NAME).into_owned());
            (names, timing(files, digest), files.first().copied(), None)
        }
    };
    let mut texts = vec![paragraph(json!([{"type": "TextRun", "text": literal(&title), "weight": "Bolder"}]))];
    texts.extend(details.iter().map(|detail| soft(detail)));
    let texts: Vec<_> = texts.into_iter().map(|text| spaced(text, "None")).collect();
    let mut columns = Vec::new();
    if let Some(picture) = item.filter(|_| 0 < *pictures).and_then(picture) {
        *pictures -= 1;
        columns.push(json!({"type": "Column", "width": "auto", "items": [picture]}));
    }
    columns.push(json!({"type": "Column", "width": "stretch", "items": texts}));
    let mut row = spaced(json!({"type": "ColumnSet", "columns": columns}), "Small");
    if let Some(url) = url {
        row["selectAction"] = json!({"type": "Action.OpenUrl", "title": "Open the file", "url": url.as_str()});
    }
    row
}

fn timing(files: &[&Item], digest: &Digest) -> Vec<String> {
    vec![digest.timing(files).plain(&digest.zone)]
}

/// The URL of the file that a post will lack first. A URL that is signed is not shown to others.
fn worst_file(post: &PostAtRisk) -> Option<Url> {
    post.media.first().filter(|media: &&MediaAtRisk| !media.url.contains('?')).and_then(|media| https_url(&media.url))
}

fn https_url(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(|url| url.scheme() == "https" && url.as_str().len() <= MAX_URL_BYTES)
}

/// The picture of a file, if Teams shows it.
fn picture(item: &Item) -> Option<Value> {
    let url = super::picture_url(item).filter(|url| url.as_str().len() <= MAX_URL_BYTES)?;
    let is_shown = item.media.size_bytes.is_none_or(|size| size <= MAX_PICTURE_BYTES);
    is_shown.then(|| json!({"type": "Image", "url": url.as_str(), "size": "Medium", "altText": name(&item.label())}))
}

fn plain(text: &str) -> Value {
    paragraph(json!([{"type": "TextRun", "text": literal(text)}]))
}

fn soft(text: &str) -> Value {
    paragraph(json!([{"type": "TextRun", "text": literal(text), "isSubtle": true}]))
}

fn paragraph(inlines: Value) -> Value {
    let mut block = json!({"type": "RichTextBlock"});
    block["inlines"] = inlines;
    block
}

/// The block, with so much space above it.
fn spaced(mut block: Value, spacing: &str) -> Value {
    block["spacing"] = spacing.into();
    block
}

fn name(outside: &str) -> String {
    literal(&shorten(&one_line(outside), MAX_NAME))
}

/// Breaks what Teams would take for one of its functions, such as `{{DATE(…)}}`.
fn literal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '{' | '}') && shown.ends_with(character) {
            shown.push('\u{200b}');
        }
        shown.push(character);
    }
    shown
}

/// Posts one message.
///
/// # Errors
///
/// Returns an error with the answer of the workflow. It never contains the URL, which is the credential.
pub async fn deliver(
    http: &Client,
    webhook_url: &SecretUrl,
    body: &Value,
    deadline: Deadline,
) -> Result<(), SendError> {
    let request = http
        .post(webhook_url.expose().clone())
        .header("content-type", "application/json; charset=utf-8")
        .body(body.to_string());
    let answer = net::send_for_status(request, SEND_TIMEOUT, deadline, MAX_ANSWER_BYTES).await?;
    if answer.status.is_success() { Ok(()) } else { Err(rejected(&answer)) }
}

/// The error for an answer that is not a confirmation, with what helps against it.
fn rejected(answer: &Answer) -> SendError {
    let advice = match answer.status {
        StatusCode::UNAUTHORIZED => {
            "set \"Who can trigger the flow\" to \"Anyone\" and configure the URL that the trigger then shows"
        }
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE => {
            "turn the workflow on, or copy the URL of its trigger again, with all of its query"
        }
        _ => "",
    };
    SendError::rejected_with("Teams", answer, advice, &answer.text())
}

/// Checks that the host of the webhook answers. Only a message would prove that the workflow posts it.
///
/// # Errors
///
/// Returns an error if there is no answer.
pub async fn check(http: &Client, webhook_url: &SecretUrl, deadline: Deadline) -> Result<(), SendError> {
    // The request has no path, because a request to the workflow itself might start it.
    let mut host = webhook_url.expose().clone();
    host.set_path("/");
    host.set_query(None);
    net::send_for_status(http.head(host), SEND_TIMEOUT, deadline, MAX_ANSWER_BYTES).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::fixtures::{digest, hostile_survey, survey};
    use crate::digest::test_surveys;

    /// Checks a message against what Teams accepts.
    fn check_card(body: &Value) {
        let json = body.to_string();
        assert!(json.len() < MAX_BYTES, "{} bytes", json.len());
        assert!(!json.contains("{{DATE"));
        let card = &body["attachments"][0]["content"];
        check_element(card);
    }

    fn check_element(element: &Value) {
        match element {
            Value::Array(elements) => elements.iter().for_each(check_element),
            Value::Object(fields) => {
                if let Some(kind) = fields.get("type").and_then(Value::as_str) {
                    let known: &[&str] = match kind {
                        "AdaptiveCard" => &["$schema", "version", "msteams", "body", "actions"],
                        "RichTextBlock" => &["inlines", "spacing", "separator"],
                        "TextRun" => &["text", "weight", "size", "color", "isSubtle"],
                        "Container" => &["style", "items"],
                        "FactSet" => &["facts"],
                        "ColumnSet" => &["columns", "selectAction", "spacing"],
                        "Column" => &["width", "items"],
                        "Image" => &["url", "size", "altText"],
                        "Action.OpenUrl" => &["title", "url"],
                        _ => panic!("`{kind}` is not an element of these cards"),
                    };
                    assert!(fields.keys().all(|key| key == "type" || known.contains(&key.as_str())), "{element}");
                }
                assert!(fields.get("text").is_none_or(|text| text.as_str() != Some("")), "{element}");
                fields.values().for_each(check_element);
            }
            _ => {}
        }
    }

    #[test]
    fn a_card_of_everything() {
        let message = render(&digest(&survey()));
        check_card(&message.body);
        insta::assert_json_snapshot!(message.body);
    }

    #[test]
    fn a_large_digest_is_cut_and_the_rest_is_counted() {
        let files =
            (0..10_000).map(|index| test_surveys::file(&format!("{index} {}", "é".repeat(90)), Some(index % 60)));
        let digest = test_surveys::digest(&test_surveys::survey(files.collect(), Vec::new()));
        let message = render(&digest);
        check_card(&message.body);
        assert!(message.body.to_string().contains("more that there is no room for here"));
    }

    #[test]
    fn functions_of_teams_are_not_evaluated() {
        assert_eq!(literal("{{DATE(2026-11-25,SHORT)}}"), "{\u{200b}{DATE(2026-11-25,SHORT)}\u{200b}}");
        assert_eq!(literal("{{{DATE()}}}"), "{\u{200b}{\u{200b}{DATE()}\u{200b}}\u{200b}}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_card_is_small_enough_and_shows_or_counts_everything(survey in hostile_survey()) {
            let digest = digest(&survey);
            let lines = digest.lines();
            let message = render(&digest);
            check_card(&message.body);
            let json = message.body.to_string();
            let left_out = lines.get(json.matches("\"ColumnSet\"").count()..).expect("no more rows than lines");
            if !left_out.is_empty() {
                prop_assert!(json.contains(&digest::left_out(left_out)));
            }
        }
    }
}
