//! The command `handled`.

use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};

use crate::ends;
use crate::support::{World, file};

#[tokio::test]
async fn a_file_is_marked_and_the_mark_is_taken_back() {
    let promo = file("promo.png", 48);
    let mut world = World::with_gallery(std::slice::from_ref(&promo)).await;
    world.add_ledger();
    let id = promo["id"].as_str().expect("an id");
    let mark = ["handled", "Head office", id, "--channel", "social-team"];
    assert_eq!(ends(&world, 0, &mark).await.stdout, "Handled for social-team: promo.png (Head office)\n");
    let report = ends(&world, 0, &["report", "--format", "json"]).await.stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["items"][0]["handled"], json!(["social-team"]));
    ends(&world, 0, &["alert"]).await;
    assert_eq!((world.slack.messages().len(), world.sns.publications().len()), (0, 1));

    let undone = ends(&world, 0, &[&mark[..], &["--undo"]].concat()).await;
    assert_eq!(undone.stdout, "No longer handled for social-team: promo.png (Head office)\n");
    ends(&world, 0, &["alert"]).await;
    assert_eq!((world.slack.messages().len(), world.sns.publications().len()), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_marked_is_an_error() {
    let promo = file("promo.png", 48);
    let mut world = World::with_gallery(std::slice::from_ref(&promo)).await;
    world.config["channels"][1]["profiles"] = json!(["Acme Coffee"]);
    let id = promo["id"].as_str().expect("an id");
    let mark = ["handled", "Head office", id, "--channel", "social-team"];
    let no_ledger = ends(&world, 2, &mark).await;
    assert!(no_ledger.stderr.contains("the configuration has no ledger"), "{}", no_ledger.stderr);

    world.add_ledger();
    for (arguments, expected) in [
        (["handled", "Nobody", id, "--channel", "social-team"], "there is no profile `Nobody`"),
        (["handled", "Head office", id, "--channel", "nobody"], "there is no channel `nobody`"),
        (["handled", "Head office", id, "--channel", "ops-email"], "gets no alerts about the profile `Head office`"),
        (["handled", "Head office", "x", "--channel", "social-team"], "has no file with the id `x`"),
    ] {
        let ended = ends(&world, 2, &arguments).await;
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
    world.ayrshare.media(None, Reply::json(403, &json!({"status": "error", "code": 31})));
    let unread = ends(&world, 1, &mark).await;
    assert!(unread.stderr.starts_with("error: Head office could not be checked: "), "{}", unread.stderr);
}
