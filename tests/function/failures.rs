//! Failures are reported, retried if that may help, and do not stop the rest of the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use media_expiry_alerts::demo::stand_ins::{Call, Reply, SnsStandIn};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;

use crate::support::{ACME_KEY, API_KEY, CAFE_KEY, InvocationDeadline, World, file, in_hours, scheduled, slack_text};

fn ayrshare_error(http_status: u16, code: i64, message: &str) -> Reply {
    Reply::json(http_status, &json!({"action": "test", "status": "error", "code": code, "message": message}))
}

/// A port of this machine that nothing listens on.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_failed_channel_fails_the_run_but_the_others_are_served() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.slack.reply_always(Reply::text(500, "rollup_error"));
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;

    assert_eq!(kind, "RunFailed");
    assert!(message.contains("social-team") && message.contains("500") && !message.contains("ops-email"), "{message}");
    assert_eq!((function.slack.attempts(), function.slack.messages().len()), (3, 0));
    assert!(function.publication().message.contains("today.png"));
    assert_eq!(function.heartbeat.beats(), ["/fail"]);
    let log = function.end().await;
    let metrics = &log.metrics()[0];
    let figures = ["RunsCompleted", "AlertsDelivered", "DeliveryFailures", "MediaExpiring"].map(|name| &metrics[name]);
    assert_eq!(figures, [0, 1, 1, 1]);
}

#[tokio::test]
async fn permanent_slack_errors_are_not_retried() {
    let check = async |(status, body): (u16, &str)| {
        let world = World::with_gallery(&[file("today.png", 5)]).await;
        world.slack.reply_always(Reply::text(status, body).with_header("location", "https://example.com/"));
        let function = world.start().await;
        let (kind, message) = function.error(&scheduled()).await;
        assert_eq!(kind, "RunFailed");
        assert!(message.contains(&status.to_string()) && message.contains(body), "{message}");
        assert_eq!(function.slack.attempts(), 1, "{status} {body}");
        function.end().await;
    };
    let cases = [
        (400, "invalid_payload"),
        (403, "action_prohibited"),
        (404, "no_service"),
        (410, "channel_is_archived"),
        // Only a 2xx status with the body `ok` means that the message was delivered.
        (200, "<html>maintenance</html>"),
        (302, "elsewhere"),
    ];
    join_all(cases.map(check)).await;
}

#[tokio::test]
async fn retry_after_of_a_channel_is_respected() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.slack.reply_first([Reply::text(429, "rate_limited").with_header("retry-after", "1")]);
    let function = world.start().await;
    let began = Instant::now();
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    assert!(Duration::from_secs(1) <= began.elapsed());
    assert_eq!((function.slack.attempts(), function.slack.messages().len()), (2, 1));
    function.end().await;
}

#[tokio::test]
async fn a_channel_fails_immediately_if_retry_after_exceeds_the_deadline() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.slack.reply_always(Reply::text(429, "rate_limited").with_header("retry-after", "600"));
    let function = world.start().await;
    let began = Instant::now();
    let (kind, message) = function.error(&scheduled()).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(kind == "RunFailed" && message.contains("429"), "{message}");
    assert_eq!(function.slack.attempts(), 1);
    function.end().await;
}

#[tokio::test]
async fn a_message_that_may_have_arrived_is_not_resent() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.slack.reply_always(Reply::text(200, "ok").after(Duration::from_secs(40)));
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert!(kind == "RunFailed" && message.contains("no answer within"), "{message}");
    assert_eq!(function.slack.attempts(), 1);
    assert_eq!(function.sns.publications().len(), 1);
    function.end().await;
}

/// Reads each request completely and then closes the connection without an answer. Returns the origin of the server and
/// the number of requests so far.
async fn closing_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut stream = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).await.expect("a line") != 0 && line != "\r\n" {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                line.clear();
            }
            stream.read_exact(&mut vec![0; length]).await.expect("the whole body");
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (origin, requests)
}

