//! A stand-in for a Slack incoming webhook, with the limits of Block Kit.

use std::io;

use axum::http::Method;
use serde_json::{Map, Value};
use url::Url;

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};
use crate::model::text::units;

/// The path of the webhook: whoever knows it can post.
const PATH: &str = "/services/T00STANDIN/B00STANDIN/yX3kq0VtMPb7sLr2hGdN9wZc";
/// Characters of all texts and URLs of the blocks together. What Slack refuses is measured and not documented.
const MAX_IN_BLOCKS: usize = 9_000;
/// Characters that the plain text should stay below.
const MAX_TEXT: usize = 4_000;
/// Characters of a URL.
const MAX_URL: usize = 3_000;
/// How the URL of a page on its reader's own machine begins.
const LOCAL: &str = "http://127.0.0.1:";

/// A channel behind an incoming webhook.
pub struct Slack {
    messages: Vec<Value>,
    attempts: usize,
    replies: Script,
}

/// A stand-in for a Slack incoming webhook.
pub type SlackStandIn = Server<Slack>;

impl SlackStandIn {
    /// Starts one that takes messages.
    ///
    /// # Errors
    ///
    /// Fails when no port can be had.
    pub async fn start() -> io::Result<Self> {
        let replies = Script::always(Reply::text(200, "ok"));
        Self::serve(Slack { messages: Vec::new(), attempts: 0, replies }).await
    }

    /// The webhook URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.origin())
    }

    /// The messages that were taken so far: valid, and answered with success.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        self.service().messages.clone()
    }

    /// How many messages were sent so far, whatever became of them.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.service().attempts
    }

    /// Answers the next valid messages with these.
    pub fn reply_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().replies.first(replies);
    }

    /// Answers every valid message with this from now on.
    pub fn reply_always(&self, reply: Reply) {
        self.service().replies.then(reply);
    }
}

impl Service for Slack {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        if request.method != Method::POST || request.path != PATH || !request.query.is_empty() {
            return violations.unknown(request).into();
        }
        request.check_headers(&["content-type"], violations);
        let content_type = request.header("content-type").unwrap_or_default();
        if !matches!(content_type, "application/json" | "application/json; charset=utf-8") {
            violations.add(request, "the content type is not JSON");
        }
        let Some(Value::Object(body)) = request.json() else {
            violations.add(request, "the body is no JSON object");
            return Reply::text(400, "invalid_payload").into();
        };
        // This is how a webhook is probed.
        if body.is_empty() {
            return Reply::text(400, "no_text").into();
        }
        self.attempts += 1;
        if let Err(Objection { answer, what }) = check(&body) {
            violations.add(request, &what);
            return Reply::text(400, answer).into();
        }
        let reply = self.replies.next_reply();
        if reply.is_success() {
            self.messages.push(Value::Object(body));
        }
        reply.into()
    }
}

/// Why a message is not taken.
#[derive(Debug)]
struct Objection {
    /// What Slack answers.
    answer: &'static str,
    /// What is wrong.
    what: String,
}

impl<S: Into<String>> From<S> for Objection {
    fn from(what: S) -> Self {
        Self { answer: "invalid_blocks", what: what.into() }
    }
}

type Checked = Result<(), Objection>;

fn check(body: &Map<String, Value>) -> Checked {
    // `channel`, `username` and icons above all: Slack refuses them since 2026.
    if let Some(key) = body.keys().find(|key| !matches!(key.as_str(), "text" | "blocks")) {
        return Err(Objection { answer: "invalid_payload", what: format!("the key `{key}` must not be sent") });
    }
    let text = body.get("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let text = text.ok_or(Objection { answer: "no_text", what: "it has no text for notifications".to_owned() })?;
    length("text", text, MAX_TEXT)?;
    markup("text", text)?;
    let blocks = body.get("blocks").and_then(Value::as_array).ok_or("it has no blocks")?;
    if !(1..=50).contains(&blocks.len()) {
        return Err(format!("it has {} blocks", blocks.len()).into());
    }
    for (index, block) in blocks.iter().enumerate() {
        self::block(block)
            .map_err(|objection| Objection { what: format!("blocks[{index}]: {}", objection.what), ..objection })?;
    }
    let all: usize = blocks.iter().map(characters).sum();
    if MAX_IN_BLOCKS < all {
        return Err(Objection { answer: "msg_blocks_too_long", what: format!("its blocks have {all} characters") });
    }
    Ok(())
}

/// The characters of every text and URL in a block.
fn characters(value: &Value) -> usize {
    match value {
        Value::String(text) => units(text),
        Value::Array(values) => values.iter().map(characters).sum(),
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "type").map(|(_, value)| characters(value)).sum()
        }
        _ => 0,
    }
}

