//! The exit codes. The help and `docs/cli.md` list them too.

use std::fs::File;

use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::json;

use crate::support::{ACME_KEY, CAFE_KEY, World, file};
use crate::{ends, run};

fn denied() -> Reply {
    Reply::json(403, &json!({"status": "error", "code": 31, "message": "The profile key is not valid."}))
}

#[tokio::test]
async fn success_is_0_and_listed_items_are_4_with_the_option() {
    let world = World::new().await;
    let nothing = ends(&world, 0, &["report", "--exit-code"]).await;
    assert!(nothing.stdout.contains("All clear: no file expires within 7 days."), "{}", nothing.stdout);
    assert_eq!(nothing.stderr, "");

    world.ayrshare.gallery(None, &[file("today.png", 5)]);
    for (code, arguments) in
        [(0, &["report"][..]), (4, &["report", "--exit-code"]), (0, &["report", "--exit-code", "--within", "1h"])]
    {
        ends(&world, code, arguments).await;
    }
    for arguments in [&["check"][..], &["test"], &["alert", "--dry-run"], &["alert"]] {
        ends(&world, 0, arguments).await;
    }
}

#[tokio::test]
async fn unchecked_profiles_are_3_or_1_and_are_reported() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.ayrshare.media(Some(ACME_KEY), denied());
    let sentence = "1 of 3 profiles could not be checked: more may expire than is shown here.";
    let warning = "warning: Acme Coffee could not be checked: Ayrshare denies access to this profile (HTTP 403)\n";
    for arguments in [&["report"][..], &["report", "--exit-code"], &["alert"]] {
        let ended = ends(&world, 3, arguments).await;
        assert!(
            ended.stdout.contains(sentence)
                && ended.stdout.contains("Acme Coffee\n    Ayrshare denies access to this profile: ")
        );
        assert_eq!(ended.stderr, warning, "cron mails what comes here");
    }
    for arguments in
        [&["report", "--format", "csv"][..], &["report", "--output", "report.ics"], &["check", "--format", "json"]]
    {
        assert_eq!(ends(&world, 3, arguments).await.stderr, warning, "{arguments:?}");
    }
    let checked = ends(&world, 3, &["check"]).await.stdout;
    assert!(checked.contains("  ok      Head office\n  failed  Acme Coffee\n"), "{checked}");

    world.ayrshare.history(Some(CAFE_KEY), denied());
    let ended = ends(&world, 3, &["report", "--profile", "Café 東京"]).await;
    assert!(ended.stdout.contains("The scheduled posts of 1 profile could not be checked"), "{}", ended.stdout);

    for key in [None, Some(CAFE_KEY)] {
        world.ayrshare.media(key, denied());
    }
    for arguments in [&["report"][..], &["alert"], &["check"]] {
        let ended = ends(&world, 1, arguments).await;
        assert!(!ended.stdout.contains("All clear"), "{}", ended.stdout);
    }
    let ended = ends(&world, 1, &["report", "--format", "json"]).await;
    assert!(ended.stderr.starts_with("error: the run failed: no profile could be checked"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_failed_channel_is_1() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world.slack.reply_always(Reply::text(404, "no_service"));
    for arguments in [&["alert"][..], &["test"]] {
        let ended = ends(&world, 1, arguments).await;
        assert!(ended.stdout.contains("failed") && ended.stdout.contains("no_service"), "{}", ended.stdout);
    }
    assert_eq!(world.heartbeat.beats(), ["/fail"], "only the alert calls the heartbeat");
    ends(&world, 0, &["alert", "--channel", "ops-email"]).await;
}

#[tokio::test]
async fn a_concurrent_run_is_3() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.add_ledger();
    let other = File::create(world.path("ledger.json.lock")).expect("a file");
    other.lock().expect("nobody else has it");
    let ended = ends(&world, 3, &["alert"]).await;
    assert!(ended.stdout.contains("Another run is in progress, so this one did nothing."), "{}", ended.stdout);
    assert!(ends(&world, 3, &["alert", "--format", "json"]).await.stderr.contains("another run is in progress"));
    assert_eq!((world.sent_texts().len(), world.heartbeat.beats().len()), (0, 0));

    drop(other);
    ends(&world, 0, &["alert"]).await;
}

#[tokio::test]
async fn an_unwritable_file_is_1() {
    let world = World::new().await;
    let ended = ends(&world, 1, &["report", "--output", "no/such/directory.csv"]).await;
    assert!(ended.stderr.starts_with("error: cannot write no/such/directory.csv: "), "{}", ended.stderr);
    let left: Vec<_> = std::fs::read_dir(world.path("")).expect("a directory").collect();
    assert_eq!(left.len(), 1, "nothing but the configuration: {left:?}");
}

#[tokio::test]
async fn help_and_the_version_are_0() {
    let world = World::new().await;
    for arguments in [&["--help"][..], &["-h"], &["--version"], &["help", "alert"], &["report", "--help"]] {
        let ended = run(&world, arguments).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(!ended.stdout.contains('\u{1b}'), "no codes of a terminal");
    }
}
