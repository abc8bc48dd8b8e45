//! More profiles from a list, and which channels hear of them.

use std::time::Duration;

use media_expiry_alerts::demo::stand_ins::Call;
use serde_json::{Value, json};

use crate::support::http::{HttpAnswer, request};
use crate::support::list::ListStandIn;
use crate::support::{ACME_KEY, Function, InvocationDeadline, World, file, scheduled, slack_text};

const BIRCH_KEY: &str = "B1RCH00-PROFILE-KEY0000-0000001";
const CEDAR_KEY: &str = "CEDAR00-PROFILE-KEY0000-0000002";
const TOKEN: &str = "list-token-0123456789";

fn entry(name: &str, key: &str, tags: &[&str]) -> String {
    json!({"name": name, "key": key, "tags": tags, "plan": "pro"}).to_string()
}

/// Two entries as JSON Lines.
fn lines() -> String {
    format!("{}\n{}\n", entry("Birch & Co", BIRCH_KEY, &["emea"]), entry("Cedar", CEDAR_KEY, &[]))
}

/// A world with one profile in the configuration and a list with two more.
async fn world(url: &str) -> World {
    let mut world = World::with_gallery(&[file("office.png", 5)]).await;
    world.ayrshare.gallery(Some(BIRCH_KEY), &[file("birch.png", 6)]);
    world.ayrshare.gallery(Some(CEDAR_KEY), &[file("cedar.png", 7)]);
    world.config["profiles"] = json!([{"name": "Head office", "primary": true}]);
    world.config["profiles_from"] = json!({"url": url});
    world
}

/// Ends the function and checks that nothing of the list has become public.
async fn end(function: Function, lists: &[&ListStandIn]) {
    let sent = function.sent_texts();
    let log = function.end().await.stdout;
    let requests: Vec<_> = lists.iter().flat_map(|list| list.requests()).collect();
    for secret in [BIRCH_KEY, CEDAR_KEY, TOKEN, "LIST-DETAIL"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
        assert!(sent.iter().all(|text| !text.contains(secret)), "{secret} is in a message");
        let is_token = secret == TOKEN;
        assert!(is_token || requests.iter().all(|request| !request.contains(secret)));
    }
}

fn failed(result: &Value) -> Vec<[String; 3]> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let failed = result["profiles"]["failed"].as_array().expect("an array");
    failed.iter().map(|one| ["profile", "what", "kind"].map(|key| text(&one[key]))).collect()
}

fn files(result: &Value) -> Vec<&str> {
    result["items"].as_array().expect("items").iter().filter_map(|item| item["file_name"].as_str()).collect()
}

/// The one failure of the whole list.
fn of_list(kind: &str) -> Vec<[String; 3]> {
    vec![["profiles_from", "profiles", kind].map(ToOwned::to_owned)]
}

async fn ask(function: &Function, target: &str) -> HttpAnswer {
    function.answer(&request(target).v2()).await.into()
}

#[tokio::test]
async fn a_list_is_read_at_the_start_of_each_run_with_its_token() {
    let list = ListStandIn::start(&lines()).await;
    let mut world = world(list.url()).await;
    world.config["profiles_from"]["token"] = json!(TOKEN);
    let function = world.start().await;
    assert_eq!(list.requests().len(), 0, "not at init");
    for runs in 1..=2 {
        let result = function.answer(&json!({"action": "report"})).await;
        assert_eq!((&result["status"], &result["profiles"]["configured"]), (&json!("ok"), &json!(3)), "{result}");
        assert_eq!(files(&result), ["office.png", "birch.png", "cedar.png"]);
        assert_eq!(list.requests().len(), runs);
    }
    let head = list.requests()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /profiles?tenant=7 ") && head.contains(&format!("authorization: bearer {TOKEN}")));

    list.document(&format!("[{}]", entry("Cedar", CEDAR_KEY, &[])));
    let result = function.answer(&json!({"action": "report"})).await;
    assert_eq!(files(&result), ["office.png", "cedar.png"]);
    end(function, &[&list]).await;
}

#[tokio::test]
async fn a_list_in_a_file_can_be_all_that_there_is() {
    let mut world = world("").await;
    let path = world.path("profiles.jsonl");
    std::fs::write(&path, format!("\u{feff}{}", lines())).expect("a file");
    world.config.as_object_mut().expect("an object").remove("profiles");
    world.config["profiles_from"] = json!({"url": path});
    let function = world.start().await;
    let result = function.answer(&json!({"action": "report"})).await;
    assert_eq!((&result["status"], files(&result)), (&json!("ok"), vec!["birch.png", "cedar.png"]));

    let narrowed = function.answer(&json!({"action": "report", "profiles": ["Cedar"]})).await;
    assert_eq!(files(&narrowed), ["cedar.png"]);
    let (kind, message) = function.error(&json!({"profiles": ["Nobody"]})).await;
    assert_eq!(kind, "InvalidEvent");
    assert!(
        message.contains("there is no profile `Nobody`; the configuration has `Birch & Co` and `Cedar`"),
        "{message}"
    );
    assert_eq!(ask(&function, "GET /report?profile=Cedar").await.body["items"][0]["file_name"], "cedar.png");
    assert_eq!(ask(&function, "GET /report?profile=Nobody").await.status, 400);

    std::fs::remove_file(&path).expect("it is ours");
    let result = function.answer(&json!({"action": "report"})).await;
    assert_eq!((&result["status"], failed(&result)), (&json!("partial"), of_list("not-found")));
    assert_eq!(files(&result), ["birch.png", "cedar.png"], "served from the copy");
    end(function, &[]).await;
}

