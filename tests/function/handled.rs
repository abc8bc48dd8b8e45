//! Files that readers mark as handled on the page behind a link.

use media_expiry_alerts::demo::stand_ins::scheduled_post;
use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::{ACME_KEY, Function, World, file, in_hours, scheduled, slack_text};

async fn world(files: &[Value]) -> World {
    let mut world = World::with_gallery(files).await;
    world.add_ledger();
    world.config["http"] = json!({
        "report_url": "https://reports.example/prod",
        "link_secret": "correct-horse-battery-staple-0123",
        "allow_handled": true,
    });
    world
}

async fn alert(function: &Function) -> Value {
    function.answer(&scheduled()).await
}

/// Alerts, and returns the path of the link in the last Slack message.
async fn link(function: &Function) -> String {
    alert(function).await;
    let text = slack_text(&function.slack.messages().last().expect("a message").clone());
    let (_, link) = text.split_once("<https://reports.example/prod").expect("a link");
    link.split_once('|').expect("an end").0.to_owned()
}

fn form(profile: &str, file: &Value, handled: &str) -> String {
    let id = file["id"].as_str().expect("an id");
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("profile", profile), ("id", id), ("handled", handled)])
        .finish()
}

/// The event of a form on the page behind a link.
fn post(link: &str, body: &str) -> Value {
    let mut event = request(&format!("POST {link}/handled")).body(body).unauthorized().v2();
    event["headers"]["content-type"] = "application/x-www-form-urlencoded".into();
    event
}

async fn page(function: &Function, link: &str) -> String {
    let answer = function.answer(&request(&format!("GET {link}")).accept("text/html").unauthorized().v2()).await;
    assert_eq!(answer["statusCode"], 200);
    assert!(
        answer["headers"]["content-security-policy"]
            .as_str()
            .is_some_and(|policy| policy.contains("form-action 'self'"))
    );
    answer["body"].as_str().expect("a page").to_owned()
}

#[tokio::test]
async fn a_marked_file_is_not_announced_to_that_channel_until_the_mark_is_taken_back() {
    let mut files = vec![file("known.png", 48), file("other.png", 48)];
    let function = world(&files).await.start().await;
    let link = link(&function).await;
    assert_eq!(page(&function, &link).await.matches("value=\"yes\"").count(), 2);
    // Every gateway has its own way to send a form.
    let body = form("Head office", &files[0], "yes");
    let asked = request(&format!("POST {link}/handled")).body(&body).unauthorized();
    for event in [post(&link, &body), asked.function_url(), asked.v1()] {
        let answer = function.answer(&event).await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(303), &json!("")), "{answer}");
        assert_eq!(answer["headers"]["location"], format!("https://reports.example/prod{link}"));
    }
    let marked = page(&function, &link).await;
    assert_eq!((marked.matches("value=\"yes\"").count(), marked.matches("value=\"no\"").count()), (1, 1), "{marked}");

    files.push(file("new.png", 5));
    function.ayrshare.gallery(None, &files);
    let result = alert(&function).await;
    assert_eq!(result["items"][0]["handled"], json!([]));
    assert_eq!(result["items"][1]["handled"], json!(["social-team"]));
    let text = slack_text(&function.slack.messages()[1]);
    assert!(text.contains("1 file is marked as handled.") && text.contains("1 item was announced before"), "{text}");
    assert!(!function.sns.publications()[1].message.contains("handled"), "the other channel has no marks");

    let answer = function.answer(&post(&link, &form("Head office", &files[0], "no"))).await;
    assert_eq!(answer["statusCode"], 303);
    assert_eq!(page(&function, &link).await.matches("value=\"yes\"").count(), 3);
    function.end().await;
}

#[tokio::test]
async fn a_mark_before_the_first_alert_keeps_a_file_quiet_but_not_its_post_or_a_new_expiry() {
    let quiet = file("quiet.png", 48);
    let world = world(&[file("first.png", 2)]).await;
    let function = world.start().await;
    let link = link(&function).await;
    function.ayrshare.gallery(None, std::slice::from_ref(&quiet));
    // A report over all profiles replaces the last snapshot.
    function.answer(&request("GET /report?live=true").v2()).await;
    let answer = function.answer(&post(&link, &form("Head office", &quiet, "yes"))).await;
    assert_eq!(answer["statusCode"], 303, "{answer}");
    let announced = |result: &Value| [0, 1].map(|index| result["channels"][index]["announced"].as_u64());
    assert_eq!(announced(&alert(&function).await), [Some(0), Some(1)]);

    function.ayrshare.posts(None, &[scheduled_post("post", "Launch", &["x"], &[&quiet], in_hours(72))]);
    alert(&function).await;
    let text = slack_text(&function.slack.messages().last().expect("a message").clone());
    assert!(text.contains("Launch") && text.contains("quiet.png"), "{text}");

    function.ayrshare.gallery(None, &[file("quiet.png", 47)]);
    function.ayrshare.posts(None, &[]);
    let result = alert(&function).await;
    assert_eq!(result["items"][0]["handled"], json!([]));
    assert_eq!(announced(&result), [Some(1), Some(1)]);
    function.end().await;
}

#[tokio::test]
async fn a_form_about_anything_that_the_page_does_not_show_is_rejected() {
    let (office, acme) = (file("office.png", 48), file("acme.png", 48));
    let mut world = world(std::slice::from_ref(&office)).await;
    world.ayrshare.gallery(Some(ACME_KEY), std::slice::from_ref(&acme));
    world.config["channels"][0]["profiles"] = json!(["Head office"]);
    let function = world.start().await;
    let link = link(&function).await;
    for (body, status) in [
        (form("Acme Coffee", &acme, "yes"), 404),
        (form("Head office", &acme, "yes"), 404),
        (form("head office", &office, "yes"), 404),
        ("profile=Head%20office&id=&handled=yes".to_owned(), 404),
        (form("Head office", &office, "maybe"), 400),
        ("{}".to_owned(), 400),
    ] {
        let answer = function.answer(&post(&link, &body)).await;
        assert_eq!(answer["statusCode"], status, "{body}");
        assert!(!answer.to_string().contains("acme"), "{answer}");
    }
    let answer = function.answer(&post("/r/some-token", &form("Head office", &office, "yes"))).await;
    assert_eq!(answer["statusCode"], 404);
    let mut broken = post(&link, "%%%");
    broken["isBase64Encoded"] = true.into();
    assert_eq!(function.answer(&broken).await["statusCode"], 400);
    let ledger = std::fs::read_to_string(function.path("ledger.json")).expect("a ledger");
    assert!(!ledger.contains("handled#"), "{ledger}");
    function.end().await;
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_changes_nothing() {
    let office = file("office.png", 48);
    let function = world(std::slice::from_ref(&office)).await.start().await;
    let link = link(&function).await;
    std::fs::write(function.path("ledger.json"), "something else").expect("a file");
    let answer = function.answer(&post(&link, &form("Head office", &office, "yes"))).await;
    assert_eq!(answer["statusCode"], 502);
    assert_eq!(std::fs::read_to_string(function.path("ledger.json")).expect("a file"), "something else");
    function.end().await;
}
