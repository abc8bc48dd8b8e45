//! Parses the events that invoke the function into commands and HTTP requests.

use serde_json::Value;

use crate::http::request::{self, Request};
use crate::model::text::{one_line, shorten};
use crate::run::command::{Command, InvalidCommand, KEYS};

/// The end of all errors about the event as a whole.
const ACCEPTED: &str = "accepted are: a `Scheduled Event` of EventBridge, a command object like \
                        {\"action\": \"alert\"} (also {}), and the requests of API Gateway and of function URLs";

/// An event that the function accepts.
#[derive(Debug)]
pub enum Event {
    /// From a schedule or a direct invocation.
    Command(Command),
    /// A request through API Gateway or a function URL.
    Http(Request),
}

impl Event {
    /// Parses an event.
    ///
    /// # Errors
    ///
    /// Returns an error that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, InvalidEvent> {
        let value: Value = serde_json::from_str(text).map_err(|_| InvalidEvent::NotJson)?;
        let Value::Object(object) = value else { return Err(InvalidEvent::NotAnObject) };
        if let Some(detail_type) = object.get("detail-type") {
            return if detail_type == "Scheduled Event" {
                Ok(Self::Command(Command::default()))
            } else {
                Err(InvalidEvent::Detail(shorten(&one_line(&detail_type.to_string()), 60).into_owned()))
            };
        }
        if request::is_http(&object) {
            let error = |error: serde_json::Error| {
                // It quotes the value, which may be of any length.
                InvalidEvent::Http(shorten(&one_line(&error.to_string()), 200).into_owned())
            };
            return Request::parse(object).map(Self::Http).map_err(error);
        }
        let is_command = object.keys().any(|key| KEYS.contains(&key.as_str()));
        Command::parse(&object)
            .map(Self::Command)
            .map_err(|error| if is_command { InvalidEvent::Command(error) } else { InvalidEvent::Unknown(error) })
    }
}

/// The reason why an event is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// The event cannot be parsed.
    #[error("the event is not valid JSON; {ACCEPTED}")]
    NotJson,
    /// The event is a list, a text or a number.
    #[error("the event is not a JSON object; {ACCEPTED}")]
    NotAnObject,
    /// The event is of EventBridge, but not of a schedule.
    #[error("an EventBridge event of type {0} is not for this function; {ACCEPTED}")]
    Detail(String),
    /// The event is an HTTP request that lacks something, or has it in another type.
    #[error("the HTTP event cannot be read: {0}; {ACCEPTED}")]
    Http(String),
    /// The event has a key of a command, but is not a valid one.
    #[error(transparent)]
    Command(#[from] InvalidCommand),
    /// The event has nothing that is known.
    #[error("{0}; {ACCEPTED}")]
    Unknown(InvalidCommand),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::command::Action;

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
    fn the_error_for_any_other_event_says_what_is_accepted() {
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
    fn an_error_does_not_quote_a_long_value() {
        for long in ["a".repeat(1_000_000), "\n\u{202E}".repeat(1_000)] {
            for event in [
                json!({"requestContext": {"http": {}}, "isBase64Encoded": long}),
                json!({"requestContext": {"http": {}}, "headers": long}),
                json!({"detail-type": long}),
                json!({"action": long}),
                json!({"within": long}),
                json!({"profiles": long}),
                json!({long.clone(): 1}),
            ] {
                let error = Event::parse(&event.to_string()).expect_err("an error").to_string();
                assert!(error.len() < 1_000 && !error.contains('\n'), "{} bytes", error.len());
            }
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
        assert!(two.accepts_base64 && !one.accepts_base64);
        assert_eq!(two, Request { accepts_base64: true, ..one });
        assert!(two.is_authorized);
        assert_eq!(two.query, [("profile".into(), "Café".into()), ("profile".into(), "B".into())]);
    }

    #[test]
    fn only_the_key_of_an_authorizer_vouches_for_the_caller() {
        let is_authorized = |context: Value| {
            let mut context = context;
            context["http"] = json!({"method": "GET"});
            request(&json!({"requestContext": context})).is_authorized
        };
        assert!(is_authorized(json!({"authorizer": {"jwt": {"claims": {"sub": "a"}}}})));
        assert!(is_authorized(json!({"authorizer": {"principalId": "a", "integrationLatency": 3}})));
        for accepted in [json!(null), json!({}), json!(""), json!({"tenant": "a"})] {
            assert!(is_authorized(json!({"authorizer": {"lambda": accepted}})), "{accepted}");
        }
        assert!(is_authorized(json!({"authorizer": {"jwt": {}}})) && is_authorized(json!({"authorizer": {"iam": {}}})));
        for none in [
            json!({}),
            json!({"authorizer": null}),
            json!({"authorizer": {}}),
            json!({"authorizer": "yes"}),
            json!({"authorizer": {"integrationLatency": 3}}),
            json!({"authorizer": {"iam": null}}),
            json!({"authorizer": {"iam": "arn:aws:iam::1:user/a"}}),
            json!({"authorizer": {"jwt": null}}),
            json!({"authorizer": {"jwt": ["a"]}}),
            json!({"authorizer": ["lambda"]}),
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
