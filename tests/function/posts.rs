//! Scheduled posts that will fail: each reason, and the cases that are not reported as a failure.

use std::io::ErrorKind;
use std::net::TcpListener;

use media_expiry_alerts::demo::stand_ins::{Call, Reply};
use serde_json::{Value, json};

use crate::support::{ACME_KEY, World, file, in_hours, scheduled};

fn post(id: &str, url: &str) -> Value {
    json!({"id": id, "post": id, "platforms": ["tiktok"], "status": "pending", "mediaUrls": [url],
        "scheduleDate": in_hours(72).to_string()})
}

/// The reasons of all posts at risk, by the id of the post.
fn reasons(result: &Value) -> Vec<(&str, &str)> {
    let posts = result["posts_at_risk"].as_array().expect("posts");
    let mut reasons: Vec<_> = posts
        .iter()
        .map(|post| (post["id"].as_str().expect("an id"), post["media"][0]["reason"].as_str().expect("a reason")))
        .collect();
    reasons.sort_unstable();
    reasons
}

#[tokio::test]
async fn each_reason_is_reported_and_inconclusive_answers_are_not() {
    let (soon, expired, later) = (file("soon.png", 50), file("old.png", -5), file("later.png", 500));
    let world = World::with_gallery(&[soon.clone(), expired.clone(), later.clone()]).await;
    // Nobody but Ayrshare may open the URL of a post, so this server must see no connection.
    let server = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    server.set_nonblocking(true).expect("a socket");
    let origin = format!("http://{}", server.local_addr().expect("an address"));
    let signed_at = in_hours(0).strftime("%Y%m%dT%H%M%SZ");
    let signed = format!("{origin}/a.png?X-Amz-Date={signed_at}&X-Amz-Expires=3600&X-Amz-Signature=ab");
    let url = |name: &str| format!("{origin}/{name}.png");
    for (name, status) in [("missing", 404), ("gone", 410), ("denied", 403), ("broken", 500)] {
        world.ayrshare.url_status(&url(name), status);
    }
    let text = |file: &Value| file["url"].as_str().expect("a URL").to_owned();
    let posts = [
        post("1 expires", &text(&soon)),
        post("2 expired", &text(&expired)),
        post("3 safe", &text(&later)),
        post("4 signed", &signed),
        post("5 missing", &url("missing")),
        post("6 gone", &url("gone")),
        post("7 denied", &url("denied")),
        post("8 broken", &url("broken")),
        post("9 fine", &url("fine")),
    ];
    world.ayrshare.posts(Some(ACME_KEY), &posts);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["status"], "ok", "{result}");
    assert_eq!(
        reasons(&result),
        [
            ("1 expires", "expires-before-post"),
            ("2 expired", "already-gone"),
            ("4 signed", "link-expires-before-post"),
            ("5 missing", "already-gone"),
            ("6 gone", "already-gone"),
        ]
    );
    let unverified = |id: &str, name: &str, status: u16| json!({"profile": "Acme Coffee", "post_id": id, "url": url(name), "http_status": status});
    assert_eq!(
        result["posts"],
        json!({"scheduled": 9, "at_risk": 5, "urls_unverified": 2,
            "unverified": [unverified("7 denied", "denied", 403), unverified("8 broken", "broken", 500)]})
    );
    // Each URL that is in no gallery was checked once, with the key of its profile. The presigned URL was not checked.
    assert_eq!(function.ayrshare.requests(Some(ACME_KEY), Call::UrlExists), 5);
    let connection = server.accept().map_err(|error| error.kind());
    assert_eq!(connection.expect_err("no connection"), ErrorKind::WouldBlock);
    function.end().await;
}

#[tokio::test]
async fn a_post_that_is_listed_with_two_contents_is_checked_with_both() {
    let (soon, later) = (file("soon.png", 50), file("later.png", 500));
    let world = World::with_gallery(&[soon.clone(), later.clone()]).await;
    let of_status = |status: &str, file: &Value| {
        let mut post = post("changed", file["url"].as_str().expect("a URL"));
        post["status"] = status.into();
        post
    };
    world.ayrshare.posts(None, &[of_status("pending", &later), of_status("paused", &soon)]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], reasons(&result)), (&json!("ok"), vec![("changed", "expires-before-post")]));
    function.end().await;
}

#[tokio::test]
async fn a_file_in_an_unreadable_gallery_is_not_reported_as_gone() {
    let world = World::new().await;
    let elsewhere = file("elsewhere.png", 500);
    world.ayrshare.media(None, Reply::text(403, "no"));
    world.ayrshare.posts(Some(ACME_KEY), &[post("1", elsewhere["url"].as_str().expect("a URL"))]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], reasons(&result)), (&json!("partial"), vec![]));
    function.end().await;
}

#[tokio::test]
async fn urls_are_not_reported_if_checking_them_is_disabled() {
    let mut world = World::new().await;
    world.config["ayrshare"]["check_media_urls"] = false.into();
    world.ayrshare.url_status("https://cdn.example.com/a.png", 404);
    world.ayrshare.posts(None, &[post("1", "https://cdn.example.com/a.png")]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["posts"]["at_risk"], &result["posts"]["urls_unverified"]), (&json!(0), &json!(0)));
    assert_eq!(function.ayrshare.requests(None, Call::UrlExists), 0);
    function.end().await;
}

#[tokio::test]
async fn an_unknown_shape_of_media_is_reported_as_a_failure() {
    let world = World::new().await;
    let odd = json!({"id": "1", "post": "odd", "status": "pending", "mediaUrls": 7});
    world.ayrshare.history(None, Reply::json(200, &json!({"history": [odd]})));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["profiles"]["failed"][0]["what"]), (&json!("partial"), &json!("posts")));
    function.end().await;
}