#[tokio::test]
async fn a_message_is_not_resent_if_the_connection_breaks_after_the_request() {
    let check = async |channel: usize| {
        let mut world = World::with_gallery(&[file("today.png", 5)]).await;
        world.add_webhook();
        world.add_email();
        world.add_teams();
        let (origin, requests) = closing_server().await;
        match channel {
            0 => {
                let url = world.slack.url().replace(&world.slack.origin(), &origin);
                world.config["channels"][0]["webhook_url"] = url.into();
            }
            1 => _ = world.variables.insert("AWS_ENDPOINT_URL_SNS".to_owned(), origin),
            3 => _ = world.variables.insert("AWS_ENDPOINT_URL_SESV2".to_owned(), origin),
            4 => {
                let url = world.teams.url().replace(&world.teams.origin(), &origin);
                world.config["channels"][4]["webhook_url"] = url.into();
            }
            _ => world.config["channels"][channel]["url"] = origin.into(),
        }
        let name = world.config["channels"][channel]["name"].as_str().expect("a name").to_owned();
        let function = world.start().await;
        let (kind, message) = function.error(&scheduled()).await;
        assert!(kind == "RunFailed" && message.contains(&name), "{message}");
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{name}");
        function.end().await;
    };
    join_all([0, 1, 2, 3, 4].map(check)).await;
}

#[tokio::test]
async fn the_error_of_an_unreachable_channel_hides_its_url() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    let gone = format!("http://127.0.0.1:{}", closed_port());
    let url = world.slack.url().replace(&world.slack.origin(), &gone);
    world.config["channels"][0]["webhook_url"] = url.into();
    world.config["heartbeat"]["url"] = world.heartbeat.url().replace(&world.heartbeat.origin(), &gone).into();
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert!(kind == "RunFailed" && message.contains("social-team (no connection"), "{message}");
    let log = function.end().await;
    assert!(log.stdout.contains("the heartbeat did not arrive"), "{}", log.stdout);
}

#[tokio::test]
async fn a_url_that_a_channel_echoes_is_redacted() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    let path = world.slack.url().replace(&world.slack.origin(), "");
    world.slack.reply_always(Reply::text(404, &format!("no_service at {path}, {}", world.slack.url())));
    let function = world.start().await;
    let (_, message) = function.error(&scheduled()).await;
    assert!(message.contains("no_service at /[redacted]"), "{message}");
    function.end().await;
}

#[tokio::test]
async fn credentials_and_encoded_keys_that_a_channel_echoes_are_redacted() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    let secrets =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| &world.variables[name]);
    let dashless = API_KEY.replace('-', "").to_lowercase();
    world.slack.reply_always(Reply::text(404, &format!("no_service {secrets:?} {dashless}")));
    let function = world.start().await;
    let (_, message) = function.error(&scheduled()).await;
    let expected = r#"no_service ["[redacted]", "[redacted]", "[redacted]"] [redacted]"#;
    assert!(message.contains(expected), "{message}");
    function.end().await;
}

#[tokio::test]
async fn only_transient_sns_errors_are_retried() {
    let check = async |(reply, attempts): (Reply, usize)| {
        let world = World::with_gallery(&[file("today.png", 5)]).await;
        world.sns.reply_always(reply.clone());
        let function = world.start().await;
        let (kind, message) = function.error(&scheduled()).await;
        assert_eq!(kind, "RunFailed");
        assert!(message.contains("ops-email (SNS"), "{message}");
        assert_eq!(function.sns.attempts(), attempts, "{reply:?}");
        assert_eq!(function.slack.messages().len(), 1);
        function.end().await;
    };
    let cases = [
        (SnsStandIn::error(500, "InternalFailure", "oops"), 3),
        (SnsStandIn::error(503, "ServiceUnavailable", "oops"), 3),
        (SnsStandIn::error(400, "Throttling", "Rate exceeded"), 3),
        (SnsStandIn::error(403, "AuthorizationError", "User is not authorized"), 1),
        (SnsStandIn::error(400, "KMSAccessDenied", "The key may not be used"), 1),
        (SnsStandIn::error(404, "NotFound", "Topic does not exist"), 1),
        (Reply::text(502, "<html>bad gateway</html>"), 3),
    ];
    join_all(cases.map(check)).await;
}

#[tokio::test]
async fn a_missing_topic_is_reported() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["channels"][1]["topic_arn"] = "arn:aws:sns:us-east-1:123456789012:gone".into();
    let function = world.start().await;
    let (_, message) = function.error(&scheduled()).await;
    assert!(message.contains("ops-email (SNS answered NotFound: Topic does not exist)"), "{message}");
    function.end().await;
}

#[tokio::test]
async fn the_error_of_an_unreachable_sns_is_readable() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.variables.insert("AWS_ENDPOINT_URL".into(), format!("http://127.0.0.1:{}", closed_port()));
    let function = world.start().await;
    let (_, message) = function.error(&scheduled()).await;
    assert!(message.contains("ops-email (SNS: ") && message.contains("Connection refused"), "{message}");
    assert!(!message.contains('{') && !message.contains("DispatchFailure"), "a dump of types: {message}");
    function.end().await;
}

