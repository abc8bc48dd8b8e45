//! What wakes the function: tells the events apart that AWS sends, and makes a command or an HTTP request of them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::command::{Command, InvalidEvent};

/// Ends the text of every [`InvalidEvent`] that is about the event as a whole.
const ACCEPTED: &str = "accepted are: a `Scheduled Event` of EventBridge, a command object like \
                        {\"action\": \"alert\"} (also {}), and the requests of API Gateway and of function URLs";

/// An event of a kind that the function takes.
#[derive(Debug)]
pub enum Event {
    /// A schedule or a direct invocation.
    Command(Command),
    /// A request through API Gateway or a function URL.
    Http(Request),
}

/// An HTTP request, whichever payload format brought it.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path as it came, perhaps with a stage in front.
    pub path: String,
    /// The stage, unless it is the default one.
    pub stage: Option<String>,
    /// The query's parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers, their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body; `None` when it was not the base64 that it claimed to be.
    pub body: Option<Vec<u8>>,
    /// Whether an authorizer of the gateway vouched for the caller.
    pub is_authorized: bool,
    /// Whether an answer in base64 is decoded on its way: always with payload 2.0, and with 1.0 only where the gateway
    /// was told so, which nobody can see from here.
    pub takes_binary: bool,
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    ///
    /// Says what is accepted.
    pub fn parse(text: &str) -> Result<Self, InvalidEvent> {
        let value: Value = serde_json::from_str(text)
            .map_err(|_| InvalidEvent(format!("the event is no JSON that can be read; {ACCEPTED}")))?;
        let Value::Object(object) = value else {
            return Err(InvalidEvent(format!("the event is no JSON object; {ACCEPTED}")));
        };
        if let Some(detail_type) = object.get("detail-type") {
            return if detail_type == "Scheduled Event" {
                Ok(Self::Command(Command::default()))
            } else {
                let found = crate::words::shorten(&crate::words::one_line(&detail_type.to_string()), 60).into_owned();
                Err(InvalidEvent(format!("an EventBridge event of type {found} is not for this function; {ACCEPTED}")))
            };
        }
        if is_http(&object) {
            return WireRequest::deserialize(Value::Object(object))
                .map(|wire| Self::Http(wire.into()))
                .map_err(|error| InvalidEvent(format!("the HTTP event cannot be read: {error}; {ACCEPTED}")));
        }
        Command::parse(&object).map(Self::Command).map_err(|InvalidEvent(reason)| {
            let is_command = object.keys().any(|key| crate::command::KEYS.contains(&key.as_str()));
            InvalidEvent(if is_command { reason } else { format!("{reason}; {ACCEPTED}") })
        })
    }
}

/// Tells a request of API Gateway (payload 1.0 and 2.0) or a function URL (2.0) from everything else; the load
/// balancer's, which looks much the same, is not served.
fn is_http(event: &Map<String, Value>) -> bool {
    let Some(context) = event.get("requestContext").and_then(Value::as_object) else { return false };
    !context.contains_key("elb") && (context.contains_key("http") || event.contains_key("httpMethod"))
}

/// Both payload formats at once: only what is used of them, and all of it optional, since neither is ours.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireRequest {
    http_method: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    query_string_parameters: Option<BTreeMap<String, Option<String>>>,
    multi_value_query_string_parameters: Option<BTreeMap<String, Vec<String>>>,
    headers: Option<BTreeMap<String, Option<String>>>,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: WireContext,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireContext {
    http: Option<WireHttp>,
    stage: Option<String>,
    authorizer: Option<Value>,
    identity: Option<WireIdentity>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireHttp {
    method: Option<String>,
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireIdentity {
    user_arn: Option<String>,
}

impl From<WireRequest> for Request {
    fn from(wire: WireRequest) -> Self {
        let query = match (&wire.raw_query_string, wire.multi_value_query_string_parameters) {
            (Some(raw), _) => url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect(),
            (None, Some(multi)) => multi
                .into_iter()
                .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
                .collect(),
            (None, None) => wire
                .query_string_parameters
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name, value.unwrap_or_default()))
                .collect(),
        };
        let body = wire.body.unwrap_or_default();
        let body = if wire.is_base64_encoded { STANDARD.decode(body).ok() } else { Some(body.into_bytes()) };
        let context = wire.request_context;
        // With IAM authorization a REST API names the caller in `identity` and has no authorizer.
        let is_authorized = context.authorizer.as_ref().is_some_and(vouches)
            || context.identity.and_then(|identity| identity.user_arn).is_some_and(|arn| !arn.is_empty());
        let takes_binary = context.http.is_some();
        let http = context.http.unwrap_or_default();
        Self {
            method: http.method.or(wire.http_method).unwrap_or_default().to_ascii_uppercase(),
            path: wire.raw_path.or(http.path).or(wire.path).unwrap_or_default(),
            stage: context.stage.filter(|stage| !stage.is_empty() && stage != "$default"),
            query,
            headers: wire
                .headers
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value?)))
                .collect(),
            body,
            is_authorized,
            takes_binary,
        }
    }
}

