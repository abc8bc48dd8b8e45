//! Profiles of the account that nobody watches.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::demo::stand_ins::{Call, Reply, account_profile};
use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::{ACME_KEY, CAFE_KEY, Function, World, file, scheduled, slack_text};

/// The account has the two clients of the configuration and one that was forgotten.
fn account() -> Vec<Value> {
    vec![
        account_profile("Acme Coffee", "r-acme"),
        account_profile("Cafe\u{301} 東京", "r-cafe"),
        account_profile("Birch & <b>Co", "r-birch"),
    ]
}

async fn world() -> World {
    let world = World::new().await;
    world.ayrshare.account(&account());
    world
}

fn birch() -> Value {
    json!([{"title": "Birch & <b>Co", "ref_id": "r-birch"}])
}

/// Moves what the ledger says about unwatched profiles so many days into the past.
fn age_ledger(function: &Function, days: i64) {
    let path = function.path("ledger.json");
    let mut ledger: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
    let channels = ledger["channels"].as_object_mut().expect("channels");
    for records in channels.values_mut().map(|records| records.as_object_mut().expect("records")) {
        for (_, record) in records.iter_mut().filter(|(key, _)| key.starts_with("unwatched#")) {
            let at: Timestamp = record["announced_at"].as_str().expect("text").parse().expect("a time");
            record["announced_at"] = (at - SignedDuration::from_hours(24 * days)).to_string().into();
        }
    }
    // A ledger begins with its version.
    let ledger = format!(r#"{{"version":{},"channels":{}}}"#, ledger["version"], ledger["channels"]);
    std::fs::write(&path, ledger).expect("the ledger is written");
}

#[tokio::test]
async fn three_of_thirty_profiles_are_named_once_and_again_after_30_days() {
    let mut world = World::new().await;
    world.add_ledger();
    let key = |number: usize| format!("KEY-{number:04}-PROFILE");
    world.ayrshare.account(
        &(1..=30)
            .map(|number| account_profile(&format!("Client {number}"), &format!("ref-{number}")))
            .collect::<Vec<_>>(),
    );
    let mut profiles = vec![json!({"name": "Head office", "primary": true})];
    for number in 1..=27 {
        // One is known by its history, one by its user, and the others by their titles.
        let name = if number <= 2 { format!("An old friend {number}") } else { format!("Client {number}") };
        profiles.push(json!({"name": name, "key": key(number)}));
        world.ayrshare.gallery(Some(&key(number)), &[]);
    }
    world.config["profiles"] = profiles.into();
    world.config["channels"][1]["profiles"] = json!(["Client 5", "Client 6"]);
    world.ayrshare.history(Some(&key(1)), Reply::json(200, &json!({"history": [], "refId": "ref-1"})));
    world.ayrshare.user(Some(&key(2)), "Client 2", "ref-2");

    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    let unwatched =
        [28, 29, 30].map(|number| json!({"title": format!("Client {number}"), "ref_id": format!("ref-{number}")}));
    assert_eq!((&result["profiles"]["discovery"], &result["profiles"]["unwatched"]), (&json!("ok"), &json!(unwatched)));
    assert_eq!(result["status"], "ok");
    let outcomes =
        |result: &Value| [0, 1].map(|index| result["channels"][index]["outcome"].as_str().expect("text").to_owned());
    assert_eq!(outcomes(&result), ["delivered", "nothing-due"]);
    let said = slack_text(&function.slack_message());
    let expected = "Nobody watches 3 profiles: Client 28, Client 29 and Client 30. Their media can expire without a word. \
                    Add them to the configuration, or to ignore_profiles.";
    assert!(said.contains(expected), "{said}");

    for (days, outcome) in [(0, "nothing-due"), (29, "nothing-due"), (1, "delivered"), (0, "nothing-due")] {
        age_ledger(&function, days);
        assert_eq!(outcomes(&function.answer(&scheduled()).await), [outcome, "nothing-due"], "{days} days");
    }
    assert_eq!(function.slack.messages().len(), 2);
    assert_eq!(function.sns.publications().len(), 0);
    let log = function.end().await;
    assert!(log.metrics().iter().all(|line| line["ProfilesUnwatched"] == 3));
}

#[tokio::test]
async fn only_channels_that_hear_of_all_profiles_are_told() {
    let mut world = world().await;
    world.config["channels"][0]["profiles"] = json!(["Head office", "Acme Coffee", "Café 東京"]);
    world.ayrshare.gallery(None, &[file("a.png", 5)]);
    world.add_webhook();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["profiles"]["unwatched"], birch());
    let slack = slack_text(&function.slack_message());
    assert!(slack.contains("a.png") && !slack.contains("Birch"), "{slack}");
    let mail = function.publication();
    assert!(mail.message.contains("Nobody watches 1 profile: Birch & <b>Co."), "{}", mail.message);
    assert_eq!(mail.attributes["severity"].1, "1d");
    let delivery = function.webhook.deliveries()[0].body.clone();
    assert_eq!((&delivery["profiles"]["discovery"], &delivery["profiles"]["unwatched"]), (&json!("ok"), &birch()));
    function.end().await;
}

