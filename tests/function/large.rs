//! Large galleries, and the size limits of the message formats.

use media_expiry_alerts::demo::stand_ins::{Publication, scheduled_post};
use serde_json::{Value, json};

use crate::support::{FIFO_TOPIC, World, file, file_in_minutes, in_hours, scheduled, slack_text};

/// The first number after this text: `… and 1,204 more`.
fn number_after(text: &str, words: &str) -> usize {
    let Some((_, rest)) = text.split_once(words) else { return 0 };
    rest.chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .expect("a number")
}

/// The number of names with this prefix in a text.
fn shown(text: &str, prefix: &str) -> usize {
    let names = text.split(prefix).skip(1).map(|rest| rest.split('.').next().unwrap_or_default());
    names.collect::<std::collections::BTreeSet<_>>().len()
}

/// Files that expire in between 3 and 7 days, so that none enters a threshold while a test takes its time, and later ones.
async fn gallery_of(expiring: i64, later: i64) -> World {
    let soon = (0..expiring)
        .map(|index| file_in_minutes(&format!("soon-{index}.jpeg"), 4_400 + index * (5_600 / expiring).max(1) % 5_600));
    let later = (0..later).map(|index| file(&format!("later-{index}.mp4"), 24 * 30 + index));
    World::with_gallery(&soon.chain(later).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn items_that_are_not_shown_are_counted() {
    let function = gallery_of(300, 4_700).await.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["media"], json!({"listed": 5_000, "expiring": 300, "expired": 0, "undated": 0, "ignored": 0}));
    assert_eq!(result["items"].as_array().map(Vec::len), Some(300));
    for channel in result["channels"].as_array().expect("channels") {
        assert_eq!((&channel["outcome"], &channel["announced"]), (&json!("delivered"), &json!(300)));
    }

    // Slack gets a limited number of messages, and the last one counts the rest.
    let messages = function.slack.messages();
    assert_eq!(result["channels"][0]["messages"], messages.len());
    let text: String = messages.iter().map(slack_text).collect();
    let (in_messages, left_out) = (shown(&text, "soon-"), number_after(&text, "… and "));
    assert_eq!(in_messages + left_out, 300, "{in_messages} + {left_out}");
    assert!(100 < in_messages, "{in_messages}");
    assert!(messages[0]["text"].as_str().is_some_and(|text| text.contains("300 files expire within 7 days")));

    // An email has room for all.
    let mail = function.publication();
    assert_eq!((shown(&mail.message, "soon-"), mail.attributes.get("truncated")), (300, None));
    assert_eq!(mail.attributes["expiring"].1, "300");
    function.end().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_gallery_of_a_hundred_thousand_files_fits_into_the_smallest_function() {
    let mut world = gallery_of(20, 99_980).await;
    let used = file("used.png", 24 * 40);
    world.ayrshare.posts(None, &[scheduled_post("post", "Not due yet.", &["instagram"], &[&used], in_hours(24 * 50))]);
    world.ayrshare.url_status(used["url"].as_str().expect("a URL"), 404);
    world.config["ayrshare"]["timeout"] = json!("50s");
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["media"]["listed"]), (&json!("ok"), &json!(100_000)));
    assert_eq!(result["items"].as_array().map(Vec::len), Some(20));
    assert_eq!(result["posts_at_risk"][0]["media"][0]["reason"], "already-gone", "the post's file is in no gallery");
    // The limit is less than half the memory of the smallest function, and too little to buffer the whole body.
    let (peak, body) = (function.peak_memory().await, 100_000 * used.to_string().len());
    assert!(peak < 60 * 1024 * 1024 && 25_000_000 < body, "{peak} bytes for a body of {body}");
    function.end().await;
}

