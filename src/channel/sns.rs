//! Renders a digest as an SNS message, and publishes it: a subject, a text for an email (or JSON), and attributes for
//! filter policies.

use std::collections::BTreeMap;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::types::MessageAttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Message, RunJson, SendError, amazon_q, plain_text};
use crate::config::{SnsFormat, TopicArn};
use crate::digest::Digest;
use crate::model::text::{byte_prefix, json, one_line, shorten};
use crate::net::{self, Deadline, Retry};

/// The largest message with its attributes, in bytes.
const MAX_BYTES: usize = 262_144;
/// The longest subject, in characters. SNS accepts fewer than 100.
const MAX_SUBJECT: usize = 99;
/// The part of [`MAX_BYTES`] that the attribute with the profile names may use. The rest is for the text.
const MAX_PROFILES_BYTES: usize = 65_536;
/// The part of [`MAX_BYTES`] that is reserved for the end of the text and for the `truncated` attribute.
const FOOTER_BYTES: usize = 6_144;

/// The content of one message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Publication {
    /// The subject of the email: printable ASCII.
    pub subject: String,
    /// The text of the email, or JSON.
    pub message: String,
    /// The attributes for filter policies.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A message attribute, in the shape that the AWS CLI uses.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attribute {
    /// `String`, `String.Array` or `Number`.
    pub data_type: String,
    /// Never empty.
    pub string_value: String,
}

impl Attribute {
    fn new(data_type: &str, value: &impl ToString) -> Self {
        Self { data_type: data_type.to_owned(), string_value: value.to_string() }
    }
}

/// Renders a digest as one message. `result` is the run's result for this channel's profiles.
#[must_use]
pub fn render(digest: &Digest, format: SnsFormat, result: RunJson<'_>) -> Message {
    let (mut attributes, profiles_cut) = attributes(digest);
    let taken: usize = attributes
        .iter()
        .map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.string_value.len())
        .sum();
    let room = MAX_BYTES - FOOTER_BYTES / 4 - taken;
    let (message, message_cut) = match format {
        SnsFormat::Text => plain_text::render(digest, room),
        SnsFormat::Json => (result.within)(room),
        SnsFormat::AmazonQ => amazon_q::render(digest, result),
    };
    if profiles_cut || message_cut {
        attributes.insert("truncated".to_owned(), Attribute::new("String", &"true"));
    }
    let publication = Publication { subject: subject(digest), message, attributes };
    Message { body: json!(publication), entries: digest.entries.len() }
}

/// Returns the headline as an ASCII subject. One that is too long is cut between two of its parts.
fn subject(digest: &Digest) -> String {
    let headline = digest.short_headline();
    if headline.len() <= MAX_SUBJECT {
        return headline;
    }
    let cut = byte_prefix(&headline, MAX_SUBJECT - 3);
    format!("{}...", cut.rsplit_once(", ").map_or(cut, |(whole, _)| whole))
}

fn attributes(digest: &Digest) -> (BTreeMap<String, Attribute>, bool) {
    let counts = digest.counts();
    let mut names = Vec::new();
    let mut bytes = 2;
    let concerned = digest.concerned();
    for name in &concerned {
        bytes += json(name).len() + 1;
        if MAX_PROFILES_BYTES < bytes {
            break;
        }
        names.push(name);
    }
    let attributes = [
        ("severity", Attribute::new("String", &digest.severity())),
        ("profiles", Attribute::new("String.Array", &json(&names))),
        ("posts_at_risk", Attribute::new("Number", &counts.posts_at_risk)),
        ("expired", Attribute::new("Number", &counts.expired)),
        ("expiring", Attribute::new("Number", &counts.expiring)),
    ];
    let is_cut = names.len() < concerned.len();
    (attributes.into_iter().map(|(name, attribute)| (name.to_owned(), attribute)).collect(), is_cut)
}

