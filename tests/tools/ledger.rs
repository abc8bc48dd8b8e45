//! The ledger in DynamoDB: a run does not repeat what an earlier run has announced.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::demo::stand_ins::Reply;
use media_expiry_alerts::ledger::{
    Change, DynamoDbLedger, Key, LEASE_TTL, Lease, Ledger, LedgerError, LedgerStore, Record,
};
use media_expiry_alerts::model::{Level, Media, ProfileName};
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;
use media_expiry_alerts::net::{self, Deadline};
use serde_json::{Value, json};

use crate::simulator::{SimulatedLedger, simulate};
use crate::support::binary;
use crate::support::lambda::{Answer, Lambda, event};
use crate::support::moto::Moto;
use crate::support::program::Scratch;
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
async fn with_an_unusable_ledger_alerts_are_sent_and_a_check_fails() {
    let moto = Moto::start().await;
    moto.create_table("other-keys", ["id", "range"]).await;
    let topic = moto.create_topic("media-expiry").await;
    let queue = moto.create_queue("mail").await;
    moto.subscribe(&topic, &queue, "").await;
    let stand_ins = StandIns::start().await;
    for (table, reason) in [
        ("not-there", "the ledger table does not exist in this region"),
        ("other-keys", "the ledger table has other keys; it needs the partition key `pk`"),
    ] {
        let lambda = function(&moto, &stand_ins, &topic, table).await;
        let result = lambda.invoke(&event("scheduled")).await.expect("an answer, because Lambda would retry an error");
        assert_eq!(result["status"], "partial");
        assert!(result["ledger_error"].as_str().is_some_and(|error| error.contains(reason)), "{result}");
        let error = lambda.invoke(&event("check")).await.expect_err("an error of the function");
        assert_eq!(error.error_type, "RunFailed");
        assert!(error.message.contains(reason), "{}", error.message);
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
    assert_eq!(announced(&third)[0], ("team", "nothing-due", 0), "the lease was released");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulation_succeeds_with_dynamodb() {
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

/// A ledger in a table of moto.
struct MotoLedger<'a> {
    moto: &'a Moto,
    table: String,
    ledger: Ledger,
}

impl SimulatedLedger for MotoLedger<'_> {
    /// DynamoDB's limit for one call.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_held_until_it_ends_or_is_released() {
    let moto = Moto::start().await;
    moto.create_table("ledger", ["pk", "sk"]).await;
    let ledger = ledger(&moto, "ledger").await;
    let now: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
    let second = SignedDuration::from_secs(1);
    let lease = async |owner: &str, now: Timestamp| ledger.lease(owner, now, soon()).await.expect("an answer");
    let renew = async |lease: &Lease, now: Timestamp| ledger.renew(lease, now, soon()).await.expect("an answer");

    let one = lease("one", now).await.expect("a lease");
    assert!(lease("two", now + LEASE_TTL - second).await.is_none());
    assert!(
        lease("one", now).await.is_some(),
        "the owner may take its lease again, because the first answer may have been lost"
    );
    assert!(renew(&one, now + LEASE_TTL - second).await);
    assert!(lease("two", now + LEASE_TTL).await.is_none(), "it was renewed");
    assert!(renew(&one, now + LEASE_TTL * 3).await, "it had ended, but no other run had taken it");

    let two = lease("two", now + LEASE_TTL * 4).await.expect("a lease that had ended");
    assert!(!renew(&one, now + LEASE_TTL * 4).await, "another run holds it");
    ledger.release(one, soon()).await.expect("an answer");
    assert!(renew(&two, now + LEASE_TTL * 4).await, "a run that has lost the lease cannot release it");
    ledger.release(two, soon()).await.expect("an answer");
    assert!(lease("three", now).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_with_an_invalid_end_is_free() {
    let moto = Moto::start().await;
    moto.create_table("ledger", ["pk", "sk"]).await;
    let ledger = ledger(&moto, "ledger").await;
    let now: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
    let at = |now: Timestamp| json!({"N": now.as_millisecond().to_string()});
    let hours = SignedDuration::from_hours;
    for (ends_at, is_free) in [
        (json!({"N": "0"}), true),
        (at(now), true),
        (at(now + SignedDuration::from_secs(1)), false),
        // A run of version 0.1, whose lease lasts as long as its timeout.
        (at(now + SignedDuration::from_mins(15)), false),
        (at(now + hours(1)), true),
        (json!({"N": "1e60"}), true),
        (json!({"S": "2026-11-23T06:00:30Z"}), true),
        (json!({"NULL": true}), true),
        (Value::Null, true),
    ] {
        let mut item = json!({"pk": {"S": "lease"}, "sk": {"S": "run"}, "owner": {"S": "other"}});
        if !ends_at.is_null() {
            item["ends_at_ms"] = ends_at.clone();
        }
        moto.call("dynamodb", "DynamoDB_20120810.PutItem", &json!({"TableName": "ledger", "Item": item})).await;
        let lease = ledger.lease("one", now, soon()).await.expect("an answer");
        assert_eq!(lease.is_some(), is_free, "{ends_at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_can_be_read_until_they_expire() {
    let moto = Moto::start().await;
    moto.create_table("ledger", ["pk", "sk"]).await;
    let ledger = ledger(&moto, "ledger").await;
    let now: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
    let key = |name: &str, id: &str| {
        let media = Media { id: Some(id.to_owned()), expires_at: Some(now), ..Media::default() };
        Key::of_item(&ProfileName::new(name), &media)
    };
    let hostile = ["#".repeat(300), "%".repeat(300), "é".repeat(5_000), "\u{0}\n\"".to_owned(), "📸".to_owned()];
    let mut changes: Vec<_> = hostile
        .iter()
        .map(|id| Change::Put(key(&"名".repeat(200), id), Record::new(Level::OVER, now, Some(now))))
        .collect();
    // More than one page of 1 MB, and more than one batch.
    let label = Some("“A post”".repeat(200));
    changes.extend((0..600).map(|n| {
        let post = Key::Post { profile: ProfileName::new("A"), id: n.to_string(), expires_at_ms: None };
        Change::Put(post, Record { label: label.clone(), ..Record::new(Level::SEEN, now, None) })
    }));
    ledger.write("team", changes.iter().cloned(), now, soon()).await.expect("an answer");

    let memory = ledger.read("team", now, soon()).await.expect("records");
    assert_eq!(memory.len(), changes.len());
    for change in &changes {
        let Change::Put(key, record) = change else { panic!("only records are added") };
        assert_eq!(memory.get(key).as_ref(), Some(record), "{key}");
    }
    let much_later = now + SignedDuration::from_hours(91 * 24);
    assert_eq!(ledger.read("team", much_later, soon()).await.map(|memory| memory.len()).ok(), Some(0));
    assert_eq!(ledger.read("mail", now, soon()).await.map(|memory| memory.len()).ok(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_record_does_not_prevent_writing_the_others() {
    let moto = Moto::start().await;
    moto.create_table("ledger", ["pk", "sk"]).await;
    let ledger = ledger(&moto, "ledger").await;
    let now: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
    let key = |n: usize| Key::Item { profile: ProfileName::new("A"), id: n.to_string(), expires_at_ms: None };
    let record = Record::new(Level::SEEN, now, None);
    let mut changes: Vec<_> = (0..40).map(|n| Change::Put(key(n), record.clone())).collect();
    // An item of DynamoDB has at most 400 KB.
    changes[7] = Change::Put(key(7), Record { label: Some("x".repeat(410 * 1024)), ..record });
    match ledger.write("team", changes.iter().cloned(), now, soon()).await {
        Err(LedgerError::Rejected { records: 1, .. }) => {}
        written => panic!("{written:?}"),
    }
    assert_eq!(ledger.read("team", now, soon()).await.map(|memory| memory.len()).ok(), Some(39));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_needs_the_permissions_of_a_run_and_leaves_no_record() {
    let moto = Moto::start().await;
    moto.create_table("ledger", ["pk", "sk"]).await;
    moto.create_table("other-keys", ["id", "range"]).await;
    let hash_only = json!({
        "TableName": "hash-only",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    });
    moto.call("dynamodb", "DynamoDB_20120810.CreateTable", &hash_only).await;
    let now = Timestamp::now();
    let check = async |table: &str| ledger(&moto, table).await.check(now, soon()).await;
    assert_eq!(check("ledger").await, Ok(()));
    let left = moto.call("dynamodb", "DynamoDB_20120810.Scan", &json!({"TableName": "ledger"})).await;
    assert_eq!(left["Count"], 0, "{left}");
    for table in ["other-keys", "hash-only"] {
        assert_eq!(check(table).await, Err(LedgerError::WrongKeys));
    }
    assert_eq!(check("not-there").await, Err(LedgerError::NoTable));

    let actions = ["dynamodb:PutItem", "dynamodb:BatchWriteItem", "dynamodb:Query", "dynamodb:DeleteItem"];
    let variables = moto.allow_only(&actions).await;
    assert_eq!(ledger_of(variables, "ledger").await.check(now, soon()).await, Ok(()));
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

async fn ledger(moto: &Moto, table: &str) -> Ledger {
    ledger_of(moto.variables(), table).await
}

async fn ledger_of(variables: Vec<(String, String)>, table: &str) -> Ledger {
    let aws = Aws::new(net::client().expect("a client"), Environment::of(variables));
    let client = DynamoDbLedger::client(aws.http().clone(), aws.config().await);
    Ledger::DynamoDb(DynamoDbLedger::new(client, table.to_owned()))
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