#[tokio::test]
async fn an_invalid_entry_is_named_and_stops_nothing() {
    let bad = [
        entry("Birch & Co", CEDAR_KEY, &[]),
        json!({"key": CEDAR_KEY}).to_string(),
        format!("{{\"name\": \"cut\", \"key\": \"{CEDAR_KEY}"),
        entry("Blank", " ", &[]),
        json!({"name": "Tags", "key": CEDAR_KEY, "tags": "emea"}).to_string(),
        entry("Head office", CEDAR_KEY, &[]),
        entry("a\u{7}b", CEDAR_KEY, &[]),
    ];
    let list = ListStandIn::start(&format!(
        "{}\n{}\n{}",
        entry("Birch & Co", BIRCH_KEY, &[]),
        bad.join("\n"),
        entry("Cedar", CEDAR_KEY, &[])
    ))
    .await;
    let mut world = world(list.url()).await;
    world.add_ledger();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    let expected =
        ["Birch & Co", "profiles_from[2]", "profiles_from[3]", "Blank", "Tags", "Head office", "profiles_from[7]"];
    let expected = expected.map(|name| [name, "profiles", "invalid-entry"].map(ToOwned::to_owned));
    assert_eq!((&result["status"], failed(&result)), (&json!("partial"), expected.to_vec()));
    assert_eq!(files(&result), ["office.png", "birch.png", "cedar.png"]);
    let text = slack_text(&function.slack_message());
    assert!(text.contains("profiles_from[2]") && text.contains("it has no name"), "{text}");

    // It is no news in the next run, and good news when it is mended.
    function.answer(&scheduled()).await;
    assert_eq!(function.slack.messages().len(), 1);
    list.document(&lines());
    let mended = function.answer(&scheduled()).await;
    assert_eq!(mended["status"], "ok");
    let messages = function.slack.messages();
    assert_eq!(messages.len(), 2);
    assert!(slack_text(&messages[1]).contains("No longer wrong in the list of profiles"), "{}", messages[1]);
    end(function, &[&list]).await;
}

