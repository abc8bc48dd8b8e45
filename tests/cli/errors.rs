//! Invalid configurations and command lines: all errors are printed to standard error, and nothing is done.

use std::fs;

use serde_json::json;

use crate::support::{API_KEY, World, file};
use crate::{ends, run};

#[tokio::test]
async fn all_configuration_errors_are_printed_without_secrets() {
    let mut world = World::new().await;
    world.config["profiles"][1] = json!({"name": "Acme Coffee"});
    world.config["channels"][0]["webhook_url"] = json!("http://example.com/services/T0/B0/not-for-anybody-to-see");
    world.config["ayrshare"]["api_kye"] = json!(API_KEY);
    for arguments in [&["report"][..], &["alert"], &["check", "--format", "json"], &["test"]] {
        let ended = ends(&world, 2, arguments).await;
        assert_eq!(ended.stdout, "");
        let mut lines: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(lines.remove(0), "error: the configuration is invalid:");
        for path in ["profiles[1].key: ", "channels[0].webhook_url: ", "ayrshare.api_kye: "] {
            assert!(lines.iter().any(|line| line.trim_start().starts_with(path)), "{path}: {lines:#?}");
        }
        assert!(!ended.stderr.contains("not-for-anybody"), "{}", ended.stderr);
    }
    assert_eq!((world.sent_texts().len(), world.heartbeat.beats().len()), (0, 0));
}

#[tokio::test]
async fn the_config_option_overrides_the_environment() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.write_config();
    fs::copy(world.path("config.json"), world.path("other.json")).expect("a copy");
    world.variables.insert("MEDIA_ALERTS_CONFIG".into(), "no/such/document.toml".into());
    assert!(ends(&world, 2, &["report"]).await.stderr.contains("no/such/document.toml"));
    ends(&world, 0, &["report", "--config", "other.json"]).await;

    world.variables.remove("MEDIA_ALERTS_CONFIG");
    let ended = ends(&world, 2, &["report"]).await;
    assert!(ended.stderr.contains("  AYRSHARE_API_KEY: is missing\n"), "{}", ended.stderr);
    let origin = world.ayrshare.base_url();
    for (name, value) in
        [("AYRSHARE_API_KEY", API_KEY), ("AYRSHARE_BASE_URL", &origin), ("SLACK_WEBHOOK_URL", &world.slack.url())]
    {
        world.variables.insert(name.into(), value.into());
    }
    let ended = ends(&world, 0, &["report"]).await;
    assert!(ended.stdout.contains("today.png") && ended.stdout.contains("Primary"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_temporarily_unreadable_configuration_exits_with_1() {
    let mut world = World::new().await;
    // Nothing listens on this port.
    world.variables.insert("AWS_ENDPOINT_URL".into(), "http://127.0.0.1:9".into());
    let ended = ends(&world, 1, &["report", "--config", "s3://bucket/config.toml"]).await;
    assert!(ended.stderr.starts_with("error: the configuration cannot be read at this time:\n  "), "{}", ended.stderr);
}

#[tokio::test]
async fn command_line_errors_name_the_valid_values() {
    let world = World::new().await;
    for (arguments, expected) in [
        (&["report", "--within", "0"][..], "`0` is not a duration; write a whole number above 0 and a unit"),
        (&["report", "--within", "0d"], "`0d` is not a duration"),
        (&["alert", "--within", "-1d"], "unexpected argument"),
        (&["alert", "--within", "nonsense"], "`nonsense` is not a duration"),
        (&["report", "--within", ""], "is not a duration"),
        (
            &["report", "--profile", "Nobody"],
            "there is no profile `Nobody`; the configuration has `Head office`, `Acme Coffee`",
        ),
        (
            &["alert", "--channel", "nowhere"],
            "there is no channel `nowhere`; the configuration has `social-team` and `ops-email`",
        ),
        (&["report", "--format", "pdf"], "possible values: table, json, csv, ics, html"),
        (&["report", "--dry-run"], "unexpected argument '--dry-run'"),
        (&["reprot"], "unrecognized subcommand 'reprot'"),
        (&[], "Usage: expiry-alerts <COMMAND>"),
    ] {
        let ended = ends(&world, 2, arguments).await;
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    assert_eq!((world.sent_texts().len(), world.heartbeat.beats().len()), (0, 0));
}

#[tokio::test]
async fn a_duration_can_be_a_hundred_years() {
    let world = World::with_gallery(&[file("in-a-year.png", 24 * 365)]).await;
    let ended = run(&world, &["report", "--within", "36500d"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("Expires within 36,500 days: 1\n"), "{}", ended.stdout);
}
