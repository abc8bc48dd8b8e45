//! A stand-in for a Workflows webhook of Microsoft Teams. The real one answers 202 even if it then drops the message silently.
//! So this one rejects everything that Teams does not document for Adaptive Cards 1.4.

use std::io;

use axum::http::Method;
use serde_json::Value;
use url::Url;

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};

/// The path of the trigger.
const PATH: &str = "/powerautomate/automations/direct/workflows/6f1d2c5be07a4c3f/triggers/manual/paths/invoke";
/// The query of the trigger. Its signature is secret, because anyone who knows it can post.
const QUERY: [(&str, &str); 4] =
    [("api-version", "1"), ("sp", "/triggers/manual/run"), ("sv", "1.0"), ("sig", "Zb8-kQ2tVn4_xW7sLr1dHgMp3yCa6uEf")];
/// Teams drops larger messages, in bytes.
const MAX_BYTES: usize = 28 * 1024;
/// The prefix of a URL on the local machine, which the demo uses.
const LOCAL_PREFIX: &str = "http://127.0.0.1:";
/// What an element must have, and what else it may have.
const ELEMENTS: [(&str, &[&str], &[&str]); 9] = [
    ("AdaptiveCard", &["version", "body"], &["$schema", "msteams", "actions"]),
    ("RichTextBlock", &["inlines"], &["spacing", "separator"]),
    ("TextRun", &["text"], &["weight", "size", "color", "isSubtle"]),
    ("Container", &["items"], &["style"]),
    ("FactSet", &["facts"], &[]),
    ("ColumnSet", &["columns"], &["selectAction", "spacing"]),
    ("Column", &["items"], &["width"]),
    ("Image", &["url", "altText"], &["size"]),
    ("Action.OpenUrl", &["title", "url"], &[]),
];
/// The values that a property may have.
const VALUES: [(&str, &[&str]); 6] = [
    ("weight", &["Lighter", "Default", "Bolder"]),
    ("size", &["Small", "Default", "Medium", "Large", "ExtraLarge"]),
    ("color", &["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"]),
    ("style", &["default", "emphasis", "good", "attention", "warning", "accent"]),
    ("spacing", &["None", "Small", "Default", "Medium", "Large", "ExtraLarge", "Padding"]),
    ("version", &["1.4"]),
];

/// A channel behind a workflow.
pub struct Teams {
    messages: Vec<Value>,
    attempts: usize,
    replies: Script,
}

/// A stand-in for a Workflows webhook of Microsoft Teams.
pub type TeamsStandIn = Server<Teams>;

impl TeamsStandIn {
    /// Starts a stand-in that answers 202 to valid messages.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let replies = Script::always(Reply::text(202, ""));
        Self::serve(Teams { messages: Vec::new(), attempts: 0, replies }).await
    }

    /// The webhook URL.
    #[must_use]
    pub fn url(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(QUERY).finish();
        format!("{}{PATH}?{query}", self.origin())
    }

    /// The signature in the URL.
    #[must_use]
    pub fn signature(&self) -> &'static str {
        QUERY[3].1
    }

    /// The messages accepted so far: those that were valid and answered with success.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        self.service().messages.clone()
    }

    /// The number of messages sent so far, including rejected ones.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.service().attempts
    }

    /// Answers the next valid messages with these replies.
    pub fn reply_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().replies.first(replies);
    }

    /// Answers every later valid message with this reply.
    pub fn reply_always(&self, reply: Reply) {
        self.service().replies.then(reply);
    }
}

impl Service for Teams {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        // The function asks the host for its first page to check that it answers.
        if request.method == Method::HEAD && request.path == "/" && request.query.is_empty() {
            return Reply::text(404, "").into();
        }
        let is_query = request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(QUERY);
        if request.method != Method::POST || request.path != PATH || !is_query {
            return violations.unknown(request).into();
        }
        self.attempts += 1;
        request.check_headers(&["content-type"], violations);
        match message(request) {
            Err(what) => {
                violations.add(request, &what);
                Reply::text(400, &what).into()
            }
            Ok(message) => {
                let reply = self.replies.next_reply();
                if reply.is_success() {
                    self.messages.push(message);
                }
                reply.into()
            }
        }
    }
}

fn message(request: &Request) -> Result<Value, String> {
    if request.header("content-type") != Some("application/json; charset=utf-8") {
        return Err("the content type is not `application/json; charset=utf-8`".to_owned());
    }
    if MAX_BYTES <= request.body.len() {
        return Err(format!("the message has {} bytes", request.body.len()));
    }
    let message = request.json().ok_or("the body is not JSON")?;
    check(&message)?;
    Ok(message)
}

/// Checks that a message is one valid card.
fn check(message: &Value) -> Result<(), String> {
    keys(message, &["type", "summary", "attachments"], &[])?;
    if message["type"] != "message" || message["summary"].as_str().is_none_or(str::is_empty) {
        return Err("it is no message, or has no summary for notifications".to_owned());
    }
    let [attachment] = &message["attachments"].as_array().ok_or("it has no attachments")?[..] else {
        return Err("it does not have exactly one attachment".to_owned());
    };
    keys(attachment, &["contentType", "contentUrl", "content"], &[])?;
    if attachment["contentType"] != "application/vnd.microsoft.card.adaptive" || !attachment["contentUrl"].is_null() {
        return Err("its attachment is no Adaptive Card".to_owned());
    }
    element(&attachment["content"], &["AdaptiveCard"])
}

