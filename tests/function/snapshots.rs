//! Reports and links share one scan of the profiles (a snapshot), so that HTTP requests cause few requests to Ayrshare.

use std::time::Duration;

use media_expiry_alerts::demo::stand_ins::{Call, Reply};
use serde_json::{Value, json};

use crate::support::http::{HttpAnswer, request};
use crate::support::{ACME_KEY, CAFE_KEY, Function, InvocationDeadline, World, file, scheduled, slack_text};

const REPORT_URL: &str = "https://reports.example";
const KEYS: [Option<&str>; 3] = [None, Some(ACME_KEY), Some(CAFE_KEY)];

/// A world whose Slack channel has the profile `Acme Coffee`.
async fn world() -> World {
    let mut world = World::with_gallery(&[file("office.png", 5)]).await;
    world.ayrshare.gallery(Some(ACME_KEY), &[file("acme.png", 48), file("far.png", 24 * 20)]);
    let secret = "correct-horse-battery-staple-0123";
    world.config["http"] = json!({"report_url": REPORT_URL, "link_secret": secret});
    world.config["channels"][0]["profiles"] = json!(["Acme Coffee"]);
    world
}

/// The path of a link that a function of the same configuration has sent.
async fn link() -> String {
    let function = world().await.start().await;
    function.answer(&scheduled()).await;
    let text = slack_text(&function.slack_message());
    let (_, link) = text.split_once(&format!("<{REPORT_URL}")).expect("a link");
    let link = link.split_once('|').expect("an end").0.to_owned();
    function.end().await;
    link
}

async fn ask(function: &Function, method_and_target: &str) -> HttpAnswer {
    function.answer(&request(method_and_target).v2()).await.into()
}

/// How often the gallery of each profile was requested.
fn scans(world: &World) -> [usize; 3] {
    KEYS.map(|key| world.ayrshare.requests(key, Call::Media))
}

#[tokio::test]
async fn twenty_views_of_a_link_share_one_snapshot() {
    let link = link().await;
    let function = world().await.start().await;
    for index in 0..20 {
        let query = ["", "?profile=Acme%20Coffee", "?within=1h"][index % 3];
        assert_eq!(ask(&function, &format!("GET {link}{query}")).await.status, 200);
    }
    ask(&function, "GET /report").await;
    ask(&function, "GET /report?profile=Head%20office&within=7d&format=csv").await;
    assert_eq!(scans(&function), [1; 3]);
    assert_eq!(KEYS.map(|key| function.ayrshare.requests(key, Call::History)).iter().max(), Some(&3), "one per status");
    function.end().await;
}

#[tokio::test]
async fn a_report_shows_the_last_alert_run_and_says_when_it_was() {
    let function = world().await.start().await;
    let alert = function.answer(&scheduled()).await;
    let report = ask(&function, "GET /report").await.body;
    assert_eq!((&report["started_at"], &report["items"]), (&alert["started_at"], &alert["items"]));
    assert_ne!(report["run_id"], alert["run_id"]);
    // A run over some of the profiles does not replace the snapshot of all of them.
    function.answer(&json!({"action": "report", "profiles": ["Acme Coffee"]})).await;
    assert_eq!(ask(&function, "GET /report").await.body["started_at"], alert["started_at"]);
    assert_eq!(scans(&function), [1, 2, 1]);
    function.end().await;
}

#[tokio::test]
async fn head_never_scans() {
    let link = link().await;
    let function = world().await.start().await;
    for (target, content_type) in [("/report", "application/json"), (link.as_str(), "text/html; charset=utf-8")] {
        let answer = function.answer(&request(&format!("HEAD {target}")).v2()).await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("")));
        assert_eq!(answer["headers"]["content-type"], content_type);
    }
    let unknown = function.answer(&request("HEAD /report?profile=Nobody").v2()).await;
    assert_eq!((&unknown["statusCode"], &unknown["body"]), (&json!(400), &json!("")));
    assert_eq!(scans(&function), [0; 3]);
    function.end().await;
}

