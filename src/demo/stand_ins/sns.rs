//! A stand-in for Amazon SNS. It accepts the requests of the AWS SDK and rejects what SNS rejects.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use axum::http::Method;
use serde_json::Value;

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};

/// The size of a message with its attributes, in bytes.
const MAX_BYTES: usize = 262_144;
/// The number of attributes. With raw delivery, SQS drops a message that has more.
const MAX_ATTRIBUTES: usize = 10;
/// The API version in every request.
const VERSION: &str = "2010-03-31";
/// The headers that the SDK sends: its signature and its client information.
const HEADERS: [&str; 9] = [
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-type",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-user-agent",
    "x-amzn-trace-id",
];

/// The topics of an account.
pub struct Sns {
    topics: HashSet<String>,
    publications: Vec<Publication>,
    attempts: usize,
    replies: Script,
}

/// An accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The topic.
    pub topic_arn: String,
    /// The subject of the email.
    pub subject: Option<String>,
    /// The text of the email, or JSON.
    pub message: String,
    /// The type and the value of each attribute.
    pub attributes: BTreeMap<String, (String, String)>,
    /// The message group of a FIFO topic.
    pub group_id: Option<String>,
    /// The deduplication id of a FIFO topic.
    pub deduplication_id: Option<String>,
}

/// A stand-in for Amazon SNS. Set `AWS_ENDPOINT_URL` to its origin.
pub type SnsStandIn = Server<Sns>;

impl SnsStandIn {
    /// Starts a stand-in that has these topics.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start(topic_arns: &[&str]) -> io::Result<Self> {
        let topics = topic_arns.iter().map(|&arn| arn.to_owned()).collect();
        // The body of a successful reply depends on the request, so it is filled in later.
        let replies = Script::always(Reply::text(200, ""));
        Self::serve(Sns { topics, publications: Vec::new(), attempts: 0, replies }).await
    }

    /// The messages published so far, without the duplicates of a FIFO topic.
    #[must_use]
    pub fn publications(&self) -> Vec<Publication> {
        self.service().publications.clone()
    }

    /// The number of messages sent so far, including rejected ones.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.service().attempts
    }

    /// Answers the next valid requests with these replies.
    pub fn reply_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().replies.first(replies);
    }

    /// Answers every later valid request with this reply.
    pub fn reply_always(&self, reply: Reply) {
        self.service().replies.then(reply);
    }

    /// An SNS error, for scripted replies.
    #[must_use]
    pub fn error(http_status: u16, code: &str, message: &str) -> Reply {
        let kind = if http_status < 500 { "Sender" } else { "Receiver" };
        let (code, message) = (escape(code), escape(message));
        let body = format!("<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>");
        xml(http_status, "ErrorResponse", &body)
    }
}

impl Service for Sns {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        if request.method != Method::POST || request.path != "/" || !request.query.is_empty() {
            return violations.unknown(request).into();
        }
        request.check_headers(&HEADERS, violations);
        let form = url::form_urlencoded::parse(&request.body).into_owned();
        let mut form = Form(form.collect());
        let topic_arn = form.take("TopicArn").unwrap_or_default();
        let refused = check_head(request, &mut form, &topic_arn);
        let action = form.take("Action").unwrap_or_default();
        let taken = match (refused, action.as_str()) {
            (Err(what), _) => Err(what),
            (Ok(()), "GetTopicAttributes") => form.end().map(|()| None),
            (Ok(()), "Publish") => {
                self.attempts += 1;
                publication(topic_arn.clone(), form).map(Some)
            }
            (Ok(()), _) => return violations.unknown(request).into(),
        };
        match taken {
            Err(what) => {
                violations.add(request, &what);
                SnsStandIn::error(400, "InvalidParameter", &format!("Invalid parameter: {what}")).into()
            }
            Ok(_) if !self.topics.contains(&topic_arn) => {
                SnsStandIn::error(404, "NotFound", "Topic does not exist").into()
            }
            Ok(publication) => self.take(publication, &topic_arn).into(),
        }
    }
}

