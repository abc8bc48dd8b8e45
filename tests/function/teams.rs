//! The channel Microsoft Teams.

use std::time::{Duration, Instant};

use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};

use crate::support::{Function, World, file, scheduled};

/// A world whose only channel is Teams.
async fn world(files: &[Value]) -> World {
    let mut world = World::with_gallery(files).await;
    world.config["channels"] = json!([]);
    world.add_teams();
    world
}

fn message(function: &Function) -> Value {
    let messages = function.teams.messages();
    let [message] = &messages[..] else { panic!("{} messages arrived", messages.len()) };
    message.clone()
}

#[tokio::test]
async fn a_digest_is_one_card_and_is_recorded() {
    let mut world = world(&[file("today.png", 5), file("week.png", 24 * 5)]).await;
    world.add_ledger();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["channels"][0]["outcome"]), (&json!("ok"), &json!("delivered")));
    let card = message(&function).to_string();
    assert!(card.contains("today.png") && card.contains("week.png") && card.contains("Head office"), "{card}");

    let result = function.answer(&scheduled()).await;
    assert_eq!(result["channels"][0]["outcome"], "nothing-due");
    assert_eq!(function.teams.attempts(), 1, "what was confirmed is not sent again");
    function.end().await;
}

#[tokio::test]
async fn a_card_has_the_time_zone_and_the_note_of_its_channel() {
    let mut world = world(&[file("today.png", 5)]).await;
    world.config["channels"][0]["timezone"] = json!("Asia/Tokyo");
    world.config["channels"][0]["note"] = json!("Runbook: {{wiki}} *media*");
    let function = world.start().await;
    function.answer(&scheduled()).await;
    let card = message(&function).to_string();
    assert!(card.contains(" JST") && card.contains("*media*") && !card.contains("{{wiki"), "{card}");
    function.end().await;
}

#[tokio::test]
async fn a_large_digest_is_one_card_that_counts_the_rest() {
    let files: Vec<_> = (0..1_500_i64)
        .map(|index| file(&format!("{index} {{{{DATE(x)}}}} **{}.png", "é".repeat(80)), 1 + index % 160))
        .collect();
    let function = world(&files).await.start().await;
    assert_eq!(function.answer(&scheduled()).await["channels"][0]["announced"], 1_500);
    let card = message(&function).to_string();
    assert!(card.len() < 20_000 && card.contains("more that there is no room for here"));
    function.end().await;
}

#[tokio::test]
async fn a_test_card_is_marked_and_a_check_posts_nothing() {
    let function = world(&[file("today.png", 5)]).await.start().await;
    let result = function.answer(&json!({"action": "check"})).await;
    assert_eq!(result["channels"][0]["outcome"], "reachable");
    assert_eq!(function.teams.attempts(), 0);
    assert_eq!(function.answer(&json!({"action": "test"})).await["status"], "ok");
    let message = message(&function);
    assert!(message["summary"].as_str().is_some_and(|summary| summary.starts_with("[TEST]")), "{message}");
    function.end().await;
}

#[tokio::test]
async fn a_dry_run_returns_the_card() {
    let function = world(&[file("today.png", 5)]).await.start().await;
    let result = function.answer(&json!({"dry_run": true})).await;
    assert_eq!(result["channels"][0]["payloads"][0]["attachments"][0]["content"]["type"], "AdaptiveCard");
    assert_eq!(function.teams.attempts(), 0);
    function.end().await;
}

#[tokio::test]
async fn a_busy_workflow_is_asked_again_after_the_time_that_it_names() {
    let world = world(&[file("today.png", 5)]).await;
    world.teams.reply_first([Reply::text(429, "").with_header("retry-after", "1")]);
    let function = world.start().await;
    let began = Instant::now();
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    assert!(Duration::from_secs(1) <= began.elapsed());
    assert_eq!((function.teams.attempts(), function.teams.messages().len()), (2, 1));
    function.end().await;
}

#[tokio::test]
async fn permanent_errors_say_what_helps_and_are_not_retried() {
    for (status, code, advice) in [
        (401, "DirectApiAuthorizationRequired", "set \"Who can trigger the flow\" to \"Anyone\""),
        (400, "MissingApiVersionParameter", "copy the URL of its trigger again"),
        (404, "WorkflowNotFound", "turn the workflow on"),
    ] {
        let world = world(&[file("today.png", 5)]).await;
        let (url, signature) = (world.teams.url(), world.teams.signature());
        // The whole URL and each part of it are secret, also where the workflow repeats them.
        let said = json!({"error": {"code": code, "message": format!("{signature} is not valid for {url}")}});
        world.teams.reply_always(Reply::json(status, &said));
        let function = world.start().await;
        let (kind, message) = function.error(&scheduled()).await;
        assert_eq!(kind, "RunFailed");
        assert!(message.contains(advice) && message.contains(code) && message.contains("[redacted]"), "{message}");
        assert_eq!(function.teams.attempts(), 1, "{code}");
        function.end().await;
    }
}

#[tokio::test]
async fn urls_that_cannot_work_are_invalid_with_the_reason() {
    for (url, reason) in [
        ("https://contoso.webhook.office.com/webhookb2/x", "is an Office 365 connector, which Microsoft has retired"),
        ("https://x.environment.api.powerplatform.com/powerautomate/y?api-version=1", "has no signature (`sig=`)"),
        ("http://example.com/y?sig=abc", "https"),
    ] {
        let mut world = world(&[]).await;
        world.config["channels"][0]["webhook_url"] = json!(url);
        let function = world.start().await;
        let (kind, message) = function.error(&scheduled()).await;
        assert_eq!(kind, "InvalidConfiguration");
        assert!(message.contains("channels[0].webhook_url: ") && message.contains(reason), "{message}");
        function.end().await;
    }
}
