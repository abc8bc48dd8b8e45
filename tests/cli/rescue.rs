//! The command `rescue`.

use std::path::PathBuf;

use media_expiry_alerts::demo::stand_ins::{Reply, scheduled_post};
use serde_json::{Value, json};

use crate::support::{ACME_KEY, World, file, in_hours};
use crate::{ends, run};

/// A world whose galleries list a file that expires in 5 hours, one in 20 days, which a post in 25 days needs, and one in
/// 40 days; and one of another profile in 30 hours.
async fn world() -> World {
    let world = World::new().await;
    let host = &world.media_host;
    let [soon, needed, later] = [("soon.png", 5), ("needed.png", 24 * 20), ("later.png", 24 * 40)]
        .map(|(name, hours)| host.add_file(&file(name, hours), 70_000));
    world.ayrshare.posts(None, &[scheduled_post("post", "Hi", &["instagram"], &[&needed], in_hours(24 * 25))]);
    world.ayrshare.gallery(None, &[soon, needed, later]);
    world.ayrshare.gallery(Some(ACME_KEY), &[host.add_file(&file("acme.png", 30), 1_000)]);
    world
}

/// The names of the copies in a folder, in order: each ends with the id, which begins with the name in these tests.
fn copies(world: &World, folder: &str) -> Vec<PathBuf> {
    let root = world.path(folder).join("copies");
    let profiles = std::fs::read_dir(&root).into_iter().flatten().flatten();
    let files = profiles.flat_map(|profile| std::fs::read_dir(profile.path()).expect("a folder").flatten());
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn it_copies_what_is_asked_for_and_each_file_once() {
    let mut world = world().await;
    for (arguments, files, expected) in [
        (&["rescue", "--to", "a"][..], 1, "Copied 1 file (70.00 kB) to a.\n"),
        (&["rescue", "--to", "a", "--within", "7d"], 3, "Copied 2 files (71.00 kB) to a.\n"),
        (&["rescue", "--to", "a", "--all"], 4, "Copied 1 file (70.00 kB) to a. 3 files had a copy there already.\n"),
        (&["rescue", "--to", "a", "--all"], 4, "4 files had a copy in a already.\n"),
        (&["rescue", "--to", "b", "--all", "--profile", "Acme Coffee"], 1, "Copied 1 file (1.00 kB) to b.\n"),
        (&["rescue", "--to", "c", "--within", "1h"], 0, "There is no file to copy.\n"),
    ] {
        let ended = ends(&world, 0, arguments).await;
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (expected, ""), "{arguments:?}");
        assert_eq!(copies(&world, arguments[2]).len(), files, "{arguments:?}");
    }
    assert_eq!(world.media_host.requested().len(), 5);
    assert_eq!((world.sent_texts().len(), world.heartbeat.beats().len()), (0, 0), "nobody is told");

    // With a store, no folder has to be named, and `[rescue]` selects the files.
    world.config["store"] = json!({"url": world.path("store")});
    world.config["rescue"] = json!({"files": "expiring", "within": "6h"});
    let ended = ends(&world, 0, &["rescue"]).await;
    assert!(ended.stdout.starts_with("Copied 1 file (70.00 kB) to "), "{}", ended.stdout);
    assert_eq!(copies(&world, "store").len(), 1);
}

