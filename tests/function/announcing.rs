//! What is announced, and to which channels.

use std::time::Duration;

use media_expiry_alerts::demo::stand_ins::{Call, Reply, scheduled_post};
use serde_json::json;

use crate::support::{ACME_KEY, CAFE_KEY, World, file, in_hours, scheduled, slack_text, undated};

#[tokio::test]
async fn the_documented_gallery_is_announced_on_slack_and_by_email() {
    // The example of Ayrshare's documentation without its comments. Its files have expired by now.
    let world = World::with_gallery(&[
        json!({
            "id": "5553a26a-cffb-4a31-bd89-dee296d35648-jpeg",
            "timeCreated": "2025-07-30T20:23:49.774Z",
            "size": "223340",
            "url": "https://images.ayrshare.com/5c0f7f2a/5553a26a-cffb-4a31-bd89-dee296d35648.jpeg",
            "fileName": "test1.jpeg",
            "description": "Test1",
            "expiresAt": "2025-09-05T22:00:48.000Z",
        }),
        json!({
            "id": "9e2bbf10-7d1c-4d0e-8e1f-0a6c2b7d4f35-mp4",
            "timeCreated": "2025-07-30T20:25:11.102Z",
            "size": "10485760",
            "url": "https://images.ayrshare.com/5c0f7f2a/9e2bbf10-7d1c-4d0e-8e1f-0a6c2b7d4f35.mp4",
            "fileName": "test2.mp4",
            "description": "Test2",
            "expiresAt": "2025-09-05T22:00:48.000Z",
        }),
    ])
    .await;
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    assert_eq!(result["status"], "ok");
    assert_eq!(result["media"], json!({"listed": 2, "expiring": 0, "expired": 2, "undated": 0, "ignored": 0}));
    assert_eq!(result["items"][0]["size_bytes"], 223_340);
    assert_eq!(result["items"][0]["created_at"], "2025-07-30T20:23:49.774Z");
    assert_eq!(result["items"][1]["kind"], "video");
    for channel in result["channels"].as_array().expect("channels") {
        assert_eq!((&channel["outcome"], &channel["announced"]), (&json!("delivered"), &json!(2)), "{channel}");
    }
    let slack = slack_text(&function.slack_message());
    let mail = function.publication().message;
    for name in ["test1.jpeg", "test2.mp4"] {
        assert!(slack.contains(name) && mail.contains(name), "{slack}\n{mail}");
    }
    assert!(mail.contains("Fri 5 Sep 2025, 22:00 UTC"), "{mail}");
    assert!(function.publication().subject.expect("a subject").contains("2 expired"));
    assert_eq!(function.heartbeat.beats(), [""]);
    function.end().await;
}

