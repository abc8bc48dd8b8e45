//! Dates of Ayrshare that are missing, placeholders, or cannot be read.

use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};

use crate::support::{World, file, in_hours, scheduled, slack_text};

fn with_expiry(name: &str, expires_at: Value) -> Value {
    let mut file = file(name, 5);
    file["expiresAt"] = expires_at;
    file
}

fn post(id: &str, due: &Value, file: &Value) -> Value {
    json!({"id": id, "post": id, "platforms": ["tiktok"], "status": "pending", "scheduleDate": due, "mediaUrls": [file["url"]]})
}

#[tokio::test]
async fn every_format_of_an_expiry_is_parsed() {
    let expiry = in_hours(20);
    let second = expiry.as_second();
    let world = World::with_gallery(&[
        with_expiry("firestore.png", json!({"_seconds": second, "_nanoseconds": 0})),
        with_expiry("text.png", json!({"seconds": second.to_string()})),
        with_expiry("naive.png", expiry.strftime("%Y-%m-%dT%H:%M:%S").to_string().into()),
        with_expiry("milliseconds.png", json!(second * 1_000)),
    ])
    .await;
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["media"]["expiring"]), (&json!("ok"), &json!(4)));
    function.end().await;
}

#[tokio::test]
async fn a_placeholder_is_not_a_date() {
    let placeholders = ["1970-01-01T00:00:00.000Z", "0001-01-01T00:00:00Z", "0000-00-00 00:00:00", ""];
    let files: Vec<_> = placeholders.iter().map(|date| with_expiry(&format!("{date}.png"), (*date).into())).collect();
    let world = World::with_gallery(&files).await;
    world.ayrshare.posts(None, &[post("p1", &in_hours(72).to_string().into(), &files[0])]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["media"]["undated"]), (&json!("ok"), &json!(4)), "{result}");
    assert_eq!(result["posts_at_risk"], json!([]));
    function.end().await;
}

#[tokio::test]
async fn unreadable_dates_are_reported_and_make_the_run_partial() {
    let mut world = World::with_gallery(&[
        with_expiry("soon.png", "soon".into()),
        with_expiry("flag.png", true.into()),
        file("well.png", 5),
    ])
    .await;
    world.config["alerts"] = json!({"when_empty": "report"});
    let well = file("well.png", 5);
    let posts = [post("p1", &"on Friday".into(), &well), post("p2", &Value::Null, &well)];
    world.ayrshare.history(None, Reply::json(200, &json!({"history": posts})));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    assert_eq!((&result["status"], &result["profiles"]["checked"]), (&json!("partial"), &json!(3)));
    let failed = |what: &str, message: &str| {
        json!({"profile": "Head office", "what": what, "kind": "bad-response", "http_status": null, "code": null,
            "message": message})
    };
    assert_eq!(
        result["profiles"]["failed"],
        json!([
            failed("dates", "the expiry of 2 files cannot be read"),
            failed("posts", "the due date of 1 scheduled post cannot be read"),
        ])
    );
    assert_eq!((&result["media"]["undated"], &result["media"]["expiring"]), (&json!(2), &json!(1)));
    let text = slack_text(&function.slack_message());
    assert!(text.contains("some of its expiry dates could not be read") && text.contains("soon.png"), "{text}");
    assert!(!text.contains("All clear"), "{text}");
    function.end().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped_in_galleries_and_posts() {
    let listed = file("today.png", 5);
    let world = World::new().await;
    world.ayrshare.media(None, Reply::text(200, &format!("\u{feff}{}", json!([listed]))));
    let history = json!({"history": [post("p1", &in_hours(72).to_string().into(), &listed)], "count": 1});
    world.ayrshare.history(None, Reply::text(200, &format!("\u{feff}{history}")));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["status"], "ok", "{result}");
    assert_eq!((&result["media"]["listed"], &result["posts_at_risk"][0]["id"]), (&json!(1), &json!("p1")));
    function.end().await;
}
