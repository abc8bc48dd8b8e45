//! A stand-in for a Slack incoming webhook, with the limits of Block Kit.

use std::io;

use axum::http::Method;
use serde_json::{Map, Value};
use url::Url;

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};
use crate::model::text::units;

/// The path of the webhook. It is secret, because anyone who knows it can post.
const PATH: &str = "/services/T00STANDIN/B00STANDIN/yX3kq0VtMPb7sLr2hGdN9wZc";
/// The characters of all texts and URLs in the blocks together. Slack does not document this limit; it was measured.
const MAX_BLOCK_CHARACTERS: usize = 9_000;
/// The recommended length of the plain text, in characters.
const MAX_TEXT: usize = 4_000;
/// The length of a URL, in characters.
const MAX_URL: usize = 3_000;
/// The keys of a message.
const KEYS: [&str; 4] = ["text", "blocks", "unfurl_links", "unfurl_media"];
/// The prefix of a URL on the local machine, which the demo uses.
const LOCAL_PREFIX: &str = "http://127.0.0.1:";

/// A channel behind an incoming webhook.
pub struct Slack {
    messages: Vec<Value>,
    attempts: usize,
    replies: Script,
}

/// A stand-in for a Slack incoming webhook.
pub type SlackStandIn = Server<Slack>;

impl SlackStandIn {
    /// Starts a stand-in that accepts valid messages.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let replies = Script::always(Reply::text(200, "ok"));
        Self::serve(Slack { messages: Vec::new(), attempts: 0, replies }).await
    }

    /// The webhook URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.origin())
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
            violations.add(request, "the body is not a JSON object");
            return Reply::text(400, "invalid_payload").into();
        };
        // The function sends an empty message to check that the webhook exists.
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

/// The reason why a message is rejected.
#[derive(Debug)]
struct Objection {
    /// The answer of Slack.
    answer: &'static str,
    /// A description of the problem.
    what: String,
}

impl<S: Into<String>> From<S> for Objection {
    fn from(what: S) -> Self {
        Self { answer: "invalid_blocks", what: what.into() }
    }
}

type Checked = Result<(), Objection>;

fn check(body: &Map<String, Value>) -> Checked {
    // This includes `channel`, `username` and icons, which Slack rejects.
    if let Some(key) = body.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Objection { answer: "invalid_payload", what: format!("the key `{key}` must not be sent") });
    }
    for key in ["unfurl_links", "unfurl_media"] {
        // Slack previews the pictures behind links unless it is told not to.
        if body.get(key) != Some(&Value::Bool(false)) {
            return Err(Objection { answer: "invalid_payload", what: format!("`{key}` is not false") });
        }
    }
    let text = body.get("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let text = text.ok_or(Objection { answer: "no_text", what: "it has no text for notifications".to_owned() })?;
    length("text", text, MAX_TEXT)?;
    markup("text", text)?;
    automatic_links("text", text)?;
    let blocks = body.get("blocks").and_then(Value::as_array).ok_or("it has no blocks")?;
    if !(1..=50).contains(&blocks.len()) {
        return Err(format!("it has {} blocks", blocks.len()).into());
    }
    for (index, block) in blocks.iter().enumerate() {
        self::block(block)
            .map_err(|objection| Objection { what: format!("blocks[{index}]: {}", objection.what), ..objection })?;
    }
    let all: usize = blocks.iter().map(characters).sum();
    if MAX_BLOCK_CHARACTERS < all {
        return Err(Objection { answer: "msg_blocks_too_long", what: format!("its blocks have {all} characters") });
    }
    Ok(())
}

/// Checks a message for the fuzz targets.
///
/// # Errors
///
/// Returns what is wrong with it.
#[cfg(feature = "fuzzing")]
pub fn check_message(message: &Value) -> Result<(), String> {
    check(message.as_object().ok_or("it is not an object")?).map_err(|objection| objection.what)
}

/// The number of characters of all texts and URLs in a block.
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
            check_keys(block, &["type", "block_id", "text"])?;
            text_object(&block["text"], &["plain_text"], 150)
        }
        // The function writes mentions only into a section of their own. Anywhere else, they come from an unescaped name.
        "section" if is_mentions(&block["text"]) => check_keys(block, &["type", "block_id", "text"]),
        "section" => {
            check_keys(block, &["type", "block_id", "text", "fields", "accessory", "expand"])?;
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
            check_keys(block, &["type", "block_id", "elements"])?;
            elements(block, 10, |element| match element["type"].as_str() {
                Some("image") => image(element),
                _ => text_object(element, &["mrkdwn", "plain_text"], 3_000),
            })
        }
        "actions" => {
            check_keys(block, &["type", "block_id", "elements"])?;
            elements(block, 25, button)
        }
        "image" => image(block),
        "divider" => check_keys(block, &["type", "block_id"]),
        other => Err(format!("the function must not send the block type `{other}`").into()),
    }
}

fn elements(block: &Value, max: usize, check: impl Fn(&Value) -> Checked) -> Checked {
    let elements = block["elements"].as_array().ok_or("it has no elements")?;
    if !(1..=max).contains(&elements.len()) {
        return Err(format!("it has {} elements", elements.len()).into());
    }
    elements.iter().try_for_each(check)
}