#[tokio::test]
async fn items_within_a_threshold_are_announced_most_urgent_first() {
    let mut world = World::with_gallery(&[
        file("far.png", 24 * 8),
        file("week.png", 24 * 6),
        undated("undated.png"),
        file("three-days.png", 24 * 2),
        file("gone.png", -5),
        file("draft.tmp", 3),
        file("today.png", 3),
    ])
    .await;
    world.config["alerts"] = json!({"ignore": ["*.tmp"]});
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    assert_eq!(result["media"], json!({"listed": 7, "expiring": 3, "expired": 1, "undated": 1, "ignored": 1}));
    let items: Vec<_> = result["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| json!([item["file_name"], item["state"], item["threshold"]]))
        .collect();
    let expected = [
        json!(["gone.png", "expired", null]),
        json!(["today.png", "expiring", "1d"]),
        json!(["three-days.png", "expiring", "3d"]),
        json!(["week.png", "expiring", "7d"]),
        json!(["undated.png", "undated", null]),
    ];
    assert_eq!(items, expected);

    for text in [slack_text(&function.slack_message()), function.publication().message] {
        let places: Vec<_> = ["gone.png", "today.png", "three-days.png", "week.png", "undated.png"]
            .iter()
            .map(|name| text.find(name).unwrap_or_else(|| panic!("{name} is not in {text}")))
            .collect();
        assert!(places.is_sorted(), "{text}");
        assert!(!text.contains("far.png") && !text.contains("draft.tmp"), "{text}");
    }
    function.end().await;
}

#[tokio::test]
async fn profiles_are_read_concurrently_each_with_its_own_key() {
    let world = World::new().await;
    for (key, name) in [(None, "primary.png"), (Some(ACME_KEY), "acme.png"), (Some(CAFE_KEY), "cafe.png")] {
        let gallery = Reply::json(200, &json!([file(name, 5)]));
        world.ayrshare.media(key, gallery.after(Duration::from_millis(200)));
    }
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    let items: Vec<_> = result["items"].as_array().expect("items").iter().map(|item| &item["profile"]).collect();
    assert_eq!(items, ["Head office", "Acme Coffee", "Café 東京"]);
    for key in [None, Some(ACME_KEY), Some(CAFE_KEY)] {
        assert_eq!(function.ayrshare.requests(key, Call::Media), 1);
    }
    assert!(3 <= function.ayrshare.most_at_once());
    function.end().await;
}

#[tokio::test]
async fn concurrency_stays_within_the_configured_limit() {
    let mut world = World::new().await;
    world.config["ayrshare"]["concurrency"] = 2.into();
    world.config["ayrshare"]["scheduled_posts"] = false.into();
    for key in [None, Some(ACME_KEY), Some(CAFE_KEY)] {
        world.ayrshare.media(key, Reply::json(200, &json!([])).after(Duration::from_millis(100)));
    }
    let function = world.start().await;
    function.answer(&scheduled()).await;
    assert_eq!(function.ayrshare.most_at_once(), 2);
    function.end().await;
}

#[tokio::test]
async fn each_channel_has_its_own_profiles_and_thresholds() {
    let mut world = World::with_gallery(&[file("head-soon.png", 5), file("head-later.png", 24 * 10)]).await;
    world.ayrshare.gallery(Some(ACME_KEY), &[file("acme-soon.png", 5), file("acme-later.png", 24 * 2)]);
    world.config["channels"][0]["profiles"] = json!(["Acme Coffee"]);
    world.config["channels"][0]["thresholds"] = json!(["1d"]);
    world.config["channels"][1]["thresholds"] = json!(["14d"]);
    world.config["channels"][1]["profiles"] = json!(["Head office", "Café 東京"]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    let slack = slack_text(&function.slack_message());
    assert!(slack.contains("acme-soon.png") && !slack.contains("acme-later.png"), "{slack}");
    assert!(!slack.contains("head-") && !slack.contains("Head office"), "{slack}");
    let mail = function.publication();
    assert!(mail.message.contains("head-soon.png") && mail.message.contains("head-later.png"), "{}", mail.message);
    assert!(!mail.message.contains("acme-"), "{}", mail.message);
    assert_eq!(mail.attributes["severity"].1, "14d");
    assert_eq!(mail.attributes["profiles"].1, r#"["Head office"]"#);
    // The run covers all profiles and the largest threshold of all channels.
    assert_eq!(result["items"].as_array().expect("items").len(), 4);
    function.end().await;
}

#[tokio::test]
async fn a_denied_profile_is_reported_and_the_others_are_checked() {
    let mut world = World::with_gallery(&[file("head.png", 5)]).await;
    world.ayrshare.gallery(Some(CAFE_KEY), &[file("夏のセール 📸.png", 30)]);
    let message = "Profile not found. Please verify your Profile Key.";
    let denied = Reply::json(403, &json!({"action": "profile", "status": "error", "code": 31, "message": message}));
    world.ayrshare.media(Some(ACME_KEY), denied);
    world.add_webhook();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    assert_eq!(result["status"], "partial");
    assert_eq!((&result["profiles"]["configured"], &result["profiles"]["checked"]), (&json!(3), &json!(2)));
    let failed = &result["profiles"]["failed"][0];
    let expected = json!({
        "profile": "Acme Coffee", "what": "media", "kind": "forbidden", "http_status": 403, "code": 31,
        "message": failed["message"],
    });
    assert_eq!(*failed, expected);
    assert!(failed["message"].as_str().expect("a message").contains(message), "{failed}");

    for text in [slack_text(&function.slack_message()), function.publication().message] {
        for part in ["head.png", "夏のセール 📸.png", "Checked 2 of 3 profiles", "Acme Coffee", "403"] {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
    }
    let deliveries = function.webhook.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].body["run_id"], result["run_id"]);
    assert_eq!(deliveries[0].body["items"], result["items"]);
    // A denied profile is not retried, because Ayrshare suspends accounts that get many 403 and 429 answers.
    assert_eq!(function.ayrshare.requests(Some(ACME_KEY), Call::Media), 1);
    assert_eq!(function.heartbeat.beats(), [""]);
    function.end().await;
}

#[tokio::test]
async fn nothing_is_sent_if_nothing_is_due() {
    let world = World::with_gallery(&[file("far.png", 24 * 30)]).await;
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(
        (&result["status"], &result["media"]["listed"], &result["items"]),
        (&json!("ok"), &json!(1), &json!([]))
    );
    for channel in result["channels"].as_array().expect("channels") {
        let expected = json!({
            "name": channel["name"], "type": channel["type"], "outcome": "nothing-due",
            "announced": 0, "messages": 0, "error": null,
        });
        assert_eq!(*channel, expected);
    }
    assert_eq!((function.slack.attempts(), function.sns.attempts()), (0, 0));
    assert_eq!(function.heartbeat.beats(), [""]);
    function.end().await;
}

#[tokio::test]
async fn all_clear_is_sent_only_if_configured_and_true() {
    let mut world = World::with_gallery(&[file("far.png", 24 * 30)]).await;
    world.config["alerts"] = json!({"when_empty": "report"});
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(
        (&result["channels"][0]["outcome"], &result["channels"][0]["announced"]),
        (&json!("delivered"), &json!(0))
    );
    assert!(slack_text(&function.slack_message()).contains("All clear"));
    let mail = function.publication();
    assert!(mail.message.contains("All clear") && mail.message.contains("all 3 profiles"), "{}", mail.message);
    assert_eq!(mail.attributes["severity"].1, "all-clear");

    // It is not true if a profile could not be checked.
    function.ayrshare.media(Some(ACME_KEY), Reply::text(404, "Not Found"));
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["status"], "partial");
    let mail = function.sns.publications()[1].clone();
    assert!(!mail.message.contains("All clear") && mail.message.contains("Checked 2 of 3"), "{}", mail.message);
    assert_eq!(mail.attributes["severity"].1, "profile-failing");
    function.end().await;
}

#[tokio::test]
async fn hostile_names_are_escaped() {
    let names = [
        "<!channel> & <@U1> <https://evil.example|click>.png",
        "line\nbreak\r\n.png",
        "\u{202E}gnp.exe.png",
        "*bold* _it_ `code` ~no~.png",
        "📸夏のセール👩‍👩‍👧‍👦.png",
        "&amp;.png",
    ];
    let mut files: Vec<_> = names.iter().zip(5..).map(|(name, hours)| file(name, hours)).collect();
    let long = "é".repeat(5_000);
    files.push(file(&format!("{long}.png"), 12));
    let mut odd_url = file("odd.png", 13);
    odd_url["url"] = "https://images.ayrshare.com/a|b>c<d.png?x=<!here>".into();
    files.push(odd_url);
    let mut script = file("script.png", 14);
    script["url"] = "javascript:alert(1)".into();
    files.push(script);

    let mut world = World::with_gallery(&files).await;
    world.config["profiles"][1]["name"] = "<!everyone> & Söhne".into();
    world.config["profiles"][2]["name"] = "*Café* 東京".into();
    world.add_webhook();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    // The Slack stand-in checks that every message is escaped.
    assert_eq!(result["media"]["expiring"], files.len());
    assert_eq!(result["items"][1]["file_name"], names[1], "the result contains names unchanged");
    let slack = slack_text(&function.slack_message());
    assert!(slack.contains("&lt;!channel&gt; &amp; &lt;@U1&gt;") && slack.contains("&amp;amp;.png"), "{slack}");
    assert!(!slack.contains("javascript:"), "{slack}");
    let mail = function.publication().message;
    assert!(!mail.contains('\u{202E}') && mail.contains("line break"), "{mail}");
    function.end().await;
}

#[tokio::test]
async fn posts_that_will_fail_come_first_in_the_digest() {
    let used = file("launch.mp4", 24 * 20);
    let world = World::with_gallery(&[file("today.png", 5), used.clone()]).await;
    world.ayrshare.posts(
        None,
        &[
            scheduled_post("fails", "Our launch <b>&</b> party", &["instagram", "tiktok"], &[&used], in_hours(24 * 25)),
            scheduled_post("is-fine", "Before that", &["x"], &[&used], in_hours(24 * 19)),
            scheduled_post("no-media", "Words only", &["x"], &[], in_hours(24 * 25)),
        ],
    );
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;

    let posts = result["posts_at_risk"].as_array().expect("posts");
    assert_eq!(posts.len(), 1, "{posts:?}");
    assert_eq!((&posts[0]["id"], &posts[0]["media"][0]["reason"]), (&json!("fails"), &json!("expires-before-post")));
    for text in [slack_text(&function.slack_message()), function.publication().message] {
        let post = text.find("Our launch").unwrap_or_else(|| panic!("no post in {text}"));
        assert!(post < text.find("today.png").expect("the file"), "{text}");
        assert!(!text.contains("Before that") && !text.contains("Words only"), "{text}");
    }
    assert_eq!(function.publication().attributes["severity"].1, "post-at-risk");
    assert_eq!(function.publication().attributes["posts_at_risk"].1, "1");
    function.end().await;
}

#[tokio::test]
async fn files_are_announced_even_if_the_post_history_is_denied() {
    let world = World::with_gallery(&[file("today.png", 5)]).await;
    world
        .ayrshare
        .history(None, Reply::json(403, &json!({"status": "error", "code": 169, "message": "Not your plan."})));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["profiles"]["checked"]), (&json!("partial"), &json!(3)));
    let failed = &result["profiles"]["failed"];
    assert_eq!(
        (&failed[0]["what"], &failed[0]["kind"], &failed[1]),
        (&json!("posts"), &json!("forbidden"), &json!(null))
    );
    let mail = function.publication().message;
    assert!(mail.contains("today.png") && mail.contains("scheduled posts could not be checked"), "{mail}");
    function.end().await;
}