/// Whether an authorizer said anything of the caller; its latency alone says nothing.
fn vouches(authorizer: &Value) -> bool {
    let Some(fields) = authorizer.as_object() else { return false };
    fields.iter().any(|(name, value)| name != "integrationLatency" && !is_blank(value))
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::Action;

    fn request(event: &Value) -> Request {
        match Event::parse(&event.to_string()) {
            Ok(Event::Http(request)) => request,
            other => panic!("{event} is {other:?}"),
        }
    }

    #[test]
    fn schedules_and_commands_become_commands() {
        let check = |event: &str, action: Action| match Event::parse(event) {
            Ok(Event::Command(command)) => assert_eq!(command.action, action, "{event}"),
            other => panic!("{event} is {other:?}"),
        };
        check(r#"{"detail-type":"Scheduled Event","source":"aws.events","detail":{}}"#, Action::Alert);
        check("{}", Action::Alert);
        check(r#"{"action":"check"}"#, Action::Check);
    }

    #[test]
    fn anything_else_is_told_what_is_accepted() {
        for event in [
            "null",
            "[]",
            "\"alert\"",
            "7",
            r#"{"Records":[{"eventSource":"aws:sqs"}]}"#,
            r#"{"detail-type":"Object Created"}"#,
            r#"{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/report"}"#,
            r#"{"requestContext":{"routeKey":"$connect","eventType":"CONNECT"}}"#,
        ] {
            let error = Event::parse(event).expect_err(event).to_string();
            assert!(error.contains("accepted are: a `Scheduled Event`"), "{event}: {error}");
        }
    }

    #[test]
    fn both_payload_formats_give_the_same_request() {
        let two = request(&json!({
            "version": "2.0", "rawPath": "/prod/report", "rawQueryString": "profile=Caf%C3%A9&profile=B",
            "headers": {"Accept": "application/json"},
            "requestContext": {
                "stage": "prod", "http": {"method": "GET", "path": "/prod/report"},
                "authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/a"}},
            },
        }));
        let one = request(&json!({
            "httpMethod": "GET", "path": "/prod/report",
            "multiValueQueryStringParameters": {"profile": ["Café", "B"]},
            "headers": {"accept": "application/json"}, "body": null,
            "requestContext": {"stage": "prod", "identity": {"userArn": "arn:aws:iam::1:user/a"}},
        }));
        assert!(two.takes_binary && !one.takes_binary);
        assert_eq!(two, Request { takes_binary: true, ..one });
        assert!(two.is_authorized);
        assert_eq!(two.query, [("profile".into(), "Café".into()), ("profile".into(), "B".into())]);
    }

    #[test]
    fn only_an_authorizer_that_says_something_vouches() {
        let is_authorized = |context: Value| {
            let mut context = context;
            context["http"] = json!({"method": "GET"});
            request(&json!({"requestContext": context})).is_authorized
        };
        assert!(is_authorized(json!({"authorizer": {"jwt": {"claims": {"sub": "a"}}}})));
        assert!(is_authorized(json!({"authorizer": {"principalId": "a", "integrationLatency": 3}})));
        for none in [
            json!({}),
            json!({"authorizer": null}),
            json!({"authorizer": {}}),
            json!({"authorizer": "yes"}),
            json!({"authorizer": {"integrationLatency": 3}}),
            json!({"authorizer": {"iam": null}}),
            json!({"identity": {"userArn": null, "apiKey": "k"}}),
        ] {
            assert!(!is_authorized(none.clone()), "{none}");
        }
    }

    #[test]
    fn a_body_is_decoded() {
        let body = |body: &str, encoded: bool| {
            request(&json!({"body": body, "isBase64Encoded": encoded, "requestContext": {"http": {"method": "post"}}}))
                .body
        };
        assert_eq!(body("{}", false), Some(b"{}".to_vec()));
        assert_eq!(body("e30=", true), Some(b"{}".to_vec()));
        assert_eq!(body("???", true), None);
    }
}