/// Publishes one message.
///
/// # Errors
///
/// Returns an error with the code and message of SNS.
pub async fn deliver(client: &Client, topic: &TopicArn, body: &Value, deadline: Deadline) -> Result<(), SendError> {
    let publication = Publication::deserialize(body).map_err(|error| SendError::permanent(error.to_string()))?;
    let attributes = publication.attributes.iter().filter_map(|(name, attribute)| {
        let value = MessageAttributeValue::builder()
            .data_type(&attribute.data_type)
            .string_value(&attribute.string_value)
            .build()
            .ok()?;
        Some((name.clone(), value))
    });
    let mut publish = client
        .publish()
        .topic_arn(topic.as_str())
        .message(&publication.message)
        .set_subject(Some(publication.subject.clone()).filter(|subject| !subject.is_empty()))
        .set_message_attributes(Some(attributes.collect()));
    if topic.is_fifo() {
        // The id is a hash of the content, so that SNS drops a repeated message but not a changed one.
        let hash = hex::encode(Sha256::digest(json(&publication)));
        publish = publish.message_group_id(env!("CARGO_PKG_NAME")).message_deduplication_id(hash);
    }
    bounded(deadline, publish.send()).await.map(drop)
}

/// Checks that a topic exists and that its attributes can be read, without publishing anything.
///
/// # Errors
///
/// Returns an error with the code and message of SNS.
pub async fn check(client: &Client, topic: &TopicArn, deadline: Deadline) -> Result<(), SendError> {
    bounded(deadline, client.get_topic_attributes().topic_arn(topic.as_str()).send()).await.map(drop)
}

async fn bounded<T, E>(deadline: Deadline, call: impl Future<Output = Result<T, SdkError<E>>>) -> Result<T, SendError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match deadline.bound(call).await {
        Some(answer) => answer.map_err(|error| describe(&error)),
        None => Err(SendError::permanent("the run had no time left for SNS")),
    }
}