/// Checks a message for the fuzz targets.
///
/// # Errors
///
/// Returns what is wrong with it.
#[cfg(feature = "fuzzing")]
pub fn check_message(message: &Value) -> Result<(), String> {
    let bytes = message.to_string().len();
    if MAX_BYTES <= bytes { Err(format!("the message has {bytes} bytes")) } else { check(message) }
}

/// Checks an element of one of these types, and everything in it.
fn element(element: &Value, types: &[&str]) -> Result<(), String> {
    let kind = element["type"].as_str().unwrap_or_default();
    let Some((_, required, optional)) = ELEMENTS.iter().find(|(name, ..)| *name == kind && types.contains(name)) else {
        return Err(format!("the type `{kind}` is none of {types:?}"));
    };
    let optional = [*optional, &["type"]].concat();
    keys(element, required, &optional).map_err(|what| format!("{kind}: {what}"))?;
    for (property, value) in element.as_object().into_iter().flatten() {
        self::property(property, value).map_err(|what| format!("{kind}.{property}: {what}"))?;
    }
    Ok(())
}

fn property(name: &str, value: &Value) -> Result<(), String> {
    const BLOCKS: [&str; 5] = ["RichTextBlock", "Container", "FactSet", "ColumnSet", "Image"];
    match name {
        "body" | "items" => elements(value, &BLOCKS),
        "inlines" => elements(value, &["TextRun"]),
        "columns" => elements(value, &["Column"]),
        "actions" => elements(value, &["Action.OpenUrl"]),
        "selectAction" => element(value, &["Action.OpenUrl"]),
        "facts" => list(value)?.iter().try_for_each(|fact| {
            keys(fact, &["title", "value"], &[])?;
            text(&fact["title"])?;
            text(&fact["value"])
        }),
        "text" | "altText" | "title" => text(value),
        "url" => match value.as_str().map(Url::parse) {
            Some(Ok(url)) if url.scheme() == "https" || url.as_str().starts_with(LOCAL_PREFIX) => Ok(()),
            _ => Err(format!("{value} is not an https URL")),
        },
        "isSubtle" | "separator" if value.is_boolean() => Ok(()),
        "width" if value == "auto" || value == "stretch" => Ok(()),
        "msteams" => keys(value, &["width"], &[]),
        "$schema" | "type" => Ok(()),
        _ => {
            let allowed = VALUES.iter().find(|(property, _)| *property == name);
            let is_allowed = allowed.is_some_and(|(_, values)| values.iter().any(|allowed| value == allowed));
            if is_allowed { Ok(()) } else { Err(format!("{value} is no value of it")) }
        }
    }
}

fn list(value: &Value) -> Result<&[Value], String> {
    value.as_array().filter(|list| !list.is_empty()).map(Vec::as_slice).ok_or_else(|| "it is empty".to_owned())
}

fn elements(value: &Value, types: &[&str]) -> Result<(), String> {
    list(value)?.iter().try_for_each(|element| self::element(element, types))
}

/// Checks a text: it is not empty, and calls no function of Teams.
fn text(value: &Value) -> Result<(), String> {
    match value.as_str() {
        Some("") | None => Err("it is no text or empty".to_owned()),
        Some(text) if text.contains("{{") => Err(format!("`{text}` calls a function")),
        Some(_) => Ok(()),
    }
}

/// Checks that `value` is an object with all required keys and no unknown ones.
fn keys(value: &Value, required: &[&str], optional: &[&str]) -> Result<(), String> {
    let fields = value.as_object().ok_or("it is not an object")?;
    if let Some(key) = required.iter().find(|key| !fields.contains_key(**key)) {
        return Err(format!("`{key}` is missing"));
    }
    match fields.keys().find(|key| !required.contains(&key.as_str()) && !optional.contains(&key.as_str())) {
        Some(key) => Err(format!("`{key}` is unknown")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_rule_is_checked() {
        let run = |run: Value| {
            let block = json!({"type": "RichTextBlock", "inlines": [run]});
            element(&json!({"type": "AdaptiveCard", "version": "1.4", "body": [block]}), &["AdaptiveCard"])
        };
        assert_eq!(run(json!({"type": "TextRun", "text": "a", "weight": "Bolder"})), Ok(()));
        for wrong in [
            json!("a"),
            json!({"type": "TextBlock", "text": "a"}),
            json!({"type": "TextRun", "text": ""}),
            json!({"type": "TextRun", "text": "{{DATE(2026-11-25,SHORT)}}"}),
            json!({"type": "TextRun", "text": "a", "wieght": "Bolder"}),
            json!({"type": "TextRun", "text": "a", "weight": "bold"}),
            json!({"type": "TextRun"}),
        ] {
            assert!(run(wrong.clone()).is_err(), "{wrong}");
        }
        let image = |url: &str| element(&json!({"type": "Image", "url": url, "altText": "a"}), &["Image"]);
        assert_eq!(image("https://img.ayrshare.com/a.png"), Ok(()));
        assert!(image("http://img.ayrshare.com/a.png").is_err());
        assert!(element(&json!({"type": "Container", "items": []}), &["Container"]).is_err());
    }
}