#[tokio::test]
async fn a_retried_webhook_keeps_its_id() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.add_webhook();
    world.webhook.reply_first([Reply::text(503, "busy")]);
    let function = world.start().await;
    assert_eq!(function.answer(&scheduled()).await["channels"][2]["outcome"], "delivered");
    let deliveries = function.webhook.deliveries();
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[0], deliveries[1]);

    function.answer(&scheduled()).await;
    assert_ne!(function.webhook.deliveries()[2].id, deliveries[0].id, "each run has its own ids");
    function.end().await;
}

#[tokio::test]
async fn there_is_no_all_clear_if_no_profile_could_be_checked() {
    let mut world = World::new().await;
    world.config["alerts"] = json!({"when_empty": "report"});
    for key in [None, Some(ACME_KEY), Some(CAFE_KEY)] {
        world.ayrshare.media(key, ayrshare_error(401, 102, "API Key not valid."));
    }
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert_eq!(kind, "RunFailed");
    for part in ["no profile could be checked", "Head office (unauthorized)", "Acme Coffee", "Café 東京"] {
        assert!(message.contains(part), "{message}");
    }
    for text in [slack_text(&function.slack_message()), function.publication().message] {
        assert!(!text.contains("All clear") && text.contains("Checked 0 of 3"), "{text}");
    }
    assert_eq!(function.publication().attributes["severity"].1, "profile-failing");
    assert_eq!(function.heartbeat.beats(), ["/fail"]);
    let log = function.end().await;
    let metrics = &log.metrics()[0];
    let figures = ["RunsCompleted", "ProfilesChecked", "ProfilesFailed", "AlertsDelivered"].map(|name| &metrics[name]);
    assert_eq!(figures, [0, 0, 3, 2]);
}

/// Each profile gets a different failure of Ayrshare. Only one profile works.
#[tokio::test]
async fn ayrshare_failures_are_classified_and_retried_if_that_may_help() {
    let list = json!([file("a.png", 5), file("b.png", 5)]);
    let half = |text: &str| Reply::text(200, &text[..text.len() / 2]);
    // The answer of Ayrshare; the reported kind, HTTP status and code; the number of requests.
    let cases: Vec<(Reply, Value, usize)> = vec![
        (ayrshare_error(401, 102, "API Key not valid."), json!(["unauthorized", 401, 102]), 1),
        (Reply::text(401, "Unauthorized"), json!(["unauthorized", 401, null]), 1),
        (ayrshare_error(200, 102, "API Key not valid."), json!(["unauthorized", 200, 102]), 1),
        (ayrshare_error(403, 102, "API Key not valid."), json!(["unauthorized", 403, 102]), 1),
        (ayrshare_error(500, 102, "API Key not valid."), json!(["unauthorized", 500, 102]), 1),
        (ayrshare_error(403, 169, "Media needs a plan."), json!(["forbidden", 403, 169]), 1),
        (Reply::json(403, &json!({"message": "Forbidden"})), json!(["forbidden", 403, null]), 1),
        (ayrshare_error(404, 147, "Profile not found."), json!(["not-found", 404, 147]), 1),
        (ayrshare_error(429, 105, "Too many requests."), json!(["rate-limited", 429, 105]), 3),
        (ayrshare_error(500, 100, "Ours."), json!(["unavailable", 500, 100]), 3),
        (Reply::text(502, "<html><h1>502 Bad Gateway</h1></html>"), json!(["unavailable", 502, null]), 3),
        (Reply::text(504, ""), json!(["unavailable", 504, null]), 3),
        (ayrshare_error(200, 188, "An error with 200."), json!(["bad-response", 200, 188]), 1),
        (ayrshare_error(400, 101, "Wrong request."), json!(["bad-response", 400, 101]), 1),
        (Reply::json(200, &json!({"media": []})), json!(["bad-response", 200, null]), 1),
        (Reply::json(200, &json!("[]")), json!(["bad-response", 200, null]), 1),
        (Reply::json(200, &json!([1, 2])), json!(["bad-response", 200, null]), 1),
        (Reply::text(200, "<html>a login page</html>"), json!(["bad-response", 200, null]), 1),
        (Reply::text(200, ""), json!(["bad-response", 200, null]), 1),
        (Reply::text(204, ""), json!(["bad-response", 204, null]), 1),
        (Reply::text(302, "").with_header("location", "https://example.com/"), json!(["bad-response", 302, null]), 1),
        (half(&list.to_string()), json!(["bad-response", 200, null]), 1),
        (Reply::json(200, &list).cut_in_half(), json!(["bad-response", null, null]), 3),
        (Reply::repeated(200, &" ".repeat(1 << 20), 65), json!(["bad-response", null, null]), 1),
    ];
    let mut world = World::with_gallery(&[file("well.png", 5)]).await;
    world.config["ayrshare"]["concurrency"] = 32.into();
    let key = |index: usize| format!("{index:08}-{CAFE_KEY}");
    let mut profiles = vec![json!({"name": "Head office", "primary": true})];
    for (index, (reply, _, _)) in cases.iter().enumerate() {
        profiles.push(json!({"name": format!("profile {index}"), "key": key(index)}));
        world.ayrshare.media(Some(&key(index)), reply.clone());
    }
    world.config["profiles"] = profiles.into();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    assert_eq!((&result["status"], &result["profiles"]["checked"]), (&json!("partial"), &json!(1)));
    let failed = result["profiles"]["failed"].as_array().expect("failures");
    for (index, (reply, expected, requests)) in cases.iter().enumerate() {
        let name = format!("profile {index}");
        let found: Vec<_> = failed.iter().filter(|failed| failed["profile"] == name.as_str()).collect();
        let [failed] = &found[..] else { panic!("{name}: {found:?}") };
        let failure = json!([failed["kind"], failed["http_status"], failed["code"]]);
        assert_eq!((&failed["what"], &failure), (&json!("media"), expected), "{reply:?}: {failed}");
        assert!(!failed["message"].as_str().expect("a message").is_empty());
        assert_eq!(function.ayrshare.requests(Some(&key(index)), Call::Media), *requests, "{reply:?}");
    }
    assert!(slack_text(&function.slack_message()).contains("well.png"));
    function.end().await;
}

