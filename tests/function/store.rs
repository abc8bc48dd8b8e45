//! The store: what an alert run has seen answers links and reports of a process that has not scanned itself.

use media_expiry_alerts::demo::stand_ins::{Call, Reply};
use serde_json::{Value, json};

use crate::support::http::{HttpAnswer, request};
use crate::support::{ACME_KEY, CAFE_KEY, Function, Log, World, file, scheduled, slack_text};

const REPORT_URL: &str = "https://reports.example";
const KEYS: [Option<&str>; 3] = [None, Some(ACME_KEY), Some(CAFE_KEY)];

/// A world with a store in a folder that all worlds with this name share.
async fn world(store: &std::path::Path) -> World {
    let mut world = World::with_gallery(&[file("office.png", 5)]).await;
    world.ayrshare.gallery(Some(ACME_KEY), &[file("acme.png", 48)]);
    let secret = "correct-horse-battery-staple-0123";
    world.config["http"] = json!({"report_url": REPORT_URL, "link_secret": secret});
    world.config["store"] = json!({"url": store});
    world
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Runs an alert. Returns its result and the path of the link in its digest.
async fn alert(world: World) -> (Value, String) {
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    let text = slack_text(&function.slack_message());
    let (_, link) = text.split_once(&format!("<{REPORT_URL}")).expect("a link");
    let link = link.split_once('|').expect("an end").0.to_owned();
    function.end().await;
    (result, link)
}

async fn ask(function: &Function, method_and_target: &str) -> HttpAnswer {
    function.answer(&request(method_and_target).v2()).await.into()
}

/// The body of a page.
async fn page(function: &Function, link: &str) -> String {
    let answer = function.answer(&request(&format!("GET {link}")).v2()).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    answer["body"].as_str().expect("a page").to_owned()
}

fn lines_with(log: &Log, text: &str) -> usize {
    log.lines().iter().filter(|line| line.to_string().contains(text)).count()
}

/// How often the gallery of each profile was requested.
fn scans(world: &World) -> [usize; 3] {
    KEYS.map(|key| world.ayrshare.requests(key, Call::Media))
}

#[tokio::test]
async fn a_fresh_process_answers_from_the_last_alert_run() {
    let store = folder();
    let (alert, link) = alert(world(store.path()).await).await;
    let function = world(store.path()).await.start().await;
    let shown = page(&function, &link).await;
    assert!(shown.contains("office.png") && shown.contains("acme.png"), "{shown}");
    let report = ask(&function, "GET /report").await.body;
    assert_eq!(
        (&report["started_at"], &report["items"], &report["media"], &report["profiles"]),
        (&alert["started_at"], &alert["items"], &alert["media"], &alert["profiles"])
    );
    let acme = ask(&function, "GET /report?profile=Acme%20Coffee&within=3d").await.body;
    assert_eq!(acme["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(scans(&function), [0; 3]);

    // Beyond what was kept, and live, the profiles are scanned.
    ask(&function, "GET /report?within=30d").await;
    ask(&function, "GET /report?live=true").await;
    assert_eq!(scans(&function), [2; 3]);
    // The snapshot in the store still comes first.
    assert_eq!(ask(&function, "GET /report").await.body["started_at"], alert["started_at"]);
    function.end().await;
}

#[tokio::test]
async fn a_warm_process_shows_the_run_of_another_one() {
    let store = folder();
    alert(world(store.path()).await).await;
    let function = world(store.path()).await.start().await;
    let first = ask(&function, "GET /report").await.body["started_at"].clone();
    let (second, _) = alert(world(store.path()).await).await;
    assert_ne!(first, second["started_at"]);
    assert_eq!(ask(&function, "GET /report").await.body["started_at"], second["started_at"]);
    assert_eq!(scans(&function), [0; 3]);
    // Nothing is left of the first run: there is one part, and what names it.
    assert_eq!(std::fs::read_dir(store.path().join("snapshots")).expect("the folder").count(), 2);
    function.end().await;
}

#[tokio::test]
async fn only_alert_runs_over_everything_are_stored() {
    let store = folder();
    let function = world(store.path()).await.start().await;
    for event in [
        json!({"dry_run": true}),
        json!({"action": "report"}),
        json!({"action": "test"}),
        json!({"action": "check"}),
        json!({"within": "30d"}),
        json!({"profiles": ["Acme Coffee"]}),
        json!({"channels": ["social-team"]}),
    ] {
        function.answer(&event).await;
    }
    ask(&function, "GET /report?live=true").await;
    let left = std::fs::read_dir(store.path().join("snapshots")).expect("the folder of the check").count();
    assert_eq!(left, 0);
    function.end().await;
}

#[tokio::test]
async fn what_is_no_longer_configured_is_not_shown() {
    let store = folder();
    alert(world(store.path()).await).await;
    let mut world = world(store.path()).await;
    world.config["profiles"].as_array_mut().expect("profiles").remove(1);
    world.config["alerts"] = json!({"thresholds": ["6h", "2h"]});
    let function = world.start().await;
    let report = ask(&function, "GET /report").await.body;
    assert_eq!((&report["profiles"]["configured"], &report["items"][0]["threshold"]), (&json!(2), &json!("6h")));
    assert_eq!(report["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(scans(&function), [0; 3]);
    function.end().await;
}

#[tokio::test]
async fn a_profile_that_was_not_looked_at_is_never_shown_as_if_all_were_well() {
    let store = folder();
    let mut before = world(store.path()).await;
    before.config["profiles"].as_array_mut().expect("profiles").remove(1);
    alert(before).await;
    let function = world(store.path()).await.start().await;
    // The profiles that were scanned need no scan.
    let office = ask(&function, "GET /report?profile=Head%20office").await.body;
    assert_eq!((office["items"].as_array().map(Vec::len), scans(&function)), (Some(1), [0; 3]));
    // The new one does, once.
    for _ in 0..3 {
        let acme = ask(&function, "GET /report?profile=Acme%20Coffee").await.body;
        assert_eq!((acme["items"].as_array().map(Vec::len), scans(&function)), (Some(1), [1; 3]));
        let all = ask(&function, "GET /report").await.body;
        assert_eq!((&all["profiles"]["checked"], scans(&function)), (&json!(3), [1; 3]));
        ask(&function, "GET /report?profile=Head%20office").await;
    }
    function.end().await;
}

#[tokio::test]
async fn a_snapshot_by_other_rules_does_not_answer() {
    let store = folder();
    alert(world(store.path()).await).await;
    for (table, key, value) in [
        ("alerts", "thresholds", json!(["14d"])),
        ("alerts", "ignore", json!(["*.tmp"])),
        ("ayrshare", "scheduled_posts", json!(false)),
    ] {
        let mut world = world(store.path()).await;
        world.config[table][key] = value;
        let function = world.start().await;
        for _ in 0..2 {
            ask(&function, "GET /report").await;
            assert_eq!(scans(&function), [1; 3], "{key}");
        }
        function.end().await;
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_costs_one_scan_and_is_replaced() {
    let store = folder();
    let (_, link) = alert(world(store.path()).await).await;
    let snapshots_folder = store.path().join("snapshots");
    let is_part = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "gz");
    let entries =
        std::fs::read_dir(&snapshots_folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let part = entries.into_iter().find(is_part).expect("a part");
    for (path, content) in [(part, "half"), (snapshots_folder.join("latest.json"), "{\"format\":")] {
        std::fs::write(path, content).expect("written");
        let function = world(store.path()).await.start().await;
        for _ in 0..3 {
            assert!(page(&function, &link).await.contains("acme.png"));
        }
        assert_eq!(scans(&function), [1; 3]);
        let log = function.end().await;
        assert_ne!(lines_with(&log, "the snapshot in the store cannot be used"), 0);
    }
    let (again, _) = alert(world(store.path()).await).await;
    let function = world(store.path()).await.start().await;
    assert_eq!(ask(&function, "GET /report").await.body["started_at"], again["started_at"]);
    assert_eq!(scans(&function), [0; 3]);
    function.end().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_written_fails_the_check_and_no_run() {
    let store = folder();
    let file = store.path().join("file");
    std::fs::write(&file, "mine").expect("a file");
    let function = world(&file).await.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], result.get("store_error")), (&json!("ok"), None));
    assert_eq!(ask(&function, "GET /report").await.body["started_at"], result["started_at"]);
    assert_eq!(scans(&function), [1; 3]);
    let (kind, message) = function.error(&json!({"action": "check"})).await;
    assert!(kind == "RunFailed" && message.contains("the store cannot"), "{kind}: {message}");
    let log = function.end().await;
    assert_eq!(lines_with(&log, "the snapshot of this run is not kept"), 1);
}

#[tokio::test]
async fn a_run_that_read_no_profile_leaves_the_snapshot_before() {
    let store = folder();
    let (before, _) = alert(world(store.path()).await).await;
    let world_of_failures = world(store.path()).await;
    let forbidden = || Reply::json(403, &json!({"status": "error", "code": 1}));
    for key in KEYS {
        world_of_failures.ayrshare.media(key, forbidden());
    }
    let function = world_of_failures.start().await;
    function.error(&scheduled()).await;
    assert_eq!(ask(&function, "GET /report").await.body["started_at"], before["started_at"]);
    function.end().await;
}

/// The largest snapshot that is documented for a function with 256 MB.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_fresh_process_answers_for_ten_thousand_profiles_without_asking_ayrshare() {
    const PROFILES: usize = 10_000;
    const FILES: usize = 20;
    let store = folder();
    let world_of_all = async || {
        let mut world = world(store.path()).await;
        let key = |number: usize| format!("7TVRLEZ-24A43C0-NJW0Z82-{number:07}");
        let profile = |number| json!({"name": format!("Client {number}"), "key": key(number)});
        world.config["profiles"] = (0..PROFILES).map(profile).collect();
        world.config["ayrshare"]["scheduled_posts"] = json!(false);
        world.config["ayrshare"]["concurrency"] = json!(64);
        world.memory_limit = Some(256_000_000);
        (world, key)
    };
    let (before, key) = world_of_all().await;
    let files: Vec<_> = (0..FILES).map(|number| file(&format!("file-{number}.jpeg"), 30)).collect();
    for number in 0..PROFILES {
        before.ayrshare.gallery(Some(&key(number)), &files);
    }
    let before = before.start().await;
    let alert = before.answer(&scheduled()).await;
    assert_eq!((&alert["status"], &alert["media"]["expiring"]), (&json!("ok"), &json!(PROFILES * FILES)));
    let peak = before.peak_memory().await;
    assert!(peak < 256_000_000, "{peak} bytes while it is stored");
    let text: String = before.slack.messages().iter().map(slack_text).collect();
    let (_, link) = text.split_once(&format!("<{REPORT_URL}")).expect("a link");
    let link = link.split_once('|').expect("an end").0.to_owned();
    before.end().await;

    // These stand-ins have no galleries, and refuse whoever asks for one.
    let (after, _) = world_of_all().await;
    let after = after.start().await;
    let shown = page(&after, &format!("{link}?profile=Client%209999")).await;
    assert!(shown.contains("Client 9999") && shown.contains("file-0.jpeg"));
    let report = ask(&after, "GET /report?profile=Client%2042").await.body;
    assert_eq!((&report["started_at"], &report["media"]["expiring"]), (&alert["started_at"], &json!(FILES)));
    let peak = after.peak_memory().await;
    assert!(peak < 256_000_000, "{peak} bytes while it is read");
    after.end().await;
}