/// The largest run that is documented for a function with 256 MB.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn two_hundred_thousand_expiring_files_three_channels_and_a_ledger_fit_into_256_mb() {
    const FILES: usize = 200_000;
    let mut world = gallery_of(FILES.try_into().expect("a number"), 0).await;
    world.add_webhook();
    world.add_ledger();
    world.config["ayrshare"]["timeout"] = json!("100s");
    world.memory_limit = Some(256_000_000);
    let function = world.start().await;
    let outcomes = async || {
        let result = function.answer(&scheduled()).await;
        let channels = result["channels"].as_array().expect("channels").iter();
        channels.map(|channel| (channel["outcome"].clone(), channel["announced"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(outcomes().await, vec![(json!("delivered"), json!(FILES)); 3]);
    assert_eq!(
        outcomes().await,
        vec![(json!("nothing-due"), json!(0)); 3],
        "the ledger has 200,000 records for each channel"
    );
    let peak = function.peak_memory().await;
    assert!(peak < 256_000_000, "{peak} bytes");
    function.end().await;
}

#[tokio::test]
async fn an_email_counts_the_items_that_it_has_no_room_for() {
    let mut world = gallery_of(5_000, 0).await;
    world.config["channels"].as_array_mut().expect("channels").remove(0);
    world.add_webhook();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!(result["channels"][0]["announced"], 5_000);
    let mail = function.publication();
    assert_eq!(mail.attributes["truncated"], ("String".to_owned(), "true".to_owned()));
    let (in_mail, left_out) = (shown(&mail.message, "soon-"), number_after(&mail.message, "... and "));
    assert!(1_000 < in_mail);
    assert_eq!(in_mail + left_out, 5_000, "{in_mail} + {left_out}");

    let webhook = &function.webhook.deliveries()[0].body;
    let items = webhook["items"].as_array().expect("items").len();
    assert_eq!(items + usize::try_from(webhook["items_left_out"].as_u64().expect("a count")).expect("a count"), 5_000);
    assert_eq!(webhook["items"][0], result["items"][0], "the first items are kept");
    function.end().await;
}

async fn published(format: &str, topic: &str, files: &[Value]) -> (Value, Publication) {
    let mut world = World::with_gallery(files).await;
    world.config["channels"] = json!([{"name": "topic", "type": "sns", "topic_arn": topic, "format": format}]);
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    let publication = function.publication();
    function.end().await;
    (result, publication)
}

#[tokio::test]
async fn a_topic_can_get_the_run_result() {
    let topic = crate::support::TOPIC;
    let (result, publication) = published("json", topic, &[file("today.png", 5), file("夏 📸.png", 20)]).await;
    let message: Value = serde_json::from_str(&publication.message).expect("JSON");
    assert_eq!((&message["run_id"], &message["items"]), (&result["run_id"], &result["items"]));
    assert_eq!(publication.attributes["severity"].1, "1d");
}

#[tokio::test]
async fn a_topic_can_get_the_amazon_q_format() {
    let topic = crate::support::TOPIC;
    let files: Vec<_> = (0..200).map(|index| file_in_minutes(&format!("*soon*-{index}.png"), 60 + index)).collect();
    let (_, publication) = published("amazon-q", topic, &files).await;
    let message: Value = serde_json::from_str(&publication.message).expect("JSON");
    assert_eq!((&message["version"], &message["source"]), (&json!("1.0"), &json!("custom")));
    let content = &message["content"];
    assert_eq!(content["textType"], "client-markdown");
    let description = content["description"].as_str().expect("a description");
    let (in_text, left_out) = (shown(description, "soon\\*-"), number_after(description, "… and "));
    assert!(0 < in_text);
    assert_eq!(in_text + left_out, 200, "{description}");
    for key in ["title", "nextSteps", "keywords"] {
        assert!(!content[key].is_null(), "{key}");
    }
    assert_eq!(publication.attributes["truncated"].1, "true");
}

#[tokio::test]
async fn the_deduplication_id_depends_on_the_content() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    world.config["channels"] = json!([{"name": "topic", "type": "sns", "topic_arn": FIFO_TOPIC}]);
    let function = world.start().await;
    function.answer(&scheduled()).await;
    // A changed digest is a new message, even within the deduplication interval.
    function.ayrshare.gallery(None, &[file("today.png", 5), file("more.png", 5)]);
    function.answer(&scheduled()).await;
    let ids: std::collections::BTreeSet<_> =
        function.sns.publications().into_iter().map(|p| p.deduplication_id).collect();
    assert_eq!(ids.len(), 2);
    function.end().await;
}
