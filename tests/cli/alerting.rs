//! The commands `alert`, `check` and `test`.

use serde_json::Value;

use crate::ends;
use crate::support::{World, file};

#[tokio::test]
async fn an_alert_is_sent_once_and_each_run_calls_the_heartbeat() {
    let mut world = World::with_gallery(&[file("today.png", 5), file("tomorrow.png", 20)]).await;
    world.add_ledger();
    let first = ends(&world, 0, &["alert"]).await.stdout;
    assert!(first.contains("  social-team  announced 2 files and posts in 1 message\n"), "{first}");
    assert!(first.contains("2 files expire within 1 day."), "{first}");
    let second = ends(&world, 0, &["alert"]).await.stdout;
    assert!(second.contains("  ops-email    nothing new\n"), "{second}");
    assert_eq!((world.slack.messages().len(), world.sns.publications().len()), (1, 1));
    assert_eq!(world.heartbeat.beats(), ["", ""]);
}

#[tokio::test]
async fn a_damaged_ledger_is_reported_on_standard_error() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.add_ledger();
    ends(&world, 0, &["alert"]).await;
    let path = world.path("ledger.json");
    let ledger = std::fs::read(&path).expect("a ledger");
    std::fs::write(&path, &ledger[..ledger.len() - 10]).expect("half a ledger");
    let stderr = ends(&world, 3, &["alert"]).await.stderr;
    assert!(stderr.contains("error: the ledger could not be read") && stderr.contains("corrupt-"), "{stderr}");

    std::fs::write(&path, "my notes").expect("a file");
    let stderr = ends(&world, 3, &["alert"]).await.stderr;
    assert!(stderr.contains("is not a ledger"), "{stderr}");
    assert_eq!(std::fs::read(&path).expect("the file"), b"my notes");
}

#[tokio::test]
async fn a_limited_alert_does_not_call_the_heartbeat() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    ends(&world, 0, &["alert", "--channel", "ops-email"]).await;
    ends(&world, 0, &["alert", "--profile", "Head office", "--within", "6h"]).await;
    assert_eq!((world.slack.messages().len(), world.sns.publications().len()), (1, 2));
    assert_eq!(world.heartbeat.beats(), [""; 0]);
}

#[tokio::test]
async fn a_dry_run_shows_what_would_be_sent() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.add_webhook();
    world.add_ledger();
    let shown = ends(&world, 0, &["alert", "--dry-run"]).await.stdout;
    for part in [
        "── social-team (slack) ──",
        "  ┃ 🖼️ today.png · expires in 5 hours",
        "  Subject: Ayrshare: 1 expires within 1 day\n",
        "  │   today.png\n",
        "  own-system   would be sent 1 message\n",
        "\"file_name\": \"today.png\"",
    ] {
        assert!(shown.contains(part), "`{part}` is not in {shown}");
    }
    let result: Value =
        serde_json::from_str(&ends(&world, 0, &["alert", "-n", "--format", "json"]).await.stdout).expect("JSON alone");
    assert_eq!(result["channels"][0]["outcome"], "dry-run");
    assert!(result["channels"][0]["payloads"][0]["blocks"].is_array());
    assert_eq!((world.sent_texts().len(), world.heartbeat.beats().len()), (0, 0));
    assert!(!world.path("ledger.json").exists(), "nothing is recorded");
}

#[tokio::test]
async fn a_check_sends_nothing_and_a_test_sends_a_sample() {
    let mut world = World::new().await;
    world.add_ledger();
    let checked = ends(&world, 0, &["check"]).await.stdout;
    let expected = "Profiles\n  ok      Head office\n  ok      Acme Coffee\n  ok      Café 東京\n\n\
                    Channels\n  ok      social-team (slack)\n  ok      ops-email (sns)\n\nLedger\n  ok      ledger\n";
    assert_eq!(checked, expected);
    assert_eq!(world.sent_texts(), [""; 0]);

    let shown = ends(&world, 0, &["test", "--dry-run"]).await.stdout;
    assert!(shown.contains("[TEST]"), "{shown}");
    assert_eq!(world.sent_texts(), [""; 0]);
    let sent = ends(&world, 0, &["test"]).await.stdout;
    assert_eq!(sent, "  social-team  delivered in 1 message\n  ops-email    delivered in 1 message\n");
    assert!(world.sent_texts().iter().all(|text| text.contains("[TEST]")) && world.sent_texts().len() == 2);
    assert_eq!(world.heartbeat.beats(), [""; 0]);
}

#[tokio::test]
async fn verbose_logs_to_standard_error() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    let ended = ends(&world, 0, &["alert", "--format", "json", "--verbose"]).await;
    assert!(ended.stderr.contains("info: checked 3 of 3 profiles action=Alert status=Ok"), "{}", ended.stderr);
    let result: Value = serde_json::from_str(&ended.stdout).expect("no log and no metrics on standard output");
    assert_eq!(result["status"], "ok");
}