impl Sns {
    fn take(&mut self, publication: Option<Publication>, topic_arn: &str) -> Reply {
        let reply = self.replies.next_reply();
        if !reply.is_success() {
            return reply;
        }
        let Some(publication) = publication else {
            let arn = escape(topic_arn);
            let attributes = format!("<Attributes><entry><key>TopicArn</key><value>{arn}</value></entry></Attributes>");
            return reply.with_body_of(xml(
                200,
                "GetTopicAttributesResponse",
                &result("GetTopicAttributes", &attributes),
            ));
        };
        let is_duplicate = publication.deduplication_id.is_some()
            && self.publications.iter().any(|earlier| {
                earlier.topic_arn == publication.topic_arn && earlier.deduplication_id == publication.deduplication_id
            });
        if !is_duplicate {
            self.publications.push(publication);
        }
        let id = format!("<MessageId>00000000-0000-4000-8000-{:012}</MessageId>", self.publications.len());
        reply.with_body_of(xml(200, "PublishResponse", &result("Publish", &id)))
    }
}

/// The parameters of a request. Those that no check has taken are rejected.
struct Form(HashMap<String, String>);

impl Form {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn end(self) -> Result<(), String> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(format!("`{name}` must not be sent")))
    }
}

fn check_head(request: &Request, form: &mut Form, topic_arn: &str) -> Result<(), String> {
    if request.header("content-type") != Some("application/x-www-form-urlencoded") {
        return Err("the content type is not that of the query protocol".to_owned());
    }
    if form.take("Version").as_deref() != Some(VERSION) {
        return Err(format!("the version is not {VERSION}"));
    }
    let region = topic_arn.split(':').nth(3).unwrap_or_default();
    if !request.is_signed_for(&format!("{region}/sns")) {
        return Err(format!("it is not signed for the region `{region}`"));
    }
    Ok(())
}

fn publication(topic_arn: String, mut form: Form) -> Result<Publication, String> {
    let message = form.take("Message").filter(|message| !message.is_empty()).ok_or("the message is empty")?;
    let mut attributes = BTreeMap::new();
    for index in 1.. {
        let mut take = |field: &str| form.take(&format!("MessageAttributes.entry.{index}.{field}"));
        let Some(name) = take("Name") else { break };
        let attribute = (take("Value.DataType").unwrap_or_default(), take("Value.StringValue").unwrap_or_default());
        check_attribute(&name, &attribute)?;
        if attributes.insert(name.clone(), attribute).is_some() {
            return Err(format!("the attribute `{name}` comes twice"));
        }
    }
    let publication = Publication {
        topic_arn,
        subject: form.take("Subject"),
        message,
        attributes,
        group_id: form.take("MessageGroupId"),
        deduplication_id: form.take("MessageDeduplicationId"),
    };
    form.end()?;
    check(&publication)?;
    Ok(publication)
}

