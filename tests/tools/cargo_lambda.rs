//! Sends every file in `events/` to the release binary with `cargo lambda invoke`.
//!
//! The Runtime API is that of `cargo lambda watch`, which is another implementation than the one of the other tests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::binary;
use crate::support::lambda::{Answer, Lambda, event, events};
use crate::support::stand_ins::{Sent, StandIns};

const NOTHING: Sent = Sent { slack: 0, sns: 0 };

/// The expected answer to an event, and the number of messages to each channel.
enum Expected {
    /// A run result.
    Run { action: &'static str, messages: usize },
    /// An HTTP answer with a run result.
    Page { action: &'static str, messages: usize },
    /// An HTTP error with this status as a problem document.
    Problem(u16),
    /// An HTTP error with this status as a page.
    ErrorPage(u16),
    /// An error with this type and this text.
    Error(&'static str, &'static str),
}

/// The expectation for each file. `events/README.md` describes the same.
fn expectations() -> BTreeMap<&'static str, Expected> {
    use Expected::{Error, ErrorPage, Page, Problem, Run};
    BTreeMap::from([
        ("scheduled", Run { action: "alert", messages: 1 }),
        ("scheduler", Run { action: "alert", messages: 1 }),
        ("scheduler-without-input", Run { action: "alert", messages: 1 }),
        ("alert", Run { action: "alert", messages: 1 }),
        ("alert-within", Run { action: "alert", messages: 1 }),
        ("dry-run", Run { action: "alert", messages: 0 }),
        ("report", Run { action: "report", messages: 0 }),
        ("check", Run { action: "check", messages: 0 }),
        ("test", Run { action: "test", messages: 1 }),
        ("http-report-v2", Page { action: "report", messages: 0 }),
        ("http-alerts-v2", Page { action: "alert", messages: 1 }),
        ("function-url-report", Page { action: "report", messages: 0 }),
        ("function-url-alerts", Page { action: "check", messages: 0 }),
        ("rest-report-v1", Page { action: "report", messages: 0 }),
        ("rest-alerts-v1", Page { action: "alert", messages: 0 }),
        ("refused-http-report-v2", Problem(401)),
        ("refused-http-link-v2", ErrorPage(404)),
        ("refused-s3-object-created", Error("InvalidEvent", "\"Object Created\" is not for this function")),
        ("refused-within", Error("InvalidEvent", "`banana` is not a duration")),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_event_gets_the_expected_answer() {
    let expectations = expectations();
    let found = names_of_events();
    let expected = expectations.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, expected, "each file in events/ has an expectation here, and each expectation a file");

    let stand_ins = StandIns::start().await;
    let lambda = Lambda::serve(binary::function(), stand_ins.variables()).await;
    let mut faults = Vec::new();
    for (name, expected) in &expectations {
        let before = stand_ins.sent();
        let answer = lambda.invoke(&event(name)).await;
        let after = stand_ins.sent();
        let sent = Sent { slack: after.slack - before.slack, sns: after.sns - before.sns };
        if let Err(fault) = check(expected, &answer, sent) {
            faults.push(format!("{name}: {fault}\n  it answered {answer:?}\n  and sent {sent:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(stand_ins.violations(), [""; 0]);
    for secret in [StandIns::API_KEY, &stand_ins.slack_url()] {
        assert!(!lambda.log().contains(secret), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_an_error_with_a_type() {
    let stand_ins = StandIns::start().await;
    let mut variables = stand_ins.variables();
    // Nothing listens on this port.
    variables.push(("AYRSHARE_BASE_URL".to_owned(), "http://127.0.0.1:9/api".to_owned()));
    let lambda = Lambda::serve(binary::function(), variables).await;
    let error = lambda.invoke(&event("scheduled")).await.expect_err("an error of the function");
    assert_eq!(error.error_type, "RunFailed");
    assert!(error.message.contains("no profile could be checked"), "{}", error.message);
    let page = lambda.invoke(&event("http-report-v2")).await.expect("an HTTP answer");
    assert_eq!(page["statusCode"], 502, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_gets_the_errors_of_an_invalid_configuration() {
    let lambda = Lambda::serve(binary::function(), vec![("SNS_TOPIC_ARN".to_owned(), "the-topic".to_owned())]).await;
    for _ in 0..2 {
        let error = lambda.invoke(&event("scheduled")).await.expect_err("an error of the function");
        assert_eq!(error.error_type, "InvalidConfiguration");
        for variable in ["AYRSHARE_API_KEY", "SNS_TOPIC_ARN"] {
            assert!(error.message.contains(variable), "{variable}: {}", error.message);
        }
    }
    let page = lambda.invoke(&event("http-report-v2")).await.expect("an HTTP answer");
    assert_eq!(page["statusCode"], 500, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_event_sends_the_name_of_the_file() {
    let stand_ins = StandIns::start().await;
    let lambda = Lambda::serve(binary::function(), stand_ins.variables()).await;
    let answer = lambda.invoke(&event("scheduled")).await;
    let expected = Expected::Run { action: "alert", messages: 1 };
    if let Err(fault) = check(&expected, &answer, stand_ins.sent()) {
        panic!("{fault}: {answer:?}\n{}", lambda.log());
    }
    assert_eq!(stand_ins.violations(), [""; 0]);
    let message = &stand_ins.publications()[0].message;
    assert!(message.contains("spring 🌱.mp4"), "{message}");
}

fn check(expected: &Expected, answer: &Answer, sent: Sent) -> Result<(), String> {
    match (expected, answer) {
        (Expected::Run { action, messages }, Ok(result)) => check_run(action, *messages, result, sent),
        (Expected::Page { action, messages }, Ok(page)) => {
            require(page["statusCode"] == 200, "the status is not 200")?;
            require(page["headers"]["content-type"] == "application/json", "the body is not JSON")?;
            let body = page["body"].as_str().ok_or("there is no body")?;
            let result = serde_json::from_str(body).map_err(|error| format!("the body cannot be read: {error}"))?;
            check_run(action, *messages, &result, sent)
        }
        (Expected::Problem(status), Ok(page)) => check_error(*status, "application/problem+json", page, sent),
        (Expected::ErrorPage(status), Ok(page)) => check_error(*status, "text/html; charset=utf-8", page, sent),
        (Expected::Error(error_type, text), Err(error)) => {
            require(error.error_type == *error_type, &format!("the error is not {error_type}"))?;
            require(error.message.contains(text), &format!("the error does not contain {text}"))?;
            require(sent == NOTHING, "something was sent")
        }
        (_, Ok(_)) => Err("it is not an error".to_owned()),
        (_, Err(_)) => Err("it is an error".to_owned()),
    }
}

fn check_error(status: u16, content_type: &str, page: &Value, sent: Sent) -> Result<(), String> {
    require(page["statusCode"] == json!(status), &format!("the status is not {status}"))?;
    require(page["headers"]["content-type"] == content_type, &format!("the body is not {content_type}"))?;
    require(sent == NOTHING, "something was sent")
}

fn check_run(action: &str, messages: usize, result: &Value, sent: Sent) -> Result<(), String> {
    require(result["action"] == action, &format!("the action is not {action}"))?;
    require(result["status"] == "ok", "the status is not ok")?;
    let channels = result["channels"].as_array().ok_or("there are no channels")?;
    let expected: usize = if action == "report" { 0 } else { 2 };
    require(channels.len() == expected, &format!("there are not {expected} channels"))?;
    let outcome = match action {
        "check" => "reachable",
        _ if messages == 0 => "dry-run",
        _ => "delivered",
    };
    for channel in channels {
        require(channel["outcome"] == outcome, &format!("{} is not {outcome}", channel["name"]))?;
    }
    require(sent.slack == messages, &format!("Slack did not get {messages} messages"))?;
    require(sent.sns == messages, &format!("SNS did not get {messages} messages"))
}

fn require(holds: bool, fault: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_owned()) }
}

fn names_of_events() -> BTreeSet<String> {
    let files = std::fs::read_dir(events()).expect("the folder of the events");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.file_name().is_some_and(|name| name != "README.md"))
        .map(|path| {
            assert_eq!(path.extension().and_then(|extension| extension.to_str()), Some("json"), "{}", path.display());
            path.file_stem().expect("a name").to_string_lossy().into_owned()
        })
        .collect()
}
