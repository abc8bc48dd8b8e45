//! Copies of files that are about to expire, in a store that is a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use media_expiry_alerts::demo::stand_ins::{Reply, S3StandIn, generated_pieces, scheduled_post};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    ACME_KEY, Function, InvocationDeadline, World, file, file_in_minutes, in_hours, scheduled, slack_text,
};

const MEGABYTE: u64 = 1_000_000;
/// The size of the large file, in megabytes. `RESCUE_LARGE_MB=1000` proves that memory does not depend on it.
const LARGE_MB: u64 = 64;

/// A world that copies files into a folder.
async fn world(rescue: Value) -> World {
    let mut world = World::new().await;
    world.config["store"] = json!({"url": world.path("store")});
    world.config["rescue"] = rescue;
    world
}

fn hash(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let hash = pieces.into_iter().fold(Sha256::new(), Digest::chain_update);
    hex::encode(hash.finalize())
}

/// Whether a copy has all bytes of a generated file, read piece by piece.
fn is_whole(path: &Path, size_bytes: u64) -> bool {
    use std::io::Read as _;
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    let pieces = std::iter::from_fn(move || {
        let mut piece = vec![0; 1024 * 1024];
        let read = file.read(&mut piece).expect("it can be read");
        piece.truncate(read);
        (0 < read).then_some(piece)
    });
    hash(pieces) == hash(generated_pieces(size_bytes))
}

/// Where the copy of a file of the primary profile is.
fn path_of(world: &World, file: &Value) -> PathBuf {
    let id = file["id"].as_str().expect("an id");
    let extension = id.rsplit('-').next().expect("an extension");
    world.path("store/copies/Head office").join(format!("{id}.{extension}"))
}

fn copies(world: &World) -> usize {
    let profiles = std::fs::read_dir(world.path("store/copies")).into_iter().flatten().flatten();
    profiles.flat_map(|profile| std::fs::read_dir(profile.path()).expect("a folder")).count()
}

fn unfinished(world: &World) -> usize {
    std::fs::read_dir(world.path("store/.unfinished")).into_iter().flatten().count()
}