#[tokio::test]
async fn every_not_found_answer_means_an_empty_gallery() {
    let world = World::with_gallery(&[]).await;
    world.ayrshare.media(Some(ACME_KEY), ayrshare_error(400, 221, "Media not found."));
    let nested = json!({"media": {"action": "media", "status": "error", "code": 221, "message": "Media not found."}});
    world.ayrshare.media(Some(CAFE_KEY), Reply::json(400, &nested));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["profiles"]["checked"]), (&json!("ok"), &json!(3)));
    assert_eq!((&result["media"]["listed"], &result["profiles"]["failed"]), (&json!(0), &json!([])));
    function.end().await;
}

#[tokio::test]
async fn retry_after_of_ayrshare_is_respected_and_there_are_at_most_three_requests() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    let busy = || ayrshare_error(429, 105, "Too many requests.").with_header("Retry-After", "1");
    world.ayrshare.media_first(None, [busy(), busy()]);
    world.ayrshare.media(Some(ACME_KEY), busy());
    let function = world.start().await;
    let began = Instant::now();
    let result = function.answer(&scheduled()).await;
    assert!(Duration::from_secs(2) <= began.elapsed());
    assert_eq!(result["profiles"]["checked"], 2);
    assert_eq!(result["profiles"]["failed"][0]["kind"], "rate-limited");
    for key in [None, Some(ACME_KEY)] {
        assert_eq!(function.ayrshare.requests(key, Call::Media), 3);
    }
    assert!(slack_text(&function.slack_message()).contains("today.png"));
    function.end().await;
}

#[tokio::test]
async fn a_slow_ayrshare_request_is_retried() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ayrshare"]["timeout"] = "1s".into();
    let slow = || Reply::json(200, &json!([])).after(Duration::from_secs(30));
    world.ayrshare.media_first(None, [slow()]);
    world.ayrshare.media(Some(ACME_KEY), slow());
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["media"]["expiring"]), (&json!("partial"), &json!(1)));
    assert_eq!(function.ayrshare.requests(None, Call::Media), 2);
    assert_eq!(result["profiles"]["failed"][0]["kind"], "timeout");
    assert_eq!(function.ayrshare.requests(Some(ACME_KEY), Call::Media), 3);
    function.end().await;
}

