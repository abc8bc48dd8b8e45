//! With a ledger, each alert is sent once per threshold. A broken ledger never suppresses an alert.

use jiff::SignedDuration;
use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{ACME_KEY, Function, World, file, in_hours, scheduled, slack_text};

/// The outcome and the number of announced items of each channel in a run.
async fn announced(function: &Function) -> Vec<(String, u64)> {
    let result = function.answer(&scheduled()).await;
    let channels = result["channels"].as_array().expect("channels").iter();
    let outcome = |channel: &Value| channel["outcome"].as_str().expect("an outcome").to_owned();
    channels.map(|channel| (outcome(channel), channel["announced"].as_u64().expect("a number"))).collect()
}

/// The same outcome for both channels.
fn both(outcome: &str, announced: u64) -> Vec<(String, u64)> {
    vec![(outcome.to_owned(), announced); 2]
}

#[tokio::test]
async fn only_a_file_that_enters_a_tighter_threshold_is_announced_again() {
    let files = [file("crossing.png", 23), file("later.png", 48), file("week.png", 24 * 6)];
    let mut world = World::with_gallery(&files).await;
    world.add_ledger();
    let function = world.start().await;
    assert_eq!(announced(&function).await, both("delivered", 3));
    assert_eq!(announced(&function).await, both("nothing-due", 0));

    // Instead of waiting until a file enters its last day, the test changes the ledger to what it contained when the file
    // had more time left: then both files were announced at the same threshold. The file itself stays unchanged.
    let path = function.path("ledger.json");
    let mut ledger: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
    let channels = ledger["channels"].as_object_mut().expect("channels");
    assert_eq!(channels.len(), 2);
    for records in channels.values_mut().map(|records| records.as_object_mut().expect("records")) {
        let key_of = |file: &Value| {
            let id = file["id"].as_str().expect("an id");
            records.keys().find(|key| key.contains(id)).expect("a record").clone()
        };
        let (crossing, later) = (key_of(&files[0]), key_of(&files[1]));
        let earlier_level = records[&later]["level"].clone();
        assert_ne!(records[&crossing]["level"], earlier_level);
        records[&crossing]["level"] = earlier_level;
    }
    // The version must come first in a ledger.
    let ledger = format!(r#"{{"version":{},"channels":{}}}"#, ledger["version"], ledger["channels"]);
    std::fs::write(&path, ledger).expect("the ledger is written");

    assert_eq!(announced(&function).await, both("delivered", 1));
    let mail = function.sns.publications()[1].clone();
    let slack = slack_text(&function.slack.messages()[1]);
    for text in [&mail.message, &slack] {
        assert!(text.contains("crossing.png") && !text.contains("later.png") && !text.contains("week.png"), "{text}");
        assert!(text.contains("2 items were announced before and are still open."), "{text}");
    }
    assert_eq!(mail.attributes["severity"].1, "1d");
    assert_eq!(announced(&function).await, both("nothing-due", 0));
    function.end().await;
}

#[tokio::test]
async fn each_channel_gets_each_file_once_even_if_one_channel_failed() {
    let mut files = vec![file("a.png", 5), file("b.png", 30)];
    let mut world = World::with_gallery(&files).await;
    world.add_ledger();
    world.slack.reply_first(vec![Reply::text(500, "rollup_error"); 3]);
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert!(kind == "RunFailed" && message.contains("social-team"), "{message}");

    // The second run also has a new file.
    files.push(file("new.png", 50));
    function.ayrshare.gallery(None, &files);
    let messages_about = |name: &str| {
        let slack = function.slack.messages().iter().filter(|message| slack_text(message).contains(name)).count();
        let mail = function.sns.publications().iter().filter(|mail| mail.message.contains(name)).count();
        (slack, mail)
    };
    assert_eq!(messages_about("a.png"), (0, 1));
    let delivered = |count| ("delivered".to_owned(), count);
    assert_eq!(announced(&function).await, [delivered(3), delivered(1)]);
    assert_eq!(announced(&function).await, both("nothing-due", 0));
    for name in ["a.png", "b.png", "new.png"] {
        assert_eq!(messages_about(name), (1, 1), "{name}");
    }
    function.end().await;
}

#[tokio::test]
async fn a_changed_expiry_is_announced_again_but_another_notation_is_not() {
    let mut moved = file("moved.png", 24);
    let expires_at = in_hours(30);
    moved["expiresAt"] = expires_at.to_string().into();
    let mut world = World::with_gallery(std::slice::from_ref(&moved)).await;
    world.add_ledger();
    let function = world.start().await;
    assert_eq!(announced(&function).await, both("delivered", 1));

    moved["expiresAt"] = expires_at.to_string().replace('Z', "+00:00").into();
    function.ayrshare.gallery(None, std::slice::from_ref(&moved));
    assert_eq!(announced(&function).await, both("nothing-due", 0));

    moved["expiresAt"] = (expires_at + SignedDuration::from_hours(1)).to_string().into();
    function.ayrshare.gallery(None, &[moved]);
    assert_eq!(announced(&function).await, both("delivered", 1));
    function.end().await;
}

#[tokio::test]
async fn a_failing_profile_is_announced_when_it_fails_and_when_it_recovers() {
    let mut world = World::with_gallery(&[]).await;
    world.add_ledger();
    let function = world.start().await;
    assert_eq!(announced(&function).await, both("nothing-due", 0));

    function.ayrshare.media(Some(ACME_KEY), Reply::json(403, &json!({"status": "error", "code": 31})));
    assert_eq!(announced(&function).await, both("delivered", 0));
    assert_eq!(announced(&function).await, both("nothing-due", 0));
    function.ayrshare.gallery(Some(ACME_KEY), &[]);
    assert_eq!(announced(&function).await, both("delivered", 0));
    assert_eq!(announced(&function).await, both("nothing-due", 0));

    let mails: Vec<_> = function.sns.publications().into_iter().map(|mail| mail.message).collect();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].contains("COULD NOT BE CHECKED") && mails[0].contains("Acme Coffee"), "{}", mails[0]);
    assert!(mails[1].contains("Acme Coffee") && !mails[1].contains("COULD NOT BE CHECKED"), "{}", mails[1]);
    function.end().await;
}