fn block(block: &Value) -> Checked {
    match block["type"].as_str().unwrap_or_default() {
        "header" => {
            only(block, &["type", "block_id", "text"])?;
            text_object(&block["text"], &["plain_text"], 150)
        }
        "section" => {
            only(block, &["type", "block_id", "text", "fields", "accessory", "expand"])?;
            let fields = block["fields"].as_array();
            if block.get("text").is_none() && fields.is_none_or(Vec::is_empty) {
                return Err("it has neither text nor fields".into());
            }
            if block.get("text").is_some() {
                text_object(&block["text"], &["mrkdwn", "plain_text"], 3_000)?;
            }
            if 10 < fields.map_or(0, Vec::len) {
                return Err("it has more than 10 fields".into());
            }
            fields.into_iter().flatten().try_for_each(|field| text_object(field, &["mrkdwn", "plain_text"], 2_000))?;
            block.get("accessory").map_or(Ok(()), |accessory| match accessory["type"].as_str() {
                Some("image") => image(accessory),
                Some("button") => button(accessory),
                _ => Err("its accessory is neither an image nor a button".into()),
            })
        }
        "context" => {
            only(block, &["type", "block_id", "elements"])?;
            elements(block, 10, |element| match element["type"].as_str() {
                Some("image") => image(element),
                _ => text_object(element, &["mrkdwn", "plain_text"], 3_000),
            })
        }
        "actions" => {
            only(block, &["type", "block_id", "elements"])?;
            elements(block, 25, button)
        }
        "image" => image(block),
        "divider" => only(block, &["type", "block_id"]),
        other => Err(format!("there is no block `{other}` in what the function sends").into()),
    }
}

fn elements(block: &Value, most: usize, check: impl Fn(&Value) -> Checked) -> Checked {
    let elements = block["elements"].as_array().ok_or("it has no elements")?;
    if !(1..=most).contains(&elements.len()) {
        return Err(format!("it has {} elements", elements.len()).into());
    }
    elements.iter().try_for_each(check)
}

fn image(image: &Value) -> Checked {
    only(image, &["type", "block_id", "image_url", "alt_text", "title"])?;
    https(&image["image_url"])?;
    let alt_text = image["alt_text"].as_str().filter(|text| !text.is_empty()).ok_or("it has no alt_text")?;
    length("alt_text", alt_text, 2_000)
}

/// Only buttons that open a page: an incoming webhook has nobody who would hear of a press.
fn button(button: &Value) -> Checked {
    only(button, &["type", "text", "url", "action_id", "style", "accessibility_label"])?;
    text_object(&button["text"], &["plain_text"], 75)?;
    https(&button["url"])
}

fn https(url: &Value) -> Checked {
    let text = url.as_str().ok_or("it has no URL")?;
    length("URL", text, MAX_URL)?;
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" => Ok(()),
        _ => Err(format!("`{text}` is no https URL").into()),
    }
}

fn text_object(object: &Value, types: &[&str], most: usize) -> Checked {
    only(object, &["type", "text", "emoji", "verbatim"])?;
    let kind = object["type"].as_str().filter(|kind| types.contains(kind)).ok_or("its text is of a wrong type")?;
    let text = object["text"].as_str().filter(|text| !text.is_empty()).ok_or("its text is empty")?;
    length("text", text, most)?;
    if kind == "mrkdwn" { markup("text", text) } else { Ok(()) }
}

fn length(what: &str, text: &str, most: usize) -> Checked {
    let found = units(text);
    if found <= most { Ok(()) } else { Err(format!("its {what} has {found} characters, more than {most}").into()) }
}

fn only(value: &Value, keys: &[&str]) -> Checked {
    let fields = value.as_object().ok_or("it is no object")?;
    match fields.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("the key `{key}` is not known").into()),
        None => Ok(()),
    }
}

