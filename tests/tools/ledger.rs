//! The ledger in DynamoDB: what one run has announced, the next does not repeat.

use std::time::Duration;

use jiff::Timestamp;
use media_expiry_alerts::demo::stand_ins::Reply;
use media_expiry_alerts::ledger::{DynamoDbLedger, Ledger, LedgerStore};
use media_expiry_alerts::net;
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;
use serde_json::{Value, json};

use crate::simulator::{SimulatedLedger, simulate};
use crate::support::binary;
use crate::support::lambda::{Answer, Lambda, event};
use crate::support::moto::Moto;
use crate::support::program::Scratch;
use crate::support::stand_ins::StandIns;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_says_only_what_is_new_to_each_channel() {
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

    // `a.mp4` enters a tighter threshold because its expiry has changed, and is all that is said.
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
async fn a_ledger_that_cannot_be_used_costs_the_run_and_never_the_digest() {
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
async fn two_runs_at_the_same_moment_send_one_message() {
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
    for seed in 0..3 {
        let table = format!("simulation-{seed}");
        moto.create_table(&table, ["pk", "sk"]).await;
        let aws = Aws::new(net::client().expect("an HTTP client"), Environment::of(moto.variables()));
        let client = DynamoDbLedger::client(aws.http().clone(), aws.config().await);
        let ledger = Ledger::DynamoDb(DynamoDbLedger::new(client, table.clone()));
        simulate(seed, 40, &MotoLedger { moto: &moto, table, ledger }).await;
    }
}

/// The ledger in a table of moto.
struct MotoLedger<'a> {
    moto: &'a Moto,
    table: String,
    ledger: Ledger,
}

impl SimulatedLedger for MotoLedger<'_> {
    /// What DynamoDB takes in one call.
    const WRITE_BATCH: usize = 25;

    fn store(&self) -> &impl LedgerStore {
        &self.ledger
    }

    async fn is_lease_free(&self, now: Timestamp) -> bool {
        let key = json!({"pk": {"S": "lease"}, "sk": {"S": "run"}});
        let get = json!({"TableName": self.table, "Key": key, "ConsistentRead": true});
        let answer = self.moto.call("dynamodb", "DynamoDB_20120810.GetItem", &get).await;
        let ends_at_ms = answer["Item"]["ends_at_ms"]["N"].as_str();
        let ends_at_ms = ends_at_ms.map(|ms| ms.parse::<i64>().expect("the lease has its end in milliseconds"));
        ends_at_ms.is_none_or(|ms| ms <= now.as_millisecond())
    }
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

/// What became of each channel: its name, its outcome, and of how much it was told.
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