#[tokio::test]
async fn a_list_that_cannot_be_read_fails_the_run_until_there_is_a_copy() {
    let list = ListStandIn::start(&lines()).await;
    let function = world(list.url()).await.start().await;
    list.refuse("503 Service Unavailable", "");
    let (kind, message) = function.error(&scheduled()).await;
    assert_eq!(kind, "RunFailed", "{message}");
    assert!(message.contains("profiles_from (unavailable)"), "{message}");
    assert_eq!(list.requests().len(), 3, "it is tried again like Ayrshare");
    // The configured profiles are served, and everybody hears that others may be missing.
    let text = slack_text(&function.slack_message());
    assert!(text.contains("office.png") && text.contains("profiles_from"), "{text}");

    list.document(&lines());
    assert_eq!(function.answer(&json!({"action": "report"})).await["status"], "ok");
    let elsewhere = ListStandIn::start(&lines()).await;
    let moved = format!("location: {}\r\n", elsewhere.url());
    for (status, headers, kind) in [
        ("401 Unauthorized", "", "unauthorized"),
        ("403 Forbidden", "", "forbidden"),
        ("404 Not Found", "", "not-found"),
        ("307 Temporary Redirect", moved.as_str(), "bad-response"),
        ("204 No Content", "", "bad-response"),
    ] {
        list.refuse(status, headers);
        let result = function.answer(&json!({"action": "report"})).await;
        assert_eq!((&result["status"], failed(&result)), (&json!("partial"), of_list(kind)), "{status}");
        assert_eq!(files(&result).len(), 3, "served from the copy");
    }
    assert_eq!(elsewhere.requests().len(), 0, "no redirect is followed");
    for document in ["", "{\"error\": \"internal\"}", "<html>", &format!("[{}", entry("Birch & Co", BIRCH_KEY, &[]))] {
        list.document(document);
        let result = function.answer(&json!({"action": "report"})).await;
        assert_eq!((&result["status"], failed(&result)), (&json!("partial"), of_list("bad-response")), "{document}");
    }
    // The connection ends before the document does.
    list.raw(&format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", lines()));
    let result = function.answer(&json!({"action": "report"})).await;
    assert_eq!((&result["status"], failed(&result)), (&json!("partial"), of_list("bad-response")));

    list.delay(Duration::from_mins(1));
    let event = json!({"action": "report"});
    let result = function.invoke_until(&event, InvocationDeadline::In(Duration::from_secs(9))).await.expect_answer();
    assert_eq!((&result["status"], failed(&result)), (&json!("partial"), of_list("timeout")));
    end(function, &[&list, &elsewhere]).await;
}

#[tokio::test]
async fn globs_and_tags_route_the_profiles_of_a_list() {
    let list = ListStandIn::start(&lines()).await;
    let mut world = world(list.url()).await;
    world.config["channels"][0]["profiles"] = json!(["Birch *"]);
    world.config["channels"][1]["tags"] = json!(["emea"]);
    world.config["channels"][1]["profiles"] = json!(["Head office"]);
    let function = world.start().await;
    function.answer(&scheduled()).await;
    let text = slack_text(&function.slack_message());
    assert!(text.contains("birch.png") && !text.contains("office.png") && !text.contains("cedar.png"), "{text}");
    let text = format!("{:?}", function.publication());
    assert!(text.contains("birch.png") && text.contains("office.png") && !text.contains("cedar.png"), "{text}");
    end(function, &[&list]).await;
}

#[tokio::test]
async fn a_channel_of_configured_profiles_alone_hears_nothing_of_the_list() {
    let list = ListStandIn::start("nonsense").await;
    let mut world = world(list.url()).await;
    world.config["channels"][0]["profiles"] = json!(["Head office"]);
    world.config["channels"][1]["profiles"] = json!(["Nobody *"]);
    let function = world.start().await;
    function.error(&scheduled()).await;
    let text = slack_text(&function.slack_message());
    assert!(text.contains("office.png") && !text.contains("profiles_from"), "{text}");
    let text = format!("{:?}", function.publication());
    assert!(text.contains("profiles_from") && !text.contains("office.png"), "{text}");
    end(function, &[&list]).await;
}

#[tokio::test]
async fn a_channel_without_profiles_hears_when_the_list_can_be_read_again() {
    let list = ListStandIn::start("nonsense").await;
    let mut world = world(list.url()).await;
    world.add_ledger();
    world.config["channels"][1]["profiles"] = json!(["Nobody *"]);
    let function = world.start().await;
    function.error(&scheduled()).await;
    let text = format!("{:?}", function.publication());
    assert!(text.contains("profiles_from"), "{text}");
    list.document(&lines());
    function.answer(&scheduled()).await;
    function.answer(&scheduled()).await;
    let publications = function.sns.publications();
    let [_, recovered] = &publications[..] else { panic!("{} publications arrived", publications.len()) };
    let text = format!("{recovered:?}");
    assert!(text.contains("profiles_from") && !text.contains("birch.png"), "{text}");
    end(function, &[&list]).await;
}

#[tokio::test]
async fn a_link_shows_what_its_channel_has_and_reads_the_list_only_to_scan() {
    let list = ListStandIn::start(&lines()).await;
    let mut world = world(list.url()).await;
    world.config["http"] =
        json!({"report_url": "https://reports.example", "link_secret": "correct-horse-battery-staple-0123"});
    world.config["channels"][0]["tags"] = json!(["emea"]);
    let function = world.start().await;
    function.answer(&scheduled()).await;
    let text = slack_text(&function.slack_message());
    let (_, link) = text.split_once("<https://reports.example").expect("a link");
    let link = link.split_once('|').expect("an end").0;

    for query in ["", "?profile=Cedar"] {
        let page = ask(&function, &format!("GET {link}{query}")).await;
        let body = page.body.as_str().expect("a page");
        assert!(page.status == 200 && body.contains("birch.png"), "{body}");
        assert!(!body.contains("Cedar") && !body.contains("cedar.png") && !body.contains("office.png"));
    }
    assert_eq!(list.requests().len(), 1, "the snapshot of the alert run is enough");
    assert_eq!(function.ayrshare.requests(Some(BIRCH_KEY), Call::Media), 1);

    // The channel has no profiles any more.
    list.document("[]");
    function.answer(&scheduled()).await;
    assert_eq!(ask(&function, &format!("GET {link}")).await.status, 404);
    end(function, &[&list]).await;
}

#[tokio::test]
async fn a_configuration_that_asks_for_two_lists_or_none_is_invalid() {
    let mut world = World::new().await;
    world.config["profiles_from"] = json!({"url": "ftp://example.com/list", "token": "a b", "table": "t", "colour": 1});
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert_eq!(kind, "InvalidConfiguration");
    assert!(message.contains("profiles_from.table: cannot be set together with `url`"), "{message}");
    assert!(message.contains("profiles_from.colour: is not a key") && !message.contains(ACME_KEY), "{message}");
    function.end().await;
}