fn check(publication: &Publication) -> Result<(), String> {
    if let Some(subject) = &publication.subject {
        let is_printable = subject.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_printable || !subject.starts_with(|c: char| c.is_ascii_graphic()) || 100 <= subject.len() {
            return Err(format!("Subject: {subject:?}"));
        }
    }
    let attributes: usize =
        publication.attributes.iter().map(|(name, (kind, value))| name.len() + kind.len() + value.len()).sum();
    let bytes = publication.message.len() + attributes;
    if MAX_BYTES < bytes {
        return Err(format!("Message too long: {bytes} bytes with its attributes"));
    }
    if MAX_ATTRIBUTES < publication.attributes.len() {
        return Err(format!("it has {} attributes", publication.attributes.len()));
    }
    let ids = [&publication.group_id, &publication.deduplication_id];
    let is_id = |id: &&Option<String>| {
        id.as_ref().is_some_and(|id| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
    };
    if publication.topic_arn.strip_suffix(".fifo").is_some() {
        if !ids.iter().all(is_id) {
            return Err("a FIFO topic needs a group and a deduplication id of at most 128 characters".to_owned());
        }
    } else if ids.iter().any(|id| id.is_some()) {
        return Err("only a FIFO topic takes a group or a deduplication id".to_owned());
    }
    Ok(())
}

fn check_attribute(name: &str, (kind, value): &(String, String)) -> Result<(), String> {
    let is_name = !name.is_empty()
        && name.len() <= 256
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && !["aws.", "amazon."].iter().any(|reserved| name.to_ascii_lowercase().starts_with(reserved));
    let is_value = match kind.as_str() {
        "String" => !value.is_empty(),
        "Number" => value.parse::<f64>().is_ok(),
        "String.Array" => serde_json::from_str::<Vec<Value>>(value)
            .is_ok_and(|values| values.iter().all(|value| !value.is_array() && !value.is_object())),
        _ => false,
    };
    if is_name && is_value { Ok(()) } else { Err(format!("the attribute `{name}` is a `{kind}` of {value:?}")) }
}

fn result(action: &str, inside: &str) -> String {
    format!("<{action}Result>{inside}</{action}Result>")
}

fn xml(http_status: u16, root: &str, inside: &str) -> Reply {
    let id = "<RequestId>11111111-1111-4111-8111-111111111111</RequestId>";
    let id = if root == "ErrorResponse" { id.to_owned() } else { format!("<ResponseMetadata>{id}</ResponseMetadata>") };
    let namespace = format!("http://sns.amazonaws.com/doc/{VERSION}/");
    Reply::text(http_status, &format!("<{root} xmlns=\"{namespace}\">{inside}{id}</{root}>"))
        .with_header("content-type", "text/xml")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:alerts";

    fn checked(form: &[(&str, &str)]) -> Result<Publication, String> {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        publication(TOPIC.to_owned(), Form(form.collect()))
    }

    #[test]
    fn every_rule_is_checked() {
        let attribute = |name, kind, value| {
            [
                ("Message", "a"),
                ("MessageAttributes.entry.1.Name", name),
                ("MessageAttributes.entry.1.Value.DataType", kind),
                ("MessageAttributes.entry.1.Value.StringValue", value),
            ]
        };
        assert!(checked(&[("Message", "a"), ("Subject", "2 files")]).is_ok());
        assert!(checked(&attribute("profiles", "String.Array", "[\"A\"]")).is_ok());

        let long = "é".repeat(MAX_BYTES / 2 + 1);
        let subject = "a".repeat(100);
        for wrong in [
            &[("Message", "")][..],
            &[("Message", &long)],
            &[("Message", "a"), ("Subject", "")],
            &[("Message", "a"), ("Subject", "a\nb")],
            &[("Message", "a"), ("Subject", "é")],
            &[("Message", "a"), ("Subject", " a")],
            &[("Message", "a"), ("Subject", &subject)],
            &[("Message", "a"), ("MessageStructure", "json")],
            &[("Message", "a"), ("MessageGroupId", "a")],
            &attribute("a b", "String", "a"),
            &attribute("a", "String", ""),
            &attribute("a", "Number", "many"),
            &attribute("a", "String.Array", "A"),
        ] {
            assert!(checked(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn attributes_count_towards_the_size_limit() {
        let message = "a".repeat(MAX_BYTES - "severityString7d".len());
        let with = |message: &str| {
            checked(&[
                ("Message", message),
                ("MessageAttributes.entry.1.Name", "severity"),
                ("MessageAttributes.entry.1.Value.DataType", "String"),
                ("MessageAttributes.entry.1.Value.StringValue", "7d"),
            ])
        };
        assert!(with(&message).is_ok());
        assert!(with(&format!("{message}a")).is_err());
    }
}