#[tokio::test]
async fn a_live_report_scans_now() {
    let link = link().await;
    let function = world().await.start().await;
    ask(&function, "GET /report").await;
    function.ayrshare.gallery(None, &[file("new.png", 4)]);
    let kept = ask(&function, "GET /report?live=false&profile=Head%20office").await;
    assert_eq!(kept.body["items"][0]["file_name"], "office.png");
    let live = ask(&function, "GET /report?live=true&profile=Head%20office").await;
    assert_eq!(live.body["items"][0]["file_name"], "new.png");
    assert_eq!(scans(&function), [2, 1, 1]);

    // A live scan of everything is kept, and a link cannot ask for one.
    let live = ask(&function, "GET /report?live=true").await.body;
    assert_eq!(ask(&function, "GET /report").await.body["started_at"], live["started_at"]);
    ask(&function, &format!("GET {link}?live=true")).await;
    assert_eq!(scans(&function), [3, 2, 2]);

    for query in ["live=yes", "live=", "live=true&live=true"] {
        assert_eq!(ask(&function, &format!("GET /report?{query}")).await.status, 400, "{query}");
    }
    function.end().await;
}

#[tokio::test]
async fn a_report_beyond_the_thresholds_scans_and_is_not_kept() {
    let function = world().await.start().await;
    ask(&function, "GET /report").await;
    let names = |answer: &HttpAnswer| answer.body["items"].as_array().map(Vec::len);
    for scanned in [2, 3] {
        assert_eq!(names(&ask(&function, "GET /report?within=30d").await), Some(3));
        assert_eq!(scans(&function), [scanned; 3]);
    }
    assert_eq!(names(&ask(&function, "GET /report").await), Some(2));
    assert_eq!(names(&ask(&function, "GET /report?within=1d").await), Some(1));
    assert_eq!(scans(&function), [3; 3]);
    function.end().await;
}

#[tokio::test]
async fn a_link_never_reaches_beyond_the_thresholds_of_its_channel() {
    let link = link().await;
    let function = world().await.start().await;
    let answer = function.answer(&request(&format!("GET {link}?within=30d")).v2()).await;
    assert!(answer["body"].as_str().is_some_and(|page| page.contains("acme.png") && !page.contains("far.png")));
    assert_eq!(scans(&function), [1; 3]);
    function.end().await;
}

#[tokio::test]
async fn a_snapshot_for_a_link_retries_nothing_and_is_not_kept_if_it_read_nothing() {
    let link = link().await;
    let function = world().await.start().await;
    let limited = || Reply::json(429, &json!({"status": "error", "code": 106, "message": "Rate limit"}));
    for key in KEYS {
        function.ayrshare.media(key, limited());
    }
    for scanned in [1, 2] {
        assert_eq!(function.answer(&request(&format!("GET {link}")).v2()).await["statusCode"], 502);
        assert_eq!(scans(&function), [scanned; 3]);
    }
    // A snapshot with one readable profile is kept. It reports that the others could not be read.
    function.ayrshare.gallery(None, &[]);
    for _ in 0..2 {
        assert_eq!(function.answer(&request(&format!("GET {link}")).v2()).await["statusCode"], 502);
        assert_eq!(scans(&function), [3; 3]);
    }
    function.end().await;
}

#[tokio::test]
async fn the_profiles_of_the_link_are_read_first_if_time_is_short() {
    let link = link().await;
    let mut world = world().await;
    world.config["ayrshare"]["concurrency"] = json!(1);
    world.config["ayrshare"]["scheduled_posts"] = json!(false);
    world.ayrshare.media(None, Reply::json(200, &json!([])).after(Duration::from_secs(30)));
    let function = world.start().await;
    let event = request(&format!("GET {link}")).v2();
    let answer = function.invoke_until(&event, InvocationDeadline::In(Duration::from_secs(4))).await.expect_answer();
    assert_eq!(answer["statusCode"], 200);
    assert!(answer["body"].as_str().is_some_and(|page| page.contains("acme.png")));

    // The snapshot is used for the profile that was read, but not for the one that the deadline cut off.
    function.ayrshare.gallery(None, &[file("office.png", 5)]);
    ask(&function, &format!("GET {link}")).await;
    let office = "GET /report?profile=Head%20office";
    assert_eq!(scans(&function), [1, 1, 0]);
    let items: Value = ask(&function, office).await.body["items"].clone();
    assert_eq!((&items[0]["file_name"], scans(&function)), (&json!("office.png"), [2, 2, 1]));
    function.end().await;
}