fn image(image: &Value) -> Checked {
    check_keys(image, &["type", "block_id", "image_url", "alt_text", "title"])?;
    https(&image["image_url"])?;
    let alt_text = image["alt_text"].as_str().filter(|text| !text.is_empty()).ok_or("it has no alt_text")?;
    length("alt_text", alt_text, 2_000)
}

/// Accepts only buttons that open a page. With an incoming webhook, other buttons do nothing.
fn button(button: &Value) -> Checked {
    check_keys(button, &["type", "text", "url", "action_id", "style", "accessibility_label"])?;
    text_object(&button["text"], &["plain_text"], 75)?;
    https(&button["url"])
}

fn https(url: &Value) -> Checked {
    let text = url.as_str().ok_or("it has no URL")?;
    length("URL", text, MAX_URL)?;
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" => Ok(()),
        _ => Err(format!("`{text}` is not an https URL").into()),
    }
}

fn text_object(object: &Value, types: &[&str], max: usize) -> Checked {
    check_keys(object, &["type", "text", "emoji", "verbatim"])?;
    let kind = object["type"].as_str().filter(|kind| types.contains(kind)).ok_or("its text is of a wrong type")?;
    let text = object["text"].as_str().filter(|text| !text.is_empty()).ok_or("its text is empty")?;
    length("text", text, max)?;
    if kind != "mrkdwn" {
        return Ok(());
    }
    markup("text", text)?;
    match object.get("verbatim").unwrap_or(&Value::Bool(false)) {
        Value::Bool(true) => Ok(()),
        Value::Bool(false) => automatic_links("text", text),
        _ => Err("its `verbatim` is not a boolean".into()),
    }
}

/// Rejects what Slack makes a mention or a link to a channel by itself: `@here` and `#general`.
fn automatic_links(what: &str, text: &str) -> Checked {
    let is_name = |word: &str| word.starts_with(['@', '#']) && word[1..].starts_with(char::is_lowercase);
    match text.split_whitespace().find(|word| is_name(word.trim_start_matches(['(', '“', '"']))) {
        Some(word) => Err(format!("its {what} has the automatic link `{word}`").into()),
        None => Ok(()),
    }
}

/// Whether a text object has mentions, separated by spaces, and nothing else.
fn is_mentions(object: &Value) -> bool {
    let is_id = |id: &str, first: char| {
        id.starts_with(first)
            && 1 < id.len()
            && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let is_mention = |word: &str| match word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
        Some("!here" | "!channel") => true,
        Some(inside) => {
            inside.strip_prefix('@').is_some_and(|id| is_id(id, 'U'))
                || inside.strip_prefix("!subteam^").is_some_and(|id| is_id(id, 'S'))
        }
        None => false,
    };
    let text = object["text"].as_str().unwrap_or_default();
    object["type"] == "mrkdwn" && !text.is_empty() && units(text) <= 3_000 && text.split(' ').all(is_mention)
}

fn length(what: &str, text: &str, max: usize) -> Checked {
    let found = units(text);
    if found <= max { Ok(()) } else { Err(format!("its {what} has {found} characters, more than {max}").into()) }
}

fn check_keys(value: &Value, keys: &[&str]) -> Checked {
    let fields = value.as_object().ok_or("it is not an object")?;
    match fields.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("the key `{key}` is unknown").into()),
        None => Ok(()),
    }
}

/// Rejects markup that comes from unescaped text. Every `<` must start a link or a date, every `&` an entity, and `>` may appear
/// nowhere else. Otherwise a file name such as `<!channel>` would notify everybody.
fn markup(what: &str, text: &str) -> Checked {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>']) {
        let from = &rest[at..];
        let length = match from.split_at(1) {
            ("&", entity) => {
                ["amp;", "lt;", "gt;"].iter().find(|name| entity.starts_with(**name)).map(|name| 1 + name.len())
            }
            ("<", link) => {
                link.find('>').filter(|end| is_link(&link[..*end]) || is_date(&link[..*end])).map(|end| end + 2)
            }
            _ => None,
        };
        let shown: String = from.chars().take(20).collect();
        rest = &from[length.ok_or_else(|| format!("its {what} is not escaped at `{shown}`"))?..];
    }
    Ok(())
}

fn is_link(inside: &str) -> bool {
    let (url, label) = inside.split_once('|').unwrap_or((inside, "-"));
    (url.starts_with("https://") || url.starts_with(LOCAL_PREFIX)) && !label.is_empty() && !inside.contains('<')
}

