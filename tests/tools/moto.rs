//! Publishes to SNS as moto implements it. The tests read the messages from queues that are subscribed to the topics.
//!
//! moto accepts messages that SNS rejects (an empty subject, a subject with a line break, a message that is too long), so
//! unit tests check these limits.

use serde_json::{Value, json};

use crate::support::binary;
use crate::support::lambda::{Lambda, event};
use crate::support::moto::Moto;
use crate::support::stand_ins::StandIns;

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_reaches_the_queues_with_a_matching_filter() {
    let moto = Moto::start().await;
    let topic = moto.create_topic("media-expiry").await;
    let mail = moto.create_queue("mail").await;
    let urgent = moto.create_queue("urgent").await;
    let other_client = moto.create_queue("other-client").await;
    moto.subscribe(&topic, &mail, "").await;
    moto.subscribe(&topic, &urgent, r#"{"severity": ["expired", "1d"], "profiles": ["Primary"]}"#).await;
    moto.subscribe(&topic, &other_client, r#"{"profiles": ["Acme Coffee"]}"#).await;

    let stand_ins = StandIns::start().await;
    stand_ins.set_gallery(&[("spring 🌱.mp4", 20), ("東京.png", 60)]);
    let lambda = function(&moto, &stand_ins, &[("ops-email", &topic, "text")]).await;
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!(result["channels"][0]["outcome"], "delivered", "{result}");

    let received = mail.receive().await;
    assert_eq!(received.len(), 1, "{received:?}");
    let body = &received[0].body;
    assert_eq!(body["Type"], "Notification");
    assert!(body["Subject"].as_str().is_some_and(|subject| subject.contains("expire")), "{body}");
    let message = body["Message"].as_str().expect("a message");
    for expected in ["spring 🌱.mp4", "東京.png"] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert_eq!(
        body["MessageAttributes"],
        json!({
            "severity": {"Type": "String", "Value": "1d"},
            "profiles": {"Type": "String.Array", "Value": "[\"Primary\"]"},
            "posts_at_risk": {"Type": "Number", "Value": "0"},
            "expired": {"Type": "Number", "Value": "0"},
            "expiring": {"Type": "Number", "Value": "2"},
        })
    );
    assert_eq!(urgent.receive().await.len(), 1);
    assert_eq!(other_client.receive().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_topic_delivers_each_changed_digest() {
    let moto = Moto::start().await;
    let topic = moto.create_topic("media-expiry.fifo").await;
    let queue = moto.create_queue("mail.fifo").await;
    moto.subscribe(&topic, &queue, "").await;

    let stand_ins = StandIns::start().await;
    let lambda = function(&moto, &stand_ins, &[("ops", &topic, "text")]).await;
    for gallery in [&[("a.mp4", 20)][..], &[("a.mp4", 20), ("b.mp4", 20)]] {
        stand_ins.set_gallery(gallery);
        lambda.invoke(&event("scheduled")).await.expect("a result");
    }

    let received = queue.receive().await;
    assert_eq!(received.len(), 2, "{received:?}");
    let attribute = |name: &str| received.iter().map(|message| message.attributes[name].clone()).collect::<Vec<_>>();
    assert_eq!(attribute("MessageGroupId"), ["media-expiry-alerts", "media-expiry-alerts"]);
    let ids = attribute("MessageDeduplicationId");
    assert_ne!(ids[0], ids[1], "a changed digest would be swallowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_arrives_as_documented() {
    let moto = Moto::start().await;
    let (topic_json, topic_q) = (moto.create_topic("json").await, moto.create_topic("amazon-q").await);
    let (queue_json, queue_q) = (moto.create_queue("json").await, moto.create_queue("amazon-q").await);
    moto.subscribe(&topic_json, &queue_json, "").await;
    moto.subscribe(&topic_q, &queue_q, "").await;

    let stand_ins = StandIns::start().await;
    let lambda =
        function(&moto, &stand_ins, &[("machines", &topic_json, "json"), ("chat", &topic_q, "amazon-q")]).await;
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");

    let received = queue_json.receive().await;
    let message = message(&received[0].body);
    assert_eq!((&message["run_id"], &message["items"]), (&result["run_id"], &result["items"]));
    assert!(received[0].body["MessageAttributes"]["severity"]["Value"].is_string(), "filter policies need it");

    let received = queue_q.receive().await;
    let message = self::message(&received[0].body);
    assert_eq!((&message["version"], &message["source"]), (&json!("1.0"), &json!("custom")));
    assert!(message["content"]["description"].is_string(), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_a_missing_topic() {
    let moto = Moto::start().await;
    let topic = moto.create_topic("media-expiry").await;
    let queue = moto.create_queue("mail").await;
    moto.subscribe(&topic, &queue, "").await;
    let stand_ins = StandIns::start().await;

    let lambda = function(&moto, &stand_ins, &[("ops-email", &topic, "text")]).await;
    let result = lambda.invoke(&event("check")).await.expect("a result");
    assert_eq!(result["channels"][0]["outcome"], "reachable", "{result}");

    // The topic is deleted while the function keeps running.
    moto.reset().await;
    let error = lambda.invoke(&event("check")).await.expect_err("an error of the function");
    assert_eq!(error.error_type, "RunFailed");
    for expected in ["ops-email", "NotFound"] {
        assert!(error.message.contains(expected), "{expected}: {}", error.message);
    }
    let topic = moto.create_topic("media-expiry").await;
    let queue = moto.create_queue("mail").await;
    moto.subscribe(&topic, &queue, "").await;
    lambda.invoke(&event("check")).await.expect("a result");
    assert_eq!(queue.receive().await.len(), 0, "a check publishes nothing");
}

/// Starts the function with a topic for each of `channels`: a name, an ARN and a format.
async fn function(moto: &Moto, stand_ins: &StandIns, channels: &[(&str, &str, &str)]) -> Lambda {
    let channels: Vec<Value> = channels
        .iter()
        .map(|(name, arn, format)| json!({"name": name, "type": "sns", "topic_arn": arn, "format": format}))
        .collect();
    let configuration = json!({
        "ayrshare": {"api_key": StandIns::API_KEY, "base_url": stand_ins.ayrshare_url()},
        "profiles": [{"name": "Primary", "primary": true}],
        "channels": channels,
    });
    Lambda::serve_with(binary::function(), moto.variables(), &configuration).await
}

/// The delivered message, which is JSON itself.
fn message(body: &Value) -> Value {
    let message = body["Message"].as_str().expect("a message");
    serde_json::from_str(message).unwrap_or_else(|error| panic!("no JSON ({error}): {message}"))
}
