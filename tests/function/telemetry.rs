//! Log lines and metrics.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};

use crate::support::{ACME_KEY, CAFE_KEY, Log, World, file, scheduled};

/// An alert is sent, a profile fails, and a channel fails.
async fn eventful(level: &str) -> World {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.ayrshare.media(Some(ACME_KEY), Reply::text(403, "Forbidden"));
    world.ayrshare.media_first(Some(CAFE_KEY), [Reply::text(500, "oops"), Reply::json(200, &json!([])).cut_in_half()]);
    world.slack.reply_first([Reply::text(500, "rollup_error"), Reply::text(404, "no_service")]);
    world.add_webhook();
    world.variables.insert("AWS_LAMBDA_LOG_LEVEL".into(), level.into());
    world
}

async fn log_of_an_eventful_run(level: &str) -> Log {
    let function = eventful(level).await.start().await;
    assert_eq!(function.error(&scheduled()).await.0, "RunFailed");
    function.answer(&scheduled()).await;
    assert_eq!(function.error(&json!({"within": "banana"})).await.0, "InvalidEvent");
    function.end().await
}

#[tokio::test]
async fn an_alert_writes_one_line_of_metrics() {
    let world = World::with_gallery(&[file("today.png", 5), file("gone.png", -5), file("far.png", 24 * 20)]).await;
    world.ayrshare.media(Some(ACME_KEY), Reply::text(403, "Forbidden"));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    let log = function.end().await;
    let [line] = &log.metrics()[..] else { panic!("{}", log.stdout) };

    let figures = [
        ("ProfilesChecked", 2),
        ("ProfilesFailed", 1),
        ("ProfilesUnwatched", 0),
        ("MediaListed", 3),
        ("MediaExpiring", 1),
        ("MediaExpired", 1),
        ("PostsAtRisk", 0),
        ("AlertsDelivered", 2),
        ("DeliveryFailures", 0),
        ("LedgerFailures", 0),
        ("RunsCompleted", 1),
    ];
    for (name, value) in figures {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!((&line["run_id"], &line["RunDuration"]), (&result["run_id"], &result["duration_ms"]));
    assert_eq!(line["FunctionName"], "alerts-under-test");
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "MediaExpiryAlerts");
    assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
    assert!(line["_aws"]["Timestamp"].is_i64());
    let declared: BTreeSet<_> =
        directive["Metrics"].as_array().expect("metrics").iter().map(|m| m["Name"].as_str()).collect();
    let expected = figures.iter().map(|(name, _)| Some(*name)).chain([Some("RunDuration")]).collect();
    assert_eq!(declared, expected);
}

#[tokio::test]
async fn a_failed_run_writes_metrics_too() {
    let log = log_of_an_eventful_run("INFO").await;
    let completed: Vec<_> = log.metrics().iter().map(|line| line["RunsCompleted"].clone()).collect();
    assert_eq!(completed, [0, 1]);
    let lines = log.lines();
    let find = |text: &str| -> &Value {
        let found = lines.iter().find(|line| line["message"].as_str().is_some_and(|message| message.contains(text)));
        found.unwrap_or_else(|| panic!("no line with `{text}` in {}", log.stdout))
    };
    assert_eq!(find("media could not be checked")["profile"], "Acme Coffee");
    assert_eq!(find("the channel failed")["channel"], "social-team");
    assert_eq!(find("checked 2 of 3 profiles")["level"], "INFO");
    let started = lines.iter().filter(|line| line["message"] == "the function has started");
    assert_eq!(started.map(|line| &line["version"]).collect::<Vec<_>>(), [env!("CARGO_PKG_VERSION")]);
    assert!(find("the event is invalid")["message"].as_str().is_some_and(|message| message.contains("banana")));
    let request_id = &find("checked 2 of 3 profiles")["request_id"];
    assert!(request_id.as_str().is_some_and(|id| id.starts_with("8476a536")), "{request_id}");
}

#[tokio::test]
async fn no_secret_is_logged_at_the_lowest_level() {
    // `end` checks that no secret was logged. This level logs the most.
    let log = log_of_an_eventful_run("TRACE").await;
    assert!(3 < log.lines().len());
}

#[tokio::test]
async fn metrics_are_written_at_every_level() {
    let check = async |level: &str| {
        let log = log_of_an_eventful_run(level).await;
        assert_eq!(log.metrics().len(), 2, "{level}");
        let has_info = log.lines().iter().any(|line| line["level"] == "INFO");
        assert_eq!(has_info, level == "nonsense", "{level}");
    };
    join_all(["ERROR", "FATAL", "warn", "nonsense"].map(check)).await;
}

#[tokio::test]
async fn log_lines_can_be_plain_text() {
    let mut world = eventful("INFO").await;
    world.variables.insert("AWS_LAMBDA_LOG_FORMAT".into(), "Text".into());
    let function = world.start().await;
    let error = function.error(&scheduled()).await;
    assert_eq!(error.0, "RunFailed");
    let log = function.end().await;
    let metrics = log.metrics();
    assert_eq!(metrics.len(), 1);
    let run_id = metrics[0]["run_id"].as_str().expect("an id");
    assert!(log.stdout.lines().all(|line| line.contains(run_id)), "{}", log.stdout);
    assert!(log.stdout.contains("ERROR"), "{}", log.stdout);
    assert!(!log.stdout.contains('\u{1b}'), "a log has no colours: {}", log.stdout);
}

#[tokio::test]
async fn unusable_proxy_and_certificate_variables_are_logged_at_the_start_without_their_values() {
    for proxy in ["http://user:PRIVATE@proxy host:99999", "socks5://user:PRIVATE@127.0.0.1:1080"] {
        are_logged_without_their_values(proxy).await;
    }
}

async fn are_logged_without_their_values(proxy: &str) {
    let mut world = World::new().await;
    let path = world.path("PRIVATE.pem");
    std::fs::write(&path, "\u{FEFF}-----BEGIN CERTIFICATE-----\n").expect("a file");
    world.variables.insert("SSL_CERT_FILE".to_owned(), path.display().to_string());
    world.variables.insert("HTTPS_PROXY".to_owned(), proxy.to_owned());
    let function = world.start().await;
    function.answer(&json!({"action": "report"})).await;
    let log = function.end().await;
    for name in ["SSL_CERT_FILE", "HTTPS_PROXY"] {
        let warns =
            log.lines().iter().any(|line| line["level"] == "WARN" && line.to_string().contains(&format!("{name} is")));
        assert!(warns, "{name}: {}", log.stdout);
    }
    assert!(!log.stdout.contains("PRIVATE"), "{}", log.stdout);
}