#[tokio::test]
async fn an_unwatched_profile_is_reason_enough_for_a_message() {
    let function = world().await.start().await;
    let result = function.answer(&json!({"dry_run": true})).await;
    assert_eq!(result["channels"][1]["payloads"][0]["attributes"]["severity"]["StringValue"], "profile-unwatched");
    function.answer(&scheduled()).await;
    let mail = function.publication();
    assert_eq!(mail.attributes["severity"].1, "profile-unwatched");
    assert_eq!(mail.subject.as_deref(), Some("Ayrshare: 1 profile not watched"));
    let slack = slack_text(&function.slack_message());
    assert!(slack.contains("Nobody watches 1 profile: Birch &amp; &lt;b&gt;Co. Its media"), "{slack}");
    function.end().await;
}

#[tokio::test]
async fn nothing_is_looked_for_where_it_is_switched_off_or_the_run_is_narrowed() {
    let mut world = world().await;
    world.config["alerts"] = json!({"ignore_profiles": ["Birch *"]});
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["profiles"]["discovery"], &result["profiles"]["unwatched"]), (&json!("ok"), &json!([])));
    assert_eq!(function.ayrshare.requests(None, Call::Profiles), 1);
    let result = function.answer(&json!({"profiles": ["Acme Coffee"]})).await;
    assert_eq!((&result["profiles"]["discovery"], &result["profiles"]["unwatched"]), (&json!("off"), &json!([])));
    function.answer(&json!({"action": "test"})).await;
    assert_eq!(function.ayrshare.requests(None, Call::Profiles), 1);
    function.end().await;

    let mut world = self::world().await;
    world.config["ayrshare"]["discover_profiles"] = false.into();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["profiles"]["discovery"], &result["profiles"]["unwatched"]), (&json!("off"), &json!([])));
    assert_eq!(function.ayrshare.requests(None, Call::Profiles), 0);
    function.end().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_read_changes_nothing_but_one_line_in_the_log() {
    let page = |profiles: Value, pagination: Value| json!({"profiles": profiles, "pagination": pagination});
    let hostile = [
        Reply::text(403, "Forbidden"),
        Reply::text(404, "<html>"),
        Reply::text(500, "oops"),
        Reply::text(200, "{"),
        Reply::json(200, &json!({"profiles": account()})).cut_in_half(),
        Reply::json(200, &json!([])),
        Reply::json(200, &json!({"profiles": {"title": "x"}})),
        Reply::json(200, &json!({"profiles": ["x"]})),
        Reply::json(200, &json!({"status": "error", "profiles": []})),
        // Pages without an end.
        Reply::json(200, &page(json!(account()), json!({"hasMore": true, "nextCursor": "again"}))),
        Reply::json(200, &page(json!(account()), json!({"hasMore": true}))),
    ];
    for reply in hostile {
        let world = World::new().await;
        world.ayrshare.account_reply(reply.clone());
        let function = world.start().await;
        let result = function.answer(&scheduled()).await;
        assert_eq!(result["status"], "ok", "{reply:?}");
        let profiles = &result["profiles"];
        assert_eq!((&profiles["discovery"], &profiles["unwatched"]), (&json!("unavailable"), &json!([])), "{reply:?}");
        assert_eq!(profiles["failed"], json!([]), "{reply:?}");
        assert_eq!(result["channels"][0]["outcome"], "nothing-due", "{reply:?}");
        let lines = function.end().await.lines();
        let about_it = lines.iter().filter(|line| line.to_string().contains("nobody watches")).count();
        assert!(about_it <= 1, "{reply:?}: {lines:?}");
    }
}

#[tokio::test]
async fn a_list_that_hangs_does_not_hold_up_the_run() {
    let world = World::with_gallery(&[file("a.png", 5)]).await;
    world.ayrshare.account_reply(Reply::json(200, &json!({"profiles": account()})).after(Duration::from_mins(1)));
    let function = world.start().await;
    let start = Instant::now();
    let result = function.answer(&scheduled()).await;
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    assert_eq!((&result["profiles"]["discovery"], &result["status"]), (&json!("unavailable"), &json!("ok")));
    assert_eq!(result["channels"][0]["outcome"], "delivered");
    function.end().await;
}

