//! Every action, and every event that the function accepts.

use media_expiry_alerts::demo::stand_ins::{Call, Reply, SnsStandIn};
use serde_json::{Value, json};

use crate::support::{ACME_KEY, World, binary, file, scheduled, slack_text};

/// Two profiles with expiring files, and three channels.
async fn world() -> World {
    let mut world =
        World::with_gallery(&[file("today.png", 5), file("week.png", 24 * 5), file("far.png", 24 * 20)]).await;
    world.ayrshare.gallery(Some(ACME_KEY), &[file("acme.png", 48)]);
    world.add_webhook();
    world
}

fn sent(world: &World) -> [usize; 3] {
    [world.slack.attempts(), world.sns.attempts(), world.webhook.deliveries().len()]
}

fn outcomes(result: &Value) -> Vec<(&str, &str)> {
    let channels = result["channels"].as_array().expect("channels").iter();
    channels
        .map(|channel| (channel["name"].as_str().expect("a name"), channel["outcome"].as_str().expect("one")))
        .collect()
}

fn names(result: &Value) -> Vec<&str> {
    result["items"].as_array().expect("items").iter().map(|item| item["file_name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn the_empty_command_is_an_alert() {
    let function = world().await.start().await;
    let result = function.answer(&json!({})).await;
    assert_eq!((&result["action"], &result["dry_run"]), (&json!("alert"), &json!(false)));
    assert_eq!(names(&result), ["today.png", "acme.png", "week.png"]);
    assert_eq!(sent(&function), [1, 1, 1]);
    assert_eq!(function.heartbeat.beats(), [""]);
    function.end().await;
}

#[tokio::test]
async fn a_report_sends_nothing() {
    let function = world().await.start().await;
    let result = function.answer(&json!({"action": "report"})).await;
    assert_eq!(
        (&result["action"], &result["status"], &result["channels"]),
        (&json!("report"), &json!("ok"), &json!([]))
    );
    assert_eq!(names(&result), ["today.png", "acme.png", "week.png"]);
    assert_eq!(sent(&function), [0, 0, 0]);
    let none: [&str; 0] = [];
    assert_eq!(function.heartbeat.beats(), none);
    assert!(function.end().await.metrics().is_empty());
}

#[tokio::test]
async fn a_check_tests_everything_and_sends_nothing() {
    let function = world().await.start().await;
    let result = function.answer(&json!({"action": "check"})).await;
    assert_eq!((&result["status"], &result["profiles"]["checked"]), (&json!("ok"), &json!(3)));
    assert_eq!(result["version"], env!("CARGO_PKG_VERSION"));
    let expected = [("social-team", "reachable"), ("ops-email", "reachable"), ("own-system", "reachable")];
    assert_eq!(outcomes(&result), expected);
    assert_eq!(sent(&function), [0, 0, 0]);
    assert_eq!(function.ayrshare.requests(Some(ACME_KEY), Call::Media), 1);
    assert!(function.end().await.metrics().is_empty());
}

#[tokio::test]
async fn the_program_prints_its_version_without_a_runtime() {
    let output = std::process::Command::new(binary::function()).arg("--version").env_clear().output().expect("output");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(output.stdout, concat!("media-expiry-alerts ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}

#[tokio::test]
async fn a_check_reports_each_problem() {
    let mut world = world().await;
    let gone = world.slack.url().replace("/services/T00STANDIN/", "/services/T00GONE/");
    world.config["channels"][0]["webhook_url"] = gone.into();
    world.sns.reply_always(SnsStandIn::error(
        403,
        "AuthorizationError",
        "not authorized to perform SNS:GetTopicAttributes",
    ));
    world.webhook.reply_always(Reply::text(503, ""));
    world.ayrshare.media(Some(ACME_KEY), Reply::text(403, "Forbidden"));
    let function = world.start().await;
    let (kind, message) = function.error(&json!({"action": "check"})).await;
    assert_eq!(kind, "RunFailed");
    for part in [
        "Acme Coffee (forbidden)",
        "social-team (Slack answered 404",
        "ops-email (SNS answered AuthorizationError: not authorized to perform SNS:GetTopicAttributes)",
        "own-system (the webhook answered 503",
    ] {
        assert!(message.contains(part), "`{part}` is not in {message}");
    }
    // The stand-in reports the unknown path as a violation.
    let unknown = function.slack.take_violations();
    assert!(unknown.iter().all(|violation| violation.contains("there is no such call")), "{unknown:?}");
    function.end().await;
}

#[tokio::test]
async fn a_test_sends_one_marked_sample_to_each_channel() {
    let function = world().await.start().await;
    let result = function.answer(&json!({"action": "test"})).await;
    assert_eq!(result["status"], "ok");
    assert_eq!(
        outcomes(&result),
        [("social-team", "delivered"), ("ops-email", "delivered"), ("own-system", "delivered")]
    );
    assert_eq!(sent(&function), [1, 1, 1]);
    let mail = function.publication();
    assert!(mail.subject.expect("a subject").starts_with("[TEST]") && mail.message.starts_with("[TEST]"));
    let slack = function.slack_message();
    assert!(slack["text"].as_str().expect("a text").starts_with("[TEST]") && slack_text(&slack).starts_with("[TEST]"));
    assert_eq!(function.webhook.deliveries()[0].body["action"], "test");
    assert_eq!(function.ayrshare.requests(None, Call::Media), 0, "a sample needs no gallery");
    assert!(function.end().await.metrics().is_empty());
}

#[tokio::test]
async fn a_dry_run_returns_what_would_be_sent() {
    let function = world().await.start().await;
    let dry = function.answer(&json!({"dry_run": true})).await;
    assert_eq!(outcomes(&dry), [("social-team", "dry-run"), ("ops-email", "dry-run"), ("own-system", "dry-run")]);
    assert_eq!((sent(&function), &dry["dry_run"]), ([0, 0, 0], &json!(true)));
    let none: [&str; 0] = [];
    assert_eq!(function.heartbeat.beats(), none);

    function.answer(&scheduled()).await;
    let payload = |channel: usize| dry["channels"][channel]["payloads"][0].clone();
    // Digits are replaced, because a minute may pass between the two runs.
    let shape = |value: &Value| -> String {
        let text = value.to_string();
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
    };
    assert_eq!(shape(&payload(0)), shape(&function.slack_message()));
    let mail = function.publication();
    let attributes: serde_json::Map<String, Value> = mail
        .attributes
        .iter()
        .map(|(name, (kind, value))| (name.clone(), json!({"DataType": kind, "StringValue": value})))
        .collect();
    let sent = json!({"subject": mail.subject, "message": mail.message, "attributes": attributes});
    assert_eq!(shape(&payload(1)), shape(&sent));
    assert_eq!(payload(2)["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(function.end().await.metrics().len(), 1, "of the two runs only one has metrics");
}

#[tokio::test]
async fn a_test_can_be_a_dry_run() {
    let function = world().await.start().await;
    let result = function.answer(&json!({"action": "test", "dry_run": true})).await;
    assert_eq!(outcomes(&result)[0], ("social-team", "dry-run"));
    assert_eq!(sent(&function), [0, 0, 0]);
    function.end().await;
}

#[tokio::test]
async fn within_replaces_all_thresholds_and_records_nothing() {
    let mut world = world().await;
    world.add_ledger();
    world.config["channels"][0]["thresholds"] = json!(["1d"]);
    let function = world.start().await;
    for _ in 0..2 {
        let result = function.answer(&json!({"within": "600h"})).await;
        assert_eq!(names(&result), ["today.png", "acme.png", "week.png", "far.png"]);
        assert_eq!(result["items"][0]["threshold"], "600h");
        assert_eq!(result["channels"][0]["announced"], 4);
    }
    assert_eq!(sent(&function), [2, 2, 2]);
    // Nothing was recorded in the ledger.
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["channels"][0]["announced"], &result["channels"][1]["announced"]), (&json!(1), &json!(3)));
    function.end().await;
}

#[tokio::test]
async fn a_run_can_be_limited_to_profiles_and_channels() {
    let function = world().await.start().await;
    let result = function.answer(&json!({"profiles": ["Acme Coffee"], "channels": ["ops-email", "own-system"]})).await;
    assert_eq!((names(&result), &result["profiles"]["configured"]), (vec!["acme.png"], &json!(1)));
    assert_eq!(outcomes(&result), [("ops-email", "delivered"), ("own-system", "delivered")]);
    assert_eq!(sent(&function), [0, 1, 1]);
    assert_eq!(function.ayrshare.requests(None, Call::Media), 0);
    let none: [&str; 0] = [];
    assert_eq!(function.heartbeat.beats(), none);
    assert!(function.end().await.metrics().is_empty());
}

#[tokio::test]
async fn an_invalid_event_gets_an_error_that_names_valid_ones() {
    let function = world().await.start().await;
    for (event, expected) in [
        (json!({"action": "delete"}), "action: expected \"alert\""),
        (json!({"actoin": "alert"}), "`actoin` is not a key of a command"),
        (json!({"within": "banana"}), "within: `banana` is not a duration"),
        (
            json!({"profiles": ["Nobody"]}),
            "profiles: there is no profile `Nobody`; the configuration has `Head office`",
        ),
        (json!({"channels": ["pager"]}), "channels: there is no channel `pager`"),
        (json!({"Records": [{"eventSource": "aws:sqs"}]}), "accepted are: a `Scheduled Event`"),
        (json!({"detail-type": "Object Created", "source": "aws.s3"}), "`Scheduled Event`"),
        (json!("alert"), "accepted are"),
        (json!(null), "accepted are"),
        (json!([]), "accepted are"),
    ] {
        let (kind, message) = function.error(&event).await;
        assert_eq!(kind, "InvalidEvent", "{event}");
        assert!(message.contains(expected), "{event}: {message}");
    }
    assert_eq!(sent(&function), [0, 0, 0]);
    assert!(function.end().await.metrics().is_empty());
}

/// The files for `cargo lambda invoke`. The function must reject those named `refused-`.
#[tokio::test]
async fn every_example_event_is_handled() {
    let function = world().await.start().await;
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let files = std::fs::read_dir(directory).expect("the events").map(|file| file.expect("an event").path());
    let mut count = 0;
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let event = serde_json::from_slice(&std::fs::read(&path).expect("an event")).expect(name);
        let is_refused = name.starts_with("refused-");
        match function.invoke(&event).await {
            crate::support::Outcome::Answer(answer) => match answer["statusCode"].as_u64() {
                Some(status) => assert_eq!((400..500).contains(&status), is_refused, "{name}: {answer}"),
                None => assert!(!is_refused && answer["status"] == "ok", "{name}: {answer}"),
            },
            crate::support::Outcome::Error { kind, message } => {
                assert!(is_refused && kind == "InvalidEvent", "{name}: {kind}: {message}");
            }
        }
        count += 1;
    }
    assert!(0 < count);
    function.end().await;
}