fn describe<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> SendError {
    let retry = match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status();
            let throttled = error.code().is_some_and(|code| code.contains("Throttl"));
            let is_transient = throttled || status.as_u16() == 429 || status.is_server_error();
            let retry_after = || service.raw().headers().get("retry-after").and_then(net::parse_retry_after);
            if is_transient { Retry::from_retry_after(retry_after()) } else { Retry::Never }
        }
        // The connection could not be opened, so the message was not sent. After any other failure it may have arrived.
        SdkError::DispatchFailure(failure) if failure.is_io() => Retry::Backoff,
        _ => Retry::Never,
    };
    let reason = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("SNS answered {code}: {message}"),
        (Some(code), None) => format!("SNS answered {code}"),
        _ => format!("SNS: {}", one_line(&net::with_causes(error))),
    };
    SendError { reason: shorten(&one_line(&reason), 400).into_owned(), retry }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::digest::ReportLink;
    use crate::digest::fixtures::{digest, hostile_survey, survey, survey_of, unwatched};
    use crate::model::text::units;
    use crate::model::{FailedProfile, Part, ProfileName, Zone};
    use crate::scan::survey::Survey;

    /// The longest note that a configuration accepts, with characters that are long once escaped or encoded.
    fn long_note() -> String {
        format!("Runbook: https://example.com/?a=1&b=2 {}", "&<é📸 ".repeat(52))
    }

    fn rendered(digest: &Digest, survey: &Survey, format: SnsFormat) -> Message {
        let result = crate::run::result::tests::result(survey.clone());
        let within = |max_bytes: usize| {
            let json = result.to_json_within(max_bytes);
            (json.text, json.is_cut)
        };
        render(digest, format, RunJson { run_id: &result.run_id, channel: "ops", within: &within })
    }

    fn publication(survey: &Survey, format: SnsFormat) -> Publication {
        let message = rendered(&digest(survey), survey, format);
        Publication::deserialize(&message.body).expect("a publication")
    }

    /// Checks a message against the documented limits of SNS.
    fn check_limits(publication: &Publication) {
        let subject = &publication.subject;
        assert!((1..100).contains(&subject.len()), "{subject}");
        assert!(subject.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{subject}");
        assert!(subject.starts_with(|first: char| first.is_ascii_alphanumeric() || first.is_ascii_punctuation()));
        assert!(!publication.message.is_empty());
        let is_mail = !publication.message.starts_with('{');
        assert!(!is_mail || publication.message.lines().all(|line| line.len() <= 998));
        let attributes: usize = publication
            .attributes
            .iter()
            .map(|(name, value)| name.len() + value.data_type.len() + value.string_value.len())
            .sum();
        let bytes = publication.message.len() + attributes;
        assert!(bytes <= MAX_BYTES, "{bytes} bytes");
        assert!(publication.attributes.len() <= 10);
        assert!(publication.attributes.values().all(|value| !value.string_value.is_empty()));
    }

    #[test]
    fn a_mail_of_everything() {
        let publication = publication(&survey(), SnsFormat::Text);
        check_limits(&publication);
        insta::assert_snapshot!(format!("Subject: {}\n\n{}", publication.subject, publication.message));
        insta::assert_json_snapshot!("attributes_of_everything", publication.attributes);
    }

    #[test]
    fn an_amazon_q_notification_of_everything() {
        let publication = publication(&survey(), SnsFormat::AmazonQ);
        check_limits(&publication);
        let message: Value = serde_json::from_str(&publication.message).expect("JSON");
        insta::assert_json_snapshot!(message);
    }

    #[test]
    fn a_result_of_everything() {
        let publication = publication(&survey(), SnsFormat::Json);
        check_limits(&publication);
        let message: Value = serde_json::from_str(&publication.message).expect("JSON");
        insta::assert_json_snapshot!(message);
    }

    #[test]
    fn the_link_to_the_report_is_on_its_own_line() {
        let mut digest = digest(&survey());
        let url = "https://reports.example/r/token".to_owned();
        digest.report_link = Some(ReportLink { url, until: digest.now });
        let message = |format: SnsFormat| rendered(&digest, &survey(), format).body["message"].to_string();
        let mail = message(SnsFormat::Text);
        assert!(mail.contains("until Mon 23 Nov 2026, 06:00 UTC:\\nhttps://reports.example/r/token\\n"), "{mail}");
        let chat = message(SnsFormat::AmazonQ);
        assert!(chat.contains("[Open the report](https://reports.example/r/token)"), "{chat}");
    }

    #[test]
    fn the_note_is_the_last_line_of_a_mail_and_of_a_notification() {
        let mut digest = digest(&survey_of(3_000));
        digest.announced_before = 2;
        let note = "Runbook: https://example.com/media_alerts?a=1&b=2 and <!here>";
        digest.note = Some(note.to_owned());
        let publication = |format: SnsFormat| {
            let publication = Publication::deserialize(rendered(&digest, &survey_of(3_000), format).body);
            let publication = publication.expect("a publication");
            check_limits(&publication);
            publication
        };
        let mail = publication(SnsFormat::Text).message;
        assert!(mail.ends_with(&format!("still open.\n\n{note}\n")), "{}", &mail[mail.len() - 200..]);
        let notification: Value = serde_json::from_str(&publication(SnsFormat::AmazonQ).message).expect("JSON");
        let description = notification["content"]["description"].as_str().expect("a description");
        let end = "\n\nRunbook: https://example.com/media_alerts?a=1&amp;b=2 and &lt;!here&gt;";
        assert!(description.ends_with(end) && units(description) <= 3_000, "{description}");
    }

    #[test]
    fn a_notification_stays_short_whatever_it_says_before_the_entries() {
        let mut digest = digest(&survey());
        let failed = digest.unchecked.remove(0);
        digest.unchecked = vec![FailedProfile { profile: ProfileName::new(&"&".repeat(120)), ..failed }; 40];
        digest.resolved = vec![(ProfileName::new("&&&"), "“&&&&&&&&”".repeat(50)); 10];
        digest.recovered = vec![(ProfileName::new(&"&".repeat(120)), Part::Media); 10];
        digest.unwatched = unwatched((0..60).map(|index| (Some("&".repeat(90)), index.to_string()))).unwatched;
        let report_link = |length: usize| ReportLink { url: "x".repeat(length), until: digest.now };
        for link in [None, Some(report_link(300)), Some(report_link(3_000))] {
            for note in [None, Some("&".repeat(1_000))] {
                let digest = Digest { ledger_note: note, report_link: link.clone(), ..digest.clone() };
                let publication = rendered(&digest, &survey(), SnsFormat::AmazonQ).body["message"].clone();
                let notification: Value = serde_json::from_str(publication.as_str().expect("a text")).expect("JSON");
                let description = notification["content"]["description"].as_str().expect("a description");
                assert!(units(description) <= 3_000, "{} characters", units(description));
                assert!(description.contains("and 3") && description.contains("no room for here"), "{description}");
                assert_eq!(
                    description.contains("[Open the report]"),
                    link.as_ref().is_some_and(|link| link.url.len() < 3_000)
                );
            }
        }
    }

    #[test]
    fn the_notifications_of_a_channel_form_one_thread() {
        let thread = |run_id: &str, channel: &str| {
            let run = RunJson { run_id, channel, within: &|_| (String::new(), false) };
            let message = render(&digest(&survey()), SnsFormat::AmazonQ, run);
            let message: Value = serde_json::from_str(message.body["message"].as_str().expect("a text")).expect("JSON");
            assert_eq!(message["id"], run_id);
            message["metadata"]["threadId"].as_str().expect("a thread").to_owned()
        };
        assert_eq!(thread("run-1", "ops"), thread("run-2", "ops"));
        assert_ne!(thread("run-1", "ops"), thread("run-1", "social"));
        assert!(thread("run-1", "東京 \" <x>").bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }

    #[test]
    fn entries_that_do_not_fit_are_counted_and_the_message_is_marked_as_truncated() {
        let survey = survey_of(3_000);
        for format in [SnsFormat::Text, SnsFormat::Json, SnsFormat::AmazonQ] {
            let publication = publication(&survey, format);
            check_limits(&publication);
            assert_eq!(publication.attributes["truncated"].string_value, "true");
            if format == SnsFormat::Json {
                let message: Value = serde_json::from_str(&publication.message).expect("JSON");
                let shown = message["items"].as_array().map_or(0, Vec::len);
                assert_eq!(shown as u64 + message["items_left_out"].as_u64().expect("a number"), 3_000);
                assert!(MAX_BYTES - 4_096 < publication.message.len(), "{} bytes", publication.message.len());
            } else {
                let message = &publication.message;
                let shown = message.matches("campaign-").count();
                let (_, rest) = message.split_once(" and ").expect("a count");
                let mut counts = message.match_indices("and ").filter_map(|(index, _)| {
                    let number = message[index + 4..].split(' ').next()?;
                    message[index..].contains("no room").then(|| number.replace(',', "").parse::<usize>().ok())?
                });
                assert_eq!(shown + counts.next().expect("a count"), 3_000, "{rest}");
            }
        }
        assert!(!publication(&survey_of(300), SnsFormat::Text).attributes.contains_key("truncated"));
    }

    #[test]
    fn a_mail_reads_right_when_the_clocks_change() {
        let check = |now: &str, expires_at: [&str; 2], expected: [&str; 2]| {
            let mut survey = survey_of(2);
            survey.now = now.parse().expect("a time");
            for (item, expires_at) in survey.items.iter_mut().zip(expires_at) {
                Arc::make_mut(item).media.expires_at = Some(expires_at.parse().expect("a time"));
            }
            let digest = Digest { zone: Zone::parse("Europe/Berlin").expect("a time zone"), ..digest(&survey) };
            let (mail, _) = plain_text::render(&digest, MAX_BYTES);
            for text in expected {
                assert!(mail.contains(&format!("  {text}\n")), "{mail}");
            }
            assert!(!mail.contains("UTC"), "{mail}");
        };
        // The hour before three happens twice.
        check(
            "2026-10-24T22:30:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
            ["expires in 2 hours, Sun 25 Oct 2026, 02:30 CEST", "expires in 3 hours, Sun 25 Oct 2026, 02:30 CET"],
        );
        // The hour after two does not exist.
        check(
            "2026-03-28T23:00:00Z",
            ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"],
            ["expires in 90 minutes, Sun 29 Mar 2026, 01:30 CET", "expires in 2 hours, Sun 29 Mar 2026, 03:30 CEST"],
        );
    }

    #[test]
    fn five_thousand_profiles_fit_into_the_attributes() {
        let mut survey = survey_of(10);
        let profile = survey.profiles[0].clone();
        survey.profiles.extend((0..5_000).map(|index| crate::scan::survey::SurveyedProfile {
            name: crate::model::ProfileName::new(&format!("A client with a long name, number {index}")),
            ..profile.clone()
        }));
        survey.items.clear();
        let publication = publication(&survey, SnsFormat::Text);
        check_limits(&publication);
        assert_eq!(publication.attributes["severity"].string_value, "all-clear");
        assert_eq!(publication.attributes["truncated"].string_value, "true");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_publication_is_within_the_limits(survey in hostile_survey(), noted in any::<bool>()) {
            let digest = Digest { note: noted.then(long_note), ..digest(&survey) };
            for format in [SnsFormat::Text, SnsFormat::Json, SnsFormat::AmazonQ] {
                let message = rendered(&digest, &survey, format);
                check_limits(&Publication::deserialize(&message.body).expect("a publication"));
            }
        }
    }
}