/// Objects to what Slack would read as markup and nobody meant: every `<` begins a link, every `&` an entity, and
/// there is no `>` elsewhere. A mention in a file's name would otherwise call everybody.
fn markup(what: &str, text: &str) -> Checked {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>']) {
        let from = &rest[at..];
        let length = match from.split_at(1) {
            ("&", entity) => {
                ["amp;", "lt;", "gt;"].iter().find(|name| entity.starts_with(**name)).map(|name| 1 + name.len())
            }
            ("<", link) => link.find('>').filter(|end| is_link(&link[..*end])).map(|end| end + 2),
            _ => None,
        };
        let shown: String = from.chars().take(20).collect();
        rest = &from[length.ok_or_else(|| format!("its {what} is not escaped at `{shown}`"))?..];
    }
    Ok(())
}

fn is_link(inside: &str) -> bool {
    let (url, label) = inside.split_once('|').unwrap_or((inside, "-"));
    (url.starts_with("https://") || url.starts_with(LOCAL)) && !label.is_empty() && !inside.contains('<')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objection(change: impl Fn(&mut Value)) -> Option<String> {
        let mut body = json!({
            "text": "2 files expire &amp; more",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "2 files"}},
                {
                    "type": "section",
                    "text": {"type": "mrkdwn", "text": "*A* <https://a.example/1.png|1.png>"},
                    "accessory": {"type": "image", "image_url": "https://a.example/1.png", "alt_text": "1.png"},
                },
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "Checked"}]},
            ],
        });
        change(&mut body);
        check(body.as_object().expect("an object"))
            .err()
            .map(|objection| format!("{}: {}", objection.answer, objection.what))
    }

    #[test]
    fn every_limit_is_held() {
        let check = |expected: &str, change: &dyn Fn(&mut Value)| {
            let objection = objection(change).unwrap_or_else(|| panic!("no objection, expected {expected}"));
            assert!(objection.contains(expected), "{objection}");
        };
        assert_eq!(objection(|_| {}), None);
        check("invalid_payload: the key `channel`", &|body| body["channel"] = json!("#a"));
        check("no_text", &|body| body["text"] = json!(" "));
        check("not escaped at `<!channel>", &|body| body["text"] = json!("<!channel>"));
        check("it has 51 blocks", &|body| body["blocks"] = json!(vec![json!({"type": "divider"}); 51]));
        check("it has 0 blocks", &|body| body["blocks"] = json!([]));
        check("blocks[0]: its text has 151", &|body| body["blocks"][0]["text"]["text"] = json!("é".repeat(151)));
        check("blocks[0]: its text is of a wrong type", &|body| body["blocks"][0]["text"]["type"] = json!("mrkdwn"));
        check("blocks[1]: its text has 3002", &|body| body["blocks"][1]["text"]["text"] = json!("📸".repeat(1_501)));
        check("blocks[1]: its text is empty", &|body| body["blocks"][1]["text"]["text"] = json!(""));
        for raw in ["a & b", "a > b", "<@U1>", "<http://a.example|a>", "<https://a.example|a", "&quot;"] {
            check("not escaped", &|body| body["blocks"][1]["text"]["text"] = json!(raw));
        }
        check("is no https URL", &|body| body["blocks"][1]["accessory"]["image_url"] = json!("http://a.example/"));
        check("no alt_text", &|body| body["blocks"][1]["accessory"]["alt_text"] = json!(""));
        check("it has 11 elements", &|body| {
            body["blocks"][2]["elements"] = json!(vec![json!({"type": "mrkdwn", "text": "a"}); 11]);
        });
        check("there is no block `table`", &|body| body["blocks"][2]["type"] = json!("table"));
        check("msg_blocks_too_long", &|body| {
            let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": "a".repeat(2_900)}});
            body["blocks"] = json!(vec![section; 4]);
        });
    }

    #[tokio::test]
    async fn messages_are_kept_and_a_probe_is_none() {
        let slack = SlackStandIn::start().await.expect("a port");
        slack.reply_first([Reply::text(500, "rollup_error")]);
        let http = crate::net::client().expect("a client");
        let post = async |body: &Value| {
            let request = http.post(slack.url()).header("content-type", "application/json").body(body.to_string());
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a body"))
        };
        let message = json!({"text": "a", "blocks": [{"type": "divider"}]});
        assert_eq!(post(&json!({})).await, (400, "no_text".to_owned()));
        assert_eq!(post(&message).await, (500, "rollup_error".to_owned()));
        assert_eq!(post(&message).await, (200, "ok".to_owned()));
        assert_eq!((slack.messages(), slack.attempts()), (vec![message], 2));
        assert_eq!(slack.violations(), [""; 0]);
        assert_eq!(post(&json!({"text": "a", "icon_emoji": ":x:"})).await.0, 400);
        assert_eq!(slack.violations().len(), 1);
    }
}