/// Whether it is `!date^SECONDS^FORMAT|FALLBACK`, of which Slack requires every part.
fn is_date(inside: &str) -> bool {
    let Some((date, fallback)) = inside.strip_prefix("!date^").and_then(|date| date.split_once('|')) else {
        return false;
    };
    let Some((seconds, format)) = date.split_once('^') else { return false };
    seconds.parse::<i64>().is_ok() && format.contains("{date") && !fallback.is_empty() && !inside.contains('<')
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
            "unfurl_links": false,
            "unfurl_media": false,
        });
        change(&mut body);
        check(body.as_object().expect("an object"))
            .err()
            .map(|objection| format!("{}: {}", objection.answer, objection.what))
    }

    #[test]
    fn every_limit_is_checked() {
        let check = |expected: &str, change: &dyn Fn(&mut Value)| {
            let objection = objection(change).unwrap_or_else(|| panic!("no objection, expected {expected}"));
            assert!(objection.contains(expected), "{objection}");
        };
        assert_eq!(objection(|_| {}), None);
        check("invalid_payload: the key `channel`", &|body| body["channel"] = json!("#a"));
        check("invalid_payload: `unfurl_media` is not false", &|body| body["unfurl_media"] = json!("false"));
        check("invalid_payload: `unfurl_links` is not false", &|body| body["unfurl_links"] = json!(true));
        check("no_text", &|body| body["text"] = json!(" "));
        check("automatic link `@here`", &|body| body["text"] = json!("a @here"));
        for linked in ["#general", "“@channel” a"] {
            check("automatic link", &|body| body["blocks"][1]["text"]["text"] = json!(linked));
            assert_eq!(
                objection(|body| {
                    body["blocks"][1]["text"] = json!({"type": "mrkdwn", "text": linked, "verbatim": true});
                }),
                None
            );
        }
        let mention = |text: &str| {
            objection(|body| body["blocks"][1] = json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}))
        };
        assert_eq!(mention("<!here> <!channel> <@U012AB3CD> <!subteam^SAZ94GDB8>"), None);
        for wrong in ["<!everyone>", "<@here>", "<!here>, a", "<!subteam^U1>", "<@U1> "] {
            assert!(mention(wrong).is_some_and(|objection| objection.contains("not escaped")), "{wrong}");
        }
        check("not escaped at `<!channel>", &|body| body["text"] = json!("<!channel>"));
        check("it has 51 blocks", &|body| body["blocks"] = json!(vec![json!({"type": "divider"}); 51]));
        check("it has 0 blocks", &|body| body["blocks"] = json!([]));
        check("blocks[0]: its text has 151", &|body| body["blocks"][0]["text"]["text"] = json!("é".repeat(151)));
        check("blocks[0]: its text is of a wrong type", &|body| body["blocks"][0]["text"]["type"] = json!("mrkdwn"));
        check("blocks[1]: its text has 3002", &|body| body["blocks"][1]["text"]["text"] = json!("📸".repeat(1_501)));
        check("blocks[1]: its text is empty", &|body| body["blocks"][1]["text"]["text"] = json!(""));
        let date = "until <!date^1795586400^{date_short} at {time}|Wed 25 Nov 2026>";
        assert_eq!(objection(|body| body["blocks"][1]["text"]["text"] = json!(date)), None);
        for wrong in ["<!date^x^{date}|a>", "<!date^1^|a>", "<!date^1^{date}>", "<!date^1^{date}|>"] {
            check("not escaped", &|body| body["blocks"][1]["text"]["text"] = json!(wrong));
        }
        for raw in ["a & b", "a > b", "a <@U1>", "<http://a.example|a>", "<https://a.example|a", "&quot;"] {
            check("not escaped", &|body| body["blocks"][1]["text"]["text"] = json!(raw));
        }
        check("is not an https URL", &|body| body["blocks"][1]["accessory"]["image_url"] = json!("http://a.example/"));
        check("no alt_text", &|body| body["blocks"][1]["accessory"]["alt_text"] = json!(""));
        check("it has 11 elements", &|body| {
            body["blocks"][2]["elements"] = json!(vec![json!({"type": "mrkdwn", "text": "a"}); 11]);
        });
        check("must not send the block type `table`", &|body| body["blocks"][2]["type"] = json!("table"));
        check("msg_blocks_too_long", &|body| {
            let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": "a".repeat(2_900)}});
            body["blocks"] = json!(vec![section; 4]);
        });
    }

    #[tokio::test]
    async fn messages_are_recorded_and_probes_are_not() {
        let slack = SlackStandIn::start().await.expect("a port");
        slack.reply_first([Reply::text(500, "rollup_error")]);
        let http = crate::net::client().expect("a client");
        let post = async |body: &Value| {
            let request = http.post(slack.url()).header("content-type", "application/json").body(body.to_string());
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a body"))
        };
        let message = json!({
            "text": "a",
            "blocks": [{"type": "divider"}],
            "unfurl_links": false,
            "unfurl_media": false,
        });
        assert_eq!(post(&json!({})).await, (400, "no_text".to_owned()));
        assert_eq!(post(&message).await, (500, "rollup_error".to_owned()));
        assert_eq!(post(&message).await, (200, "ok".to_owned()));
        assert_eq!((slack.messages(), slack.attempts()), (vec![message], 2));
        assert_eq!(slack.violations(), [""; 0]);
        assert_eq!(post(&json!({"text": "a", "icon_emoji": ":x:"})).await.0, 400);
        assert_eq!(slack.violations().len(), 1);
    }
}
