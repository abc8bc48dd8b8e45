//! The ledger in DynamoDB: a run does not repeat what an earlier run has announced.

use std::time::Duration;

use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};

use crate::support::binary;
use crate::support::lambda::{Answer, Lambda, event};
use crate::support::moto::Moto;
use crate::support::program::{Scratch, command};
use crate::support::stand_ins::StandIns;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_sends_each_channel_only_what_is_new() {
    let moto = Moto::start().await;
    moto.create_table("ledger", ["pk", "sk"]).await;
    let topic = moto.create_topic("media-expiry").await;
    let queue = moto.create_queue("mail").await;
    moto.subscribe(&topic, &queue, "").await;
    let stand_ins = StandIns::start().await;
    stand_ins.set_gallery(&[("a.mp4", 100), ("b.mp4", 60)]);
    let lambda = function(&moto, &stand_ins, &topic, "ledger").await;

    stand_ins.slack().reply_first([Reply::text(403, "action_prohibited")]);
    let error = lambda.invoke(&event("scheduled")).await.expect_err("an error of the function");
    assert!(error.message.contains("channels that failed: team"), "{}", error.message);
    assert_eq!(
        announced(&lambda.invoke(&event("scheduled")).await),
        [("team", "delivered", 2), ("mail", "nothing-due", 0)]
    );
    assert_eq!(
        announced(&lambda.invoke(&event("scheduled")).await),
        [("team", "nothing-due", 0), ("mail", "nothing-due", 0)]
    );

    // Only `a.mp4` is announced again, because its changed expiry is within a tighter threshold.
    stand_ins.set_gallery(&[("a.mp4", 20), ("b.mp4", 60)]);
    let report_event = Scratch::new("report.json");
    std::fs::write(report_event.path(), r#"{"action": "report"}"#).expect("a file in the target folder");
    let report = lambda.invoke(report_event.path()).await.expect("a result");
    let told: Vec<_> =
        report["items"].as_array().expect("items").iter().map(|item| item["announced"].clone()).collect();
    assert_eq!(told, [json!({}), json!({"mail": "3d", "team": "3d"})]);
    assert_eq!(
        announced(&lambda.invoke(&event("scheduled")).await),
        [("team", "delivered", 1), ("mail", "delivered", 1)]
    );

    let mails: Vec<_> = queue.receive().await.iter().map(|mail| mail.body["Message"].to_string()).collect();
    let holds = |name: &str| mails.iter().map(|mail| mail.contains(name)).collect::<Vec<_>>();
    assert_eq!((holds("a.mp4"), holds("b.mp4")), (vec![true, true], vec![true, false]));
    assert!(mails[1].contains("1 item was announced before and is still open."), "{}", mails[1]);
    assert_eq!(stand_ins.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_ledger_fails_the_run_but_alerts_are_sent() {
    let moto = Moto::start().await;
    moto.create_table("other-keys", ["id", "range"]).await;
    let topic = moto.create_topic("media-expiry").await;
    let queue = moto.create_queue("mail").await;
    moto.subscribe(&topic, &queue, "").await;
    let stand_ins = StandIns::start().await;
    for (table, reason) in [
        ("not-there", "there is no ledger table not-there in this region"),
        ("other-keys", "the ledger table other-keys has other keys; it needs the partition key `pk`"),
    ] {
        let lambda = function(&moto, &stand_ins, &topic, table).await;
        for name in ["scheduled", "check"] {
            let error = lambda.invoke(&event(name)).await.expect_err("an error of the function");
            assert_eq!(error.error_type, "RunFailed");
            assert!(error.message.contains(reason), "{name}: {}", error.message);
        }
        let mails = queue.receive().await;
        assert_eq!(mails.len(), 1, "a check publishes nothing");
        let text = mails[0].body["Message"].as_str().expect("a text").replace('\n', " ");
        assert!(text.contains("spring 🌱.mp4") && text.contains(reason), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_runs_send_one_message() {
    let moto = Moto::start().await;
    moto.create_table("ledger", ["pk", "sk"]).await;
    let topic = moto.create_topic("media-expiry").await;
    let stand_ins = StandIns::start().await;
    stand_ins.set_slow_gallery(&[("spring 🌱.mp4", 30)], Duration::from_secs(3));
    let one = function(&moto, &stand_ins, &topic, "ledger").await;
    let two = function(&moto, &stand_ins, &topic, "ledger").await;
    let scheduled = event("scheduled");
    let alerts = Scratch::new("alerts.json");
    let request = json!({
        "version": "2.0",
        "rawPath": "/alerts",
        "requestContext": {"http": {"method": "POST"}, "authorizer": {"jwt": {"claims": {"sub": "someone"}}}},
    });
    std::fs::write(alerts.path(), request.to_string()).expect("a file in the target folder");
    let (first, second) = tokio::join!(one.invoke(&scheduled), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        two.invoke(alerts.path()).await
    });
    let (first, second) = (first.expect("a result"), second.expect("a response"));
    assert_eq!(first["channels"][0]["outcome"], "delivered", "{first}");
    assert_eq!(second["statusCode"], 409, "{second}");
    assert_eq!(stand_ins.sent().slack, 1);
    let third = two.invoke(&scheduled).await;
    assert_eq!(announced(&third)[0], ("team", "nothing-due", 0), "the lease was given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulation_holds_in_dynamodb() {
    let moto = Moto::start().await;
    let mut simulation = command(env!("CARGO"));
    simulation
        .args(["test", "--locked", "--lib", "the_same_holds_in_dynamodb", "--", "--ignored"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("SIMULATION_DYNAMODB_URL", &moto.url);
    let output = tokio::process::Command::from(simulation).output().await.expect("cargo to start");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

async fn function(moto: &Moto, stand_ins: &StandIns, topic: &str, table: &str) -> Lambda {
    let document = json!({
        "ayrshare": {"api_key": StandIns::API_KEY, "base_url": stand_ins.ayrshare_url()},
        "profiles": [{"name": "Primary", "primary": true}],
        "channels": [
            {"name": "team", "type": "slack", "webhook_url": stand_ins.slack_url()},
            {"name": "mail", "type": "sns", "topic_arn": topic},
        ],
        "ledger": {"type": "dynamodb", "table": table},
        "http": {"require_authorizer": false},
    });
    Lambda::serve_with(binary::function(), moto.variables(), &document).await
}

/// The name, the outcome and the number of announced items of each channel.
fn announced(answer: &Answer) -> Vec<(&str, &str, u64)> {
    let result = answer.as_ref().expect("a result");
    let text =
        |value: &Value| -> &'static str { Box::leak(value.as_str().expect("a text").to_owned().into_boxed_str()) };
    let channels = result["channels"].as_array().expect("channels").iter();
    channels
        .map(|channel| {
            (text(&channel["name"]), text(&channel["outcome"]), channel["announced"].as_u64().expect("a number"))
        })
        .collect()
}