#[tokio::test]
async fn what_cannot_be_copied_is_named_and_copied_by_another_run() {
    let world = World::new().await;
    let host = &world.media_host;
    let [good, gone] = ["good.png", "gone.png"].map(|name| file(name, 5));
    let listed = [
        host.add_file(&good, 1_000),
        host.add_reply(&gone, 1_000, Reply::text(404, "no")),
        host.add_file(&file("large.png", 5), 1_000_000_001),
    ];
    world.ayrshare.gallery(None, &listed);
    let arguments = ["rescue", "--to", "a", "--within", "7d"];
    let ended = ends(&world, 3, &arguments).await;
    let expected = "\
Not copied
  gone.png (Head office)
    its host answered 404 Not Found
  large.png (Head office)
    its 1,000,000,001 bytes are more than rescue.max_file_size allows

Copied 1 file (1.00 kB) to a. 1 file could not be copied. Too large: 1 file. Run the command
again to copy what is missing.
";
    assert_eq!(ended.stdout, expected);
    assert!(
        ended.stderr.contains("warning: gone.png (Head office) is not copied: its host answered 404 Not Found\n"),
        "{}",
        ended.stderr
    );
    let json = ends(&world, 3, &[&arguments[..], &["--format", "json"]].concat()).await.stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["action"], &json["status"]), (&json!("rescue"), &json!("partial")));
    assert_eq!((&json["copies"]["made"], &json["copies"]["kept"]), (&json!(0), &json!(1)));

    let _ = host.add_file(&gone, 1_000);
    // What is too large is named, but is no fault.
    let ended = ends(&world, 0, &arguments).await;
    assert!(
        ended.stdout.contains("Copied 1 file (1.00 kB) to a. 1 file had a copy there already."),
        "{}",
        ended.stdout
    );
    assert_eq!(copies(&world, "a").len(), 2);
}

#[tokio::test]
async fn a_killed_run_is_completed_by_the_next() {
    let world = World::new().await;
    let slow = |name| {
        let reply = Reply::generated("image/png", 3_000_000).with_pauses(std::time::Duration::from_millis(20));
        world.media_host.add_reply(&file(name, 5), 3_000_000, reply)
    };
    world.ayrshare.gallery(None, &[slow("one.png"), slow("two.png")]);
    let arguments = ["rescue", "--to", "a", "--all"];
    let mut child = crate::program(&world, &arguments).spawn().expect("the program starts");
    let unfinished = || std::fs::read_dir(world.path("a/.unfinished")).into_iter().flatten().count();
    let began = async {
        while unfinished() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), began).await.expect("a copy begins");
    child.kill().await.expect("it is running");
    assert_eq!(copies(&world, "a").len(), 0, "nothing half is visible");
    ends(&world, 0, &arguments).await;
    let sizes: Vec<_> = copies(&world, "a").iter().map(|path| path.metadata().expect("a file").len()).collect();
    assert_eq!(sizes, [3_000_000, 3_000_000]);
}

#[tokio::test]
async fn exit_codes() {
    let mut world = world().await;
    for (arguments, reason) in [
        (&["rescue"][..], "the configuration has no store; name a folder with --to"),
        (&["rescue", "--all", "--within", "7d", "--to", "a"], "cannot be used with"),
        (&["rescue", "--to", "s3://bucket"], "it must be a folder"),
        (&["rescue", "--to", " "], "it is blank"),
        (&["rescue", "--to", "a", "--within", "soon"], "--within"),
        (&["rescue", "--to", "a", "--profile", "Nobody"], "there is no profile `Nobody`"),
    ] {
        let ended = ends(&world, 2, arguments).await;
        assert!(ended.stderr.contains(reason), "{arguments:?}: {}", ended.stderr);
    }
    world.config["ayrshare"]["scheduled_posts"] = json!(false);
    assert!(ends(&world, 2, &["rescue", "--to", "a"]).await.stderr.contains("use --within or --all"));
    assert_eq!(copies(&world, "a").len(), 0, "nothing was done");

    let denied = || Reply::json(403, &json!({"status": "error", "code": 31}));
    world.ayrshare.media(Some(ACME_KEY), denied());
    let ended = ends(&world, 3, &["rescue", "--to", "a", "--all"]).await;
    assert!(ended.stdout.ends_with("1 of 3 profiles could not be checked: their files are not copied.\n"));
    let ended = ends(&world, 1, &["rescue", "--to", "a", "--all", "--profile", "Acme Coffee"]).await;
    assert!(ended.stderr.contains("no profile could be checked"), "{}", ended.stderr);
    assert!(ended.stdout.contains("No file was copied to a.\n"), "what was not read may have files: {}", ended.stdout);
    std::fs::write(world.path("taken"), "mine").expect("a file");
    let ended = run(&world, &["rescue", "--to", "taken", "--all"]).await;
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    assert!(ended.stdout.contains("it is not a folder"), "{}", ended.stdout);
    assert!(ended.stderr.contains("no file could be copied"), "{}", ended.stderr);
}
