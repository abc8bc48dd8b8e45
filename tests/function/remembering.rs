//! What a ledger is for: each thing once, and never silence because of the ledger itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{ACME_KEY, Function, World, file, in_hours, scheduled, slack_text};

/// What each channel was told of in a run, and how that ended.
async fn announced(function: &Function) -> Vec<(String, u64)> {
    let result = function.answer(&scheduled()).await;
    let channels = result["channels"].as_array().expect("channels").iter();
    let outcome = |channel: &Value| channel["outcome"].as_str().expect("an outcome").to_owned();
    channels.map(|channel| (outcome(channel), channel["announced"].as_u64().expect("a number"))).collect()
}

/// The same of both channels.
fn both(outcome: &str, announced: u64) -> Vec<(String, u64)> {
    vec![(outcome.to_owned(), announced); 2]
}

#[tokio::test]
async fn a_file_that_enters_a_tighter_threshold_is_all_that_is_said() {
    // It enters while the test runs, because time passes, and not because anything of it changes.
    let enters_at = Timestamp::now() + SignedDuration::from_secs(20);
    let mut crossing = file("crossing.png", 24);
    crossing["expiresAt"] = (enters_at + SignedDuration::from_hours(24)).to_string().into();
    let mut world = World::with_gallery(&[crossing, file("later.png", 48), file("week.png", 24 * 6)]).await;
    world.add_ledger();
    let function = world.start().await;
    assert_eq!(announced(&function).await, both("delivered", 3));
    assert!(Timestamp::now() < enters_at, "the machine is too slow for this test");
    assert_eq!(announced(&function).await, both("nothing-due", 0));

    tokio::time::sleep(Duration::try_from(enters_at.duration_since(Timestamp::now())).unwrap_or_default()).await;
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
async fn each_channel_hears_of_a_file_once_whichever_of_them_was_down() {
    let mut files = vec![file("a.png", 5), file("b.png", 30)];
    let mut world = World::with_gallery(&files).await;
    world.add_ledger();
    world.slack.reply_first(vec![Reply::text(500, "rollup_error"); 3]);
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert!(kind == "RunFailed" && message.contains("social-team"), "{message}");

    // On the second day there is something new as well.
    files.push(file("new.png", 50));
    function.ayrshare.gallery(None, &files);
    let heard_of = |name: &str| {
        let slack = function.slack.messages().iter().filter(|message| slack_text(message).contains(name)).count();
        let mail = function.sns.publications().iter().filter(|mail| mail.message.contains(name)).count();
        (slack, mail)
    };
    assert_eq!(heard_of("a.png"), (0, 1));
    let delivered = |count| ("delivered".to_owned(), count);
    assert_eq!(announced(&function).await, [delivered(3), delivered(1)]);
    assert_eq!(announced(&function).await, both("nothing-due", 0));
    for name in ["a.png", "b.png", "new.png"] {
        assert_eq!(heard_of(name), (1, 1), "{name}");
    }
    function.end().await;
}

#[tokio::test]
async fn a_changed_expiry_is_news_and_another_spelling_of_it_is_not() {
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
async fn a_failing_profile_is_said_when_it_begins_and_when_it_has_recovered() {
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
async fn a_corrupt_ledger_is_kept_aside_and_said_and_begun_anew() {
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
    // And it is a ledger again.
    assert_eq!(announced(&function).await, both("nothing-due", 0));
    function.end().await;
}

/// What is announced although the ledger cannot be used, twice, as no ledger holds it back.
async fn fails_and_is_announced(function: Function, reason: &str) {
    for run in 1..=2 {
        let (kind, message) = function.error(&scheduled()).await;
        assert!(kind == "RunFailed" && message.contains(reason), "{message}");
        assert_eq!(function.slack.messages().len(), run);
        let text = slack_text(&function.slack.messages()[run - 1]);
        for part in ["today.png", "could not be looked up", reason] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(function.heartbeat.beats(), ["/fail", "/fail"]);
    function.end().await;
}

#[tokio::test]
async fn a_ledger_whose_folder_is_not_there_costs_the_run_and_never_the_digest() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ledger"] = json!({"type": "file", "path": world.path("not-there/ledger.json")});
    fails_and_is_announced(world.start().await, "cannot be opened").await;
}

#[tokio::test]
async fn a_table_that_the_role_does_not_allow_costs_the_run_and_never_the_digest() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ledger"] = json!({"type": "dynamodb", "table": "alerts-ledger"});
    let denied = json!({
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": "User: arn:aws:sts::123456789012:assumed-role/alerts/under-test is not authorized",
    });
    // Slack alone: the stand-in for SNS is not there.
    world.config["channels"].as_array_mut().expect("channels").truncate(1);
    world.variables.insert("AWS_ENDPOINT_URL".to_owned(), always_answering(400, denied).await);
    fails_and_is_announced(
        world.start().await,
        "the function's role does not allow dynamodb:PutItem on the ledger table alerts-ledger",
    )
    .await;
}

/// The URL of a service that has one answer to everything.
async fn always_answering(status: u16, body: Value) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body.to_string();
            tokio::spawn(async move {
                // The head and the body of such a request come in one piece or two; what of it is read does not matter.
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