#[tokio::test]
async fn all_pages_are_read_and_hostile_profiles_are_kept_in_their_place() {
    let world = World::new().await;
    let page = |profiles: &[Value], next: Option<&str>| {
        Reply::json(200, &json!({"profiles": profiles, "pagination": {"hasMore": next.is_some(), "nextCursor": next}}))
    };
    let long = "<!channel>\u{202e}\n".repeat(1_000);
    let odd = [
        json!({"title": long, "refId": 7}),
        json!({"title": null, "refId": null}),
        json!({"refId": "r-9", "title": 5}),
    ];
    world.ayrshare.account_first([
        page(&account()[..1], Some("two")),
        // The list has changed meanwhile.
        page(&account(), Some("three")),
        page(&odd, None),
    ]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["profiles"]["discovery"], "ok");
    let unwatched = result["profiles"]["unwatched"].as_array().expect("a list");
    let ref_ids: Vec<_> = unwatched.iter().map(|profile| profile["ref_id"].as_str().expect("text")).collect();
    assert_eq!(ref_ids, ["r-9", "7", "r-birch"]);
    assert_eq!(function.ayrshare.requests(None, Call::Profiles), 3);
    let slack = function.slack_message().to_string();
    assert!(!slack.contains("<!channel>") && slack.len() < 5_000, "{slack}");
    assert!(function.publication().message.len() < 2_000);
    function.end().await;
}

#[tokio::test]
async fn a_check_says_which_profile_is_which() {
    let world = world().await;
    world.ayrshare.user(None, "Primary Profile", "r-primary");
    world.ayrshare.user(Some(ACME_KEY), "Acme Coffee", "r-acme");
    world.ayrshare.history(Some(CAFE_KEY), Reply::json(200, &json!({"history": [], "refId": "r-birch"})));
    let function = world.start().await;
    let result = function.answer(&json!({"action": "check"})).await;
    let expected = json!([
        {"profile": "Head office", "title": "Primary Profile", "ref_id": "r-primary", "title_differs": false},
        {"profile": "Acme Coffee", "title": "Acme Coffee", "ref_id": "r-acme", "title_differs": false},
        {"profile": "Café 東京", "title": "Birch & <b>Co", "ref_id": "r-birch", "title_differs": true},
    ]);
    assert_eq!(result["profiles"]["identified"], expected);
    assert_eq!(result["profiles"]["unwatched"], json!([{"title": "Cafe\u{301} 東京", "ref_id": "r-cafe"}]));
    function.end().await;
}

#[tokio::test]
async fn a_configured_profile_that_may_be_the_one_keeps_the_others_unnamed() {
    let mut world = world().await;
    world.config["profiles"][1]["name"] = json!("A friend");
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["profiles"]["discovery"], &result["status"]), (&json!("unavailable"), &json!("ok")));
    function.ayrshare.user(Some(ACME_KEY), "Acme Coffee", "r-acme");
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["profiles"]["discovery"], &result["profiles"]["unwatched"]), (&json!("ok"), &birch()));
    function.end().await;
}

#[tokio::test]
async fn pages_tell_only_who_hears_of_all_profiles() {
    const SECRET: &str = "correct-horse-battery-staple-0123";
    let mut world = world().await;
    world.config["http"] = json!({"report_url": "https://reports.example/prod", "link_secret": SECRET});
    world.config["channels"][1]["profiles"] = json!(["Head office", "Acme Coffee", "Café 東京"]);
    world.ayrshare.gallery(None, &[file("a.png", 5)]);
    let function = world.start().await;
    function.answer(&scheduled()).await;
    let texts = [slack_text(&function.slack_message()), function.publication().message];
    let pages = texts.map(|text| {
        let (_, link) = text.split_once("https://reports.example/prod").expect("a link");
        link.split(['|', '\n']).next().expect("an end").to_owned()
    });
    let get = async |target: &str| {
        let answer = function.answer(&request(&format!("GET {target}")).v2()).await;
        answer["body"].as_str().expect("a body").to_owned()
    };
    let sentence = "Nobody watches 1 profile: Birch";
    assert!(get(&pages[0]).await.contains(sentence));
    assert!(!get(&format!("{}?profile=Acme+Coffee", pages[0])).await.contains(sentence));
    assert!(!get(&pages[1]).await.contains(sentence));
    assert!(get("/report?format=html").await.contains(sentence));
    assert!(get("/report?format=html&within=1d").await.contains(sentence));
    assert!(!get("/report?format=html&profile=Acme+Coffee").await.contains(sentence));
    assert!(!get("/report?format=csv").await.contains("Birch"));
    assert_eq!(function.ayrshare.requests(None, Call::Profiles), 1, "the pages show the last snapshot");
    function.end().await;
}