#[tokio::test]
async fn a_key_that_ayrshare_echoes_is_redacted() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    let echo = format!("The key {API_KEY} may not use the profile {ACME_KEY}.");
    world.ayrshare.media(Some(ACME_KEY), ayrshare_error(403, 31, &echo));
    world.ayrshare.media(Some(CAFE_KEY), Reply::text(500, &format!("<p>authorization: Bearer {API_KEY}</p>")));
    world.add_webhook();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    let message = result["profiles"]["failed"][0]["message"].as_str().expect("a message");
    assert!(message.contains("The key [redacted] may not use the profile [redacted]."), "{message}");
    // `end` checks that no message and no log line contains a key.
    function.end().await;
}

#[tokio::test]
async fn an_unreachable_ayrshare_is_unavailable() {
    let mut world = World::new().await;
    world.config["ayrshare"]["base_url"] = format!("http://127.0.0.1:{}/api", closed_port()).into();
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert!(kind == "RunFailed" && message.contains("Head office (unavailable)"), "{message}");
    function.end().await;
}

#[tokio::test]
async fn a_hanging_profile_times_out_and_the_others_are_announced() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.ayrshare.media(Some(ACME_KEY), Reply::json(200, &json!([])).after(Duration::from_mins(1)));
    let function = world.start().await;
    let result =
        function.invoke_until(&scheduled(), InvocationDeadline::In(Duration::from_secs(4))).await.expect_answer();
    assert_eq!(result["status"], "partial");
    let failed = &result["profiles"]["failed"][0];
    assert_eq!((&failed["profile"], &failed["kind"]), (&json!("Acme Coffee"), &json!("out-of-time")));
    assert!(result["duration_ms"].as_u64().expect("a duration") < 4_000, "{result}");
    for text in [slack_text(&function.slack_message()), function.publication().message] {
        assert!(text.contains("today.png") && text.contains("Checked 2 of 3"), "{text}");
    }
    function.end().await;
}

#[tokio::test]
async fn posts_that_hang_leave_time_for_the_galleries() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.ayrshare.history(Some(ACME_KEY), Reply::json(200, &json!({"history": []})).after(Duration::from_mins(1)));
    let function = world.start().await;
    let result =
        function.invoke_until(&scheduled(), InvocationDeadline::In(Duration::from_secs(4))).await.expect_answer();
    assert_eq!((&result["status"], &result["profiles"]["checked"]), (&json!("partial"), &json!(3)));
    let failed: Vec<_> = result["profiles"]["failed"].as_array().expect("failures").iter().collect();
    let [failed] = failed[..] else { panic!("{result}") };
    assert_eq!(
        json!([failed["profile"], failed["what"], failed["kind"]]),
        json!(["Acme Coffee", "posts", "out-of-time"])
    );
    assert!(slack_text(&function.slack_message()).contains("today.png"));
    function.end().await;
}

#[tokio::test]
async fn profiles_that_were_not_started_in_time_are_reported() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    // Without posts, a profile needs one request, so that one is in flight at a time.
    world.config["ayrshare"] =
        json!({"concurrency": 1, "scheduled_posts": false, "api_key": API_KEY, "base_url": world.ayrshare.base_url()});
    world.ayrshare.media(Some(ACME_KEY), Reply::json(200, &json!([])).after(Duration::from_mins(1)));
    let function = world.start().await;
    let result =
        function.invoke_until(&scheduled(), InvocationDeadline::In(Duration::from_secs(4))).await.expect_answer();
    let failed: Vec<_> = result["profiles"]["failed"]
        .as_array()
        .expect("failures")
        .iter()
        .filter(|failed| failed["what"] == "media")
        .map(|failed| json!([failed["profile"], failed["kind"]]))
        .collect();
    assert_eq!(failed, [json!(["Acme Coffee", "out-of-time"]), json!(["Café 東京", "out-of-time"])]);
    assert_eq!(function.ayrshare.requests(Some(CAFE_KEY), Call::Media), 0);
    function.end().await;
}

#[tokio::test]
async fn a_deadline_in_the_past_is_ignored() {
    for constant in [0, 600_000, 1_500_000_000_000] {
        let world = World::with_gallery(&[file("today.png", 5)]).await;
        let function = world.start().await;
        let result = function.invoke_until(&scheduled(), InvocationDeadline::Constant(constant)).await.expect_answer();
        assert_eq!((&result["status"], &result["media"]["expiring"]), (&json!("ok"), &json!(1)));
        function.end().await;
    }
}