#[tokio::test]
async fn a_file_is_not_reported_as_missing_if_its_gallery_is_unreadable() {
    let world = World::new().await;
    let lost = file("lost.png", 5);
    world.ayrshare.posts(None, &[scheduled_post("p", "Hello", &["x"], &[&lost], in_hours(24 * 3))]);
    world.ayrshare.media(None, Reply::text(500, "oops"));
    let function = world.start().await;
    assert_eq!(function.answer(&scheduled()).await["posts_at_risk"], json!([]));

    function.ayrshare.gallery(None, &[]);
    assert_eq!(function.answer(&scheduled()).await["posts_at_risk"], json!([]), "it may exist without being listed");

    function.ayrshare.url_status(lost["url"].as_str().expect("a URL"), 404);
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["posts_at_risk"][0]["media"][0]["reason"], "already-gone");
    function.end().await;
}

#[tokio::test]
async fn posts_are_not_read_if_they_are_disabled() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["ayrshare"]["scheduled_posts"] = false.into();
    let function = world.start().await;
    function.answer(&scheduled()).await;
    for key in [None, Some(ACME_KEY), Some(CAFE_KEY)] {
        assert_eq!(function.ayrshare.requests(key, Call::History), 0);
    }
    function.end().await;
}

#[tokio::test]
async fn all_of_2500_posts_are_read_within_the_request_budget() {
    let used = file("campaign.png", 24 * 20);
    let world = World::with_gallery(std::slice::from_ref(&used)).await;
    let post = |index: i64| {
        let id = format!("post-{index}");
        scheduled_post(&id, "Campaign", &["x"], &[&used], in_hours(24 * 21 + index / 3))
    };
    world.ayrshare.posts(None, &(0..2_500).map(post).collect::<Vec<_>>());
    let function = world.start().await;
    let result = function.answer(&json!({"action": "report"})).await;
    let posts = result["posts_at_risk"].as_array().expect("posts");
    let ids: std::collections::BTreeSet<_> = posts.iter().map(|post| post["id"].as_str()).collect();
    assert_eq!((posts.len(), ids.len()), (2_500, 2_500));
    assert!(function.ayrshare.requests(None, Call::History) <= 12);
    function.end().await;
}

#[tokio::test]
async fn with_a_ledger_each_item_is_announced_exactly_once() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.add_ledger();
    world.slack.reply_first(vec![Reply::text(500, "rollup_error"); 3]);
    let function = world.start().await;

    // Slack fails in the first run and works in the second.
    assert_eq!(function.error(&scheduled()).await.0, "RunFailed");
    assert_eq!((function.slack.messages().len(), function.sns.publications().len()), (0, 1));
    let result = function.answer(&scheduled()).await;
    let outcomes: Vec<_> = (0..2).map(|channel| &result["channels"][channel]["outcome"]).collect();
    assert_eq!(outcomes, ["delivered", "nothing-due"]);
    assert_eq!((function.slack.messages().len(), function.sns.publications().len()), (1, 1));
    assert_eq!(result["items"][0]["announced"], json!({"social-team": "1d", "ops-email": "1d"}));

    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["channels"][0]["outcome"]), (&json!("ok"), &json!("nothing-due")));
    assert_eq!((function.slack.messages().len(), function.sns.publications().len()), (1, 1));
    function.end().await;
}