#[tokio::test]
async fn a_corrupt_ledger_is_renamed_reported_and_replaced() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.add_ledger();
    let half = r#"{"version":1,"channels":{"ops-em"#;
    std::fs::write(world.path("ledger.json"), half).expect("a file");
    let function = world.start().await;
    assert_eq!(announced(&function).await, both("delivered", 1));

    let aside: Vec<_> = std::fs::read_dir(function.path(""))
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains("ledger.json.corrupt-"))
        .collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(std::fs::read_to_string(&aside[0]).expect("a file"), half);
    let name = aside[0].file_name().expect("a name").to_string_lossy().into_owned();
    for text in [slack_text(&function.slack_message()), function.publication().message.replace('\n', " ")] {
        assert!(text.contains("today.png") && text.contains("this may repeat it") && text.contains(&name), "{text}");
    }
    // The new ledger works.
    assert_eq!(announced(&function).await, both("nothing-due", 0));
    let metrics = function.end().await.metrics();
    assert_eq!(metrics.iter().map(|line| &line["LedgerFailures"]).collect::<Vec<_>>(), [1, 0]);
}

/// Runs twice with an unusable ledger. Both runs must announce the file and succeed, because Lambda retries failed runs, and
/// every retry would announce everything again.
async fn check_that_run_is_partial_and_announces(function: Function, reason: &str) {
    for run in 1..=2 {
        let result = function.answer(&scheduled()).await;
        assert_eq!(result["status"], "partial");
        assert!(result["ledger_error"].as_str().is_some_and(|error| error.contains(reason)), "{result}");
        assert_eq!(function.slack.messages().len(), run);
        let text = slack_text(&function.slack.messages()[run - 1]);
        for part in ["today.png", "could not be looked up", reason] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(function.heartbeat.beats(), ["", ""]);
    let metrics = function.end().await.metrics();
    assert_eq!(metrics.iter().map(|line| &line["LedgerFailures"]).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn with_a_missing_ledger_folder_alerts_are_sent_and_the_run_is_partial() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ledger"] = json!({"type": "file", "path": world.path("not-there/ledger.json")});
    check_that_run_is_partial_and_announces(world.start().await, "cannot be opened").await;
}

#[tokio::test]
async fn with_a_denied_ledger_table_alerts_are_sent_and_the_run_is_partial() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ledger"] = json!({"type": "dynamodb", "table": "alerts-ledger"});
    let denied = json!({
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": "User: arn:aws:sts::123456789012:assumed-role/alerts/under-test is not authorized",
    });
    // Only Slack, because this endpoint replaces the stand-in for SNS too.
    world.config["channels"].as_array_mut().expect("channels").truncate(1);
    world.variables.insert("AWS_ENDPOINT_URL".to_owned(), server_that_answers(400, denied).await);
    check_that_run_is_partial_and_announces(
        world.start().await,
        "the function's role does not allow dynamodb:PutItem on the ledger table",
    )
    .await;
}

/// `Function::end` checks that no secret was logged, answered or sent.
#[tokio::test]
async fn a_key_that_the_ledger_echoes_is_redacted() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ledger"] = json!({"type": "dynamodb", "table": "alerts-ledger"});
    let echo = json!({"__type": "com.amazon.coral.validate#ValidationException", "message": format!("bad {ACME_KEY}")});
    world.config["channels"].as_array_mut().expect("channels").truncate(1);
    world.variables.insert("AWS_ENDPOINT_URL".to_owned(), server_that_answers(400, echo).await);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert!(result["ledger_error"].as_str().is_some_and(|error| error.contains("bad [redacted]")), "{result}");
    function.end().await;
}

/// Starts a server that gives the same answer to every request, and returns its URL.
async fn server_that_answers(status: u16, body: Value) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body.to_string();
            tokio::spawn(async move {
                // The request may arrive in several parts. Its content does not matter, so one read is enough.
                let mut request = [0; 16_384];
                let _ = stream.read(&mut request).await;
                let answer = format!(
                    "HTTP/1.1 {status} Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len(),
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    url
}