#[tokio::test]
async fn concurrent_runs_do_not_both_send() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.add_ledger();
    world.slack.reply_always(Reply::text(200, "ok").after(Duration::from_millis(1_500)));
    let ledger = world.config["ledger"].clone();
    let first = world.start().await;

    // The second function uses the services and the ledger of the first.
    let mut second = World::new().await;
    second.config = first.config.clone();
    second.config["ledger"] = ledger;
    let second = second.start().await;
    let (scheduled, report) = (scheduled(), crate::support::http::request("POST /alerts").body("{}").v2());
    let (one, (two, http)) = tokio::join!(first.answer(&scheduled), async {
        // The first run is in progress once it has called Slack.
        while first.slack.attempts() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (second.error(&scheduled).await, second.answer(&report).await)
    });
    assert_eq!(one["channels"][0]["outcome"], "delivered");
    assert_eq!(two.0, "RunBusy", "an error, so that Lambda retries");
    assert_eq!(http["statusCode"], 409);
    assert_eq!((first.slack.messages().len(), first.sns.publications().len()), (1, 1));
    second.end().await;
    first.end().await;
}

#[tokio::test]
async fn posts_at_risk_are_found_if_another_profile_fails() {
    let used = file("used.png", 48);
    let world = World::with_gallery(std::slice::from_ref(&used)).await;
    world.ayrshare.posts(None, &[scheduled_post_of(&used)]);
    world.ayrshare.media(Some(ACME_KEY), Reply::text(500, "oops"));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["status"], "partial");
    assert_eq!(result["posts_at_risk"][0]["id"], "post");
    assert_eq!(result["items"][0]["posts_at_risk"], json!(["post"]));
    function.end().await;
}

#[tokio::test]
async fn posts_are_announced_even_if_those_of_another_status_cannot_be_read() {
    let used = file("used.png", 48);
    let world = World::with_gallery(std::slice::from_ref(&used)).await;
    world.ayrshare.history_first(None, [Reply::text(403, "no")]);
    world.ayrshare.history(None, Reply::json(200, &json!({"history": [scheduled_post_of(&used)]})));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(
        json!([result["status"], result["posts"]["scheduled"], result["posts_at_risk"][0]["id"]]),
        json!(["partial", 1, "post"])
    );
    let failed = &result["profiles"]["failed"];
    assert_eq!(
        json!([failed[0]["what"], failed[0]["kind"], failed.as_array().map(Vec::len)]),
        json!(["posts", "forbidden", 1])
    );
    function.end().await;
}

#[tokio::test]
async fn a_rejected_key_is_reported_before_other_failures_of_the_posts() {
    let world = World::new().await;
    world.ayrshare.history_first(None, [Reply::text(200, "oops")]);
    world.ayrshare.history(None, Reply::text(403, "no"));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["profiles"]["failed"][0]["kind"], "forbidden", "{result}");
    function.end().await;
}

#[tokio::test]
async fn posts_that_were_listed_are_announced_even_if_there_are_more_than_can_be_read() {
    let used = file("used.png", 48);
    let world = World::with_gallery(std::slice::from_ref(&used)).await;
    let posts = (0..1_000).map(|index| json!({"id": index.to_string(), "post": "Hello", "status": "paused"}));
    let posts: Vec<_> = posts.chain([scheduled_post_of(&used)]).collect();
    world.ayrshare.history(None, Reply::json(200, &json!({"history": posts})));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(
        json!([result["status"], result["posts"]["scheduled"], result["posts_at_risk"][0]["id"]]),
        json!(["partial", 1, "post"])
    );
    let message = result["profiles"]["failed"][0]["message"].as_str().expect("a message");
    assert!(message.starts_with("there are more scheduled posts than"), "{message}");
    function.end().await;
}

fn scheduled_post_of(file: &Value) -> Value {
    media_expiry_alerts::demo::stand_ins::scheduled_post("post", "Hello", &["x"], &[file], in_hours(72))
}

#[tokio::test]
async fn a_profile_that_waits_for_its_retry_does_not_hold_up_the_others() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ayrshare"]["concurrency"] = 1.into();
    world.config["ayrshare"]["scheduled_posts"] = false.into();
    let limited = Reply::text(429, "slow down").with_header("retry-after", "1");
    let slow = || Reply::json(200, &json!([])).after(Duration::from_millis(600));
    world.ayrshare.media_first(None, [limited]);
    world.ayrshare.media(Some(ACME_KEY), slow());
    world.ayrshare.media(Some(CAFE_KEY), slow());
    let function = world.start().await;
    let began = Instant::now();
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "one after the other would take 2.2 s: {took:?}");
    function.end().await;
}