/// The reasons of the files that were not copied, by their names.
fn reasons(result: &Value) -> Vec<(&str, &str)> {
    let failed = result["copies"]["failed"].as_array().expect("a list").iter();
    let text = |value: &'_ Value| -> &'static str { Box::leak(value.as_str().expect("a text").to_owned().into()) };
    let mut reasons: Vec<_> = failed.map(|failed| (text(&failed["file_name"]), text(&failed["reason"]))).collect();
    reasons.sort_unstable();
    reasons
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_right_ones_of_twenty_files_are_copied_and_the_others_are_named() {
    let large_mb = std::env::var_os("RESCUE_LARGE_MB").and_then(|size| size.to_str()?.parse().ok()).unwrap_or(LARGE_MB);
    let world = world(json!({"files": "expiring", "within": "3d"})).await;
    let host = &world.media_host;
    let mut whole: Vec<_> = (0..14)
        .map(|index| {
            let size = 1_000 + 77_777 * index;
            (
                host.add_file(
                    &file_in_minutes(&format!("small-{index}.png"), 300 + 60 * i64::try_from(index).expect("small")),
                    size,
                ),
                size,
            )
        })
        .collect();
    whole.push((host.add_file(&file("large.mp4", 5), large_mb * MEGABYTE), large_mb * MEGABYTE));
    let generated = |size| Reply::generated("video/mp4", size);
    let failing = [
        host.add_reply(&file("broken.mp4", 6), 3 * MEGABYTE, generated(3 * MEGABYTE).broken_after(MEGABYTE)),
        host.add_reply(&file("gone.mp4", 7), MEGABYTE, Reply::text(404, "no such file")),
        host.add_reply(&file("other-size.mp4", 8), MEGABYTE, generated(MEGABYTE + 1)),
        host.add_reply(
            &file("moved.mp4", 9),
            MEGABYTE,
            Reply::text(302, "").with_header("location", "http://localhost:9/"),
        ),
    ];
    let too_large = {
        let mut listed = file("film.mp4", 10);
        listed["size"] = json!("1000000001");
        listed
    };
    let later = host.add_file(&file("later.png", 24 * 5), 5_000);
    let files: Vec<_> =
        whole.iter().map(|(file, _)| file).chain(&failing).chain([&too_large, &later]).cloned().collect();
    world.ayrshare.gallery(None, &files);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    assert_eq!((&result["status"], &result["copies"]["made"]), (&json!("ok"), &json!(15)), "{}", result["copies"]);
    let (names, reasons): (Vec<_>, Vec<_>) = reasons(&result).into_iter().unzip();
    assert_eq!(names, ["broken.mp4", "film.mp4", "gone.mp4", "moved.mp4", "other-size.mp4"]);
    assert!(
        reasons[0].starts_with("it broke off after ") && reasons[0].ends_with(" of 3,000,000 bytes"),
        "{}",
        reasons[0]
    );
    assert_eq!(
        reasons[1..],
        [
            "its 1,000,000,001 bytes are more than rescue.max_file_size allows",
            "its host answered 404 Not Found",
            "its host redirects to another host",
            "its host announces 1,000,001 bytes, but its gallery lists 1,000,000 bytes",
        ]
    );
    for (file, size) in &whole {
        assert!(is_whole(&path_of(&function, file), *size), "{file}");
    }
    assert_eq!((copies(&function), unfinished(&function)), (15, 0));
    let copied = result["items"].as_array().expect("items").iter().filter(|item| !item["copy"].is_null()).count();
    assert_eq!(copied, 15);
    let peak = function.peak_memory().await;
    assert!(peak < 64 * 1024 * 1024, "{peak} bytes");

    let text = slack_text(&function.slack_message());
    assert!(text.contains("a copy is kept"), "{text}");
    assert!(text.contains("4 files could not be copied: ") && text.contains("film.mp4"), "{text}");
    let mail = function.publication().message;
    assert!(mail.contains("a copy is kept") && mail.contains("its host answered 404 Not Found"), "{mail}");

    // The next run copies nothing again, and tries what has failed.
    let requested = function.media_host.requested().len();
    let result = function.answer(&scheduled()).await;
    let counts = ["made", "kept", "waiting"].map(|count| result["copies"][count].clone());
    assert_eq!(counts, [json!(0), json!(15), json!(0)]);
    assert_eq!(function.media_host.requested().len(), requested + 4);
    let log = function.end().await;
    let metrics: Vec<_> =
        log.metrics().iter().map(|line| (line["CopiesMade"].clone(), line["CopiesFailed"].clone())).collect();
    assert_eq!(metrics, [(json!(15), json!(4)), (json!(0), json!(4))]);
}

#[tokio::test]
async fn by_default_only_files_that_a_post_will_lack_are_copied() {
    let world = world(json!({})).await;
    let needed = world.media_host.add_file(&file("needed.png", 24 * 20), 100_000);
    let other = world.media_host.add_file(&file("other.png", 5), 100_000);
    let safe = world.media_host.add_file(&file("safe.png", 24 * 40), 100_000);
    world.ayrshare.gallery(None, &[needed.clone(), other, safe.clone()]);
    // In another profile, and further off than any threshold.
    let post = scheduled_post("post", "Launch", &["instagram"], &[&needed, &safe], in_hours(24 * 30));
    world.ayrshare.posts(Some(ACME_KEY), &[post]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(copies(&function), 1);
    assert!(is_whole(&path_of(&function, &needed), 100_000));
    assert_eq!((&result["items"][0]["copy"], result["items"].as_array().map(Vec::len)), (&Value::Null, Some(1)));
    assert_eq!(result["copies"], json!({"made": 1, "kept": 1, "waiting": 0, "failed": []}));
    let text = slack_text(&function.slack_message());
    assert_eq!(text.matches("a copy is kept").count(), 1, "{text}");
    function.end().await;
}

#[tokio::test]
async fn only_alerts_that_send_make_copies_and_reports_know_them() {
    let world = world(json!({"files": "expiring"})).await;
    let kept = world.media_host.add_file(&file("kept.png", 5), 100_000);
    world.ayrshare.gallery(None, &[kept]);
    let function = world.start().await;
    for event in
        [json!({"action": "report"}), json!({"dry_run": true}), json!({"action": "check"}), json!({"action": "test"})]
    {
        let result = function.answer(&event).await;
        assert_eq!(
            result["items"]
                .as_array()
                .map_or(&Value::Null, |items| items.first().map_or(&Value::Null, |item| &item["copy"])),
            &Value::Null
        );
    }
    assert_eq!((copies(&function), function.media_host.requested().len()), (0, 0));
    function.answer(&scheduled()).await;
    for event in [json!({"action": "report"}), json!({"dry_run": true})] {
        let copy = function.answer(&event).await["items"][0]["copy"].clone();
        assert_eq!(copy["size_bytes"], json!(100_000), "{copy}");
        assert!(copy["key"].as_str().is_some_and(|key| key.starts_with("copies/Head office/")), "{copy}");
    }
    assert_eq!(function.media_host.requested().len(), 1);
    function.end().await;
}

#[tokio::test]
async fn a_file_in_several_galleries_is_copied_once() {
    let world = world(json!({"files": "expiring"})).await;
    let shared = world.media_host.add_file(&file("shared.png", 5), 100_000);
    world.ayrshare.gallery(None, std::slice::from_ref(&shared));
    world.ayrshare.gallery(Some(ACME_KEY), &[shared]);
    let mut world = world;
    world.config["channels"] = json!([
        {"name": "own-system", "type": "webhook", "url": world.webhook.url(), "secret": "env:SECRET", "profiles": ["Head office"]},
    ]);
    world.variables.insert("SECRET".to_owned(), crate::support::WEBHOOK_SECRET.to_owned());
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((copies(&function), function.media_host.requested().len()), (1, 1));
    let keys: Vec<_> =
        result["items"].as_array().expect("items").iter().map(|item| item["copy"]["key"].as_str()).collect();
    assert!(keys.iter().all(|key| key.is_some_and(|key| key.starts_with("copies/Acme Coffee/"))), "{keys:?}");
    // A channel of one profile does not learn the name of the other.
    let body = &function.webhook.deliveries()[0].body;
    assert_eq!(body["items"][0]["copy"], json!({"size_bytes": 100_000}));
    assert!(!body.to_string().contains("Acme"), "{body}");
    function.end().await;
}

#[tokio::test]
async fn the_copy_of_a_shared_file_that_posts_need_is_known_in_each_gallery() {
    let world = world(json!({})).await;
    let shared = world.media_host.add_file(&file("shared.png", 5), 100_000);
    for key in [None, Some(ACME_KEY)] {
        world.ayrshare.gallery(key, std::slice::from_ref(&shared));
    }
    // The post of a profile belongs to the file in the gallery of this profile, although another one lists it, too.
    let post = scheduled_post("post", "Launch", &["instagram"], &[&shared], in_hours(24 * 3));
    world.ayrshare.posts(Some(ACME_KEY), &[post]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((copies(&function), &result["copies"]["kept"]), (1, &json!(1)));
    let items: BTreeMap<_, _> = result["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| (item["profile"].as_str().expect("a name"), (&item["copy"]["key"], &item["posts_at_risk"])))
        .collect();
    let key = &items["Acme Coffee"].0;
    assert!(key.as_str().is_some_and(|key| key.starts_with("copies/Acme Coffee/")), "{items:?}");
    assert_eq!(items["Acme Coffee"], (*key, &json!(["post"])));
    assert_eq!(items["Head office"], (*key, &json!([])));
    function.end().await;
}

#[tokio::test]
async fn of_two_files_with_the_same_id_one_is_copied_and_the_other_is_named() {
    let world = world(json!({"files": "expiring"})).await;
    let first = world.media_host.add_file(&file("first.png", 5), 1_000);
    let mut second = world.media_host.add_file(&file("second.png", 6), 2_000);
    second["id"] = first["id"].clone();
    world.ayrshare.gallery(None, &[second, first]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    let copied: Vec<_> =
        result["items"].as_array().expect("items").iter().map(|item| &item["copy"]["size_bytes"]).collect();
    assert_eq!(copied, [&json!(1_000), &Value::Null]);
    assert_eq!(reasons(&result), [("second.png", "its gallery lists another file with the same id")]);
    let text = slack_text(&function.slack_message());
    assert_eq!(text.matches("a copy is kept").count(), 1, "{text}");
    function.end().await;
}

#[tokio::test]
async fn a_file_that_never_arrives_in_time_is_named_with_the_reason() {
    let world = world(json!({"files": "expiring"})).await;
    let host = &world.media_host;
    let endless = Reply::generated("image/png", 100 * MEGABYTE).with_pauses(Duration::from_millis(500));
    let files = [
        host.add_reply(&file("endless.png", 5), 100 * MEGABYTE, endless),
        host.add_file(&file("quick.png", 6), 100_000),
    ];
    world.ayrshare.gallery(None, &files);
    let function = world.start().await;
    let soon = InvocationDeadline::In(Duration::from_secs(8));
    let result = function.invoke_until(&scheduled(), soon).await.expect_answer();
    assert_eq!(reasons(&result), [("endless.png", "it could not be read to its end in the time of a run")]);
    assert_eq!((&result["copies"]["made"], &result["copies"]["waiting"]), (&json!(1), &json!(0)));
    function.end().await;
}

#[tokio::test]
async fn looking_for_very_many_copies_leaves_time_to_make_some() {
    let s3 = S3StandIn::start("eu-central-1").await.expect("a port");
    s3.delay(Duration::from_millis(500));
    let mut world = world(json!({"files": "expiring"})).await;
    world.config["store"] = json!({"url": "s3://bucket/expiry"});
    world.variables.insert("AWS_ENDPOINT_URL_S3".to_owned(), s3.origin());
    world.variables.insert("AWS_REGION".to_owned(), "eu-central-1".to_owned());
    let add = |index: i64| world.media_host.add_file(&file_in_minutes(&format!("{index}.png"), 300 + index), 1_000);
    let files: Vec<_> = (0..200).map(add).collect();
    world.ayrshare.gallery(None, &files);
    let function = world.start().await;
    let soon = InvocationDeadline::In(Duration::from_secs(12));
    let result = function.invoke_until(&scheduled(), soon).await.expect_answer();
    // That the time was over is no fault of the store.
    let copies = &result["copies"];
    assert_eq!(copies["failed"], json!([]));
    let made = copies["made"].as_u64().expect("a number");
    assert!(0 < made && made + copies["waiting"].as_u64().expect("a number") == 200, "{copies}");
    function.end().await;
}

#[tokio::test]
async fn what_there_is_no_time_for_is_copied_by_the_next_run_the_most_urgent_first() {
    let world = world(json!({"files": "expiring"})).await;
    let host = &world.media_host;
    let slow = Reply::generated("image/png", 30 * 65_536).with_pauses(Duration::from_millis(10));
    let files: Vec<_> = (0..30)
        .map(|index| {
            host.add_reply(&file_in_minutes(&format!("{index}.png"), 300 + 10 * index), 30 * 65_536, slow.clone())
        })
        .collect();
    world.ayrshare.gallery(None, &files);
    let function = world.start().await;
    let soon = InvocationDeadline::In(Duration::from_secs(12));
    let result = function.invoke_until(&scheduled(), soon).await.expect_answer();
    let made = result["copies"]["made"].as_u64().expect("a count");
    assert!((1..30).contains(&made), "{}", result["copies"]);
    assert_eq!((&result["status"], &result["copies"]["waiting"]), (&json!("ok"), &json!(30 - made)));
    let kept: Vec<_> = files.iter().map(|file| path_of(&function, file).exists()).collect();
    assert!(kept.is_sorted_by(|a, b| a >= b), "{kept:?}");
    assert_eq!(unfinished(&function), 0);
    let text = slack_text(&function.slack_message());
    assert!(text.contains("There was no time to copy"), "{text}");
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["copies"], json!({"made": 30 - made, "kept": 30, "waiting": 0, "failed": []}));
    function.end().await;
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_no_half_copy_and_the_next_run_completes_it() {
    let store = tempfile::tempdir().expect("a folder");
    let size = 3 * MEGABYTE;
    for pause in [0, 5, 50] {
        let mut world = world(json!({"files": "expiring"})).await;
        world.config["store"] = json!({"url": store.path()});
        let slow = Reply::generated("image/png", size).with_pauses(Duration::from_millis(pause));
        let listed = world.media_host.add_reply(&file(&format!("{pause}.png"), 5), size, slow);
        world.ayrshare.gallery(None, std::slice::from_ref(&listed));
        let id = listed["id"].as_str().expect("an id");
        let path = store.path().join(format!("copies/Head office/{id}.png"));
        let function = world.start().await;
        // The function is killed while the file arrives.
        let _ = tokio::time::timeout(Duration::from_millis(300), function.invoke(&scheduled())).await;
        let world = function.kill().await;
        assert!(!path.exists() || is_whole(&path, size), "half a copy");

        let function = world.start().await;
        let result = function.answer(&scheduled()).await;
        assert_eq!(&result["copies"]["kept"], &json!(1), "{result}");
        assert!(is_whole(&path, size));
        function.end().await;
    }
}

#[tokio::test]
async fn only_what_a_gallery_lists_at_a_host_with_tls_is_read() {
    let mut world = world(json!({"files": "expiring"})).await;
    let listed = |name: &str, url: &str| {
        let mut listed = file(name, 5);
        listed["url"] = json!(url);
        listed["size"] = json!("5");
        listed
    };
    let without_url = {
        let mut listed = file("without-url.png", 5);
        listed["url"] = Value::Null;
        listed
    };
    world.ayrshare.gallery(
        None,
        &[
            listed("plain.png", "http://example.com/a.png"),
            listed("file.png", "file:///etc/passwd"),
            listed("user.png", "https://user:secret@localhost:9/a.png"),
            listed("nonsense.png", "nonsense"),
            without_url,
        ],
    );
    world.config["rescue"]["within"] = json!("1d");
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(
        reasons(&result),
        [
            ("file.png", "its URL does not start with https://"),
            ("nonsense.png", "its gallery lists no valid URL"),
            ("plain.png", "its URL does not start with https://"),
            ("user.png", "its URL has a user name or a password"),
            ("without-url.png", "its gallery lists no URL"),
        ]
    );
    function.end().await;
}

#[tokio::test]
async fn a_store_that_fails_fails_no_run() {
    let mut world = world(json!({"files": "expiring"})).await;
    let path = world.path("a file");
    std::fs::write(&path, "mine").expect("a file");
    world.config["store"] = json!({"url": path});
    let files: Vec<_> = (0..9)
        .map(|index| world.media_host.add_file(&file_in_minutes(&format!("{index}.png"), 300 + 10 * index), 1_000))
        .collect();
    world.ayrshare.gallery(None, &files);
    let function: Function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["copies"]["made"]), (&json!("ok"), &json!(0)));
    let reasons = reasons(&result);
    assert!(reasons.iter().all(|(_, reason)| reason.starts_with("the store cannot be")), "{reasons:?}");
    assert_eq!(result["copies"]["waiting"], json!(9 - reasons.len()));
    function.end().await;
}
