//! Reads lists of profiles from S3 and DynamoDB as moto implements them.

use std::time::Duration;

use media_expiry_alerts::config::{Config, ListedProfiles};
use media_expiry_alerts::model::{Failure, FailureKind};
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;
use media_expiry_alerts::net::{self, Deadline};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::support::moto::Moto;

/// Reads the list that these settings of `[profiles_from]` name.
async fn read(moto: &Moto, settings: Value) -> Result<ListedProfiles, Failure> {
    let document = json!({
        "ayrshare": {"api_key": "API-KEY"},
        "profiles_from": settings,
        "channels": [{"name": "team", "type": "slack", "webhook_url": "https://hooks.slack.com/services/T0/B0/x"}],
    });
    moto.put_object("conf", "alerts.json", document.to_string()).await;
    let place = ("MEDIA_ALERTS_CONFIG".to_owned(), "s3://conf/alerts.json".to_owned());
    let environment = Environment::of(moto.variables().into_iter().chain([place]));
    let aws = Aws::new(net::client().expect("a client"), environment.clone());
    let deadline = Deadline::after(Duration::from_secs(30));
    let config = Config::load(&environment, &aws, deadline).await.expect("a configuration");
    config.profiles_from.expect("a list").read(&config.profiles, &aws, deadline).await
}

fn keys(listed: &ListedProfiles) -> Vec<String> {
    let key = |key: &SecretString| key.expose_secret().to_owned();
    listed.profiles.iter().map(|profile| profile.key.as_ref().map(key).expect("a key")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_read_as_a_stream() {
    let moto = Moto::start().await;
    let line = |index: usize| {
        // Larger than a configuration document may be, all lines together.
        json!({"name": format!("Client {index}"), "key": format!("KEY-{index}"), "notes": "x".repeat(1_000)})
            .to_string()
    };
    let lines: Vec<_> = (0..6_000).map(line).collect();
    moto.put_object("lists", "all%20of%20them.jsonl", lines.join("\n")).await;
    let listed = read(&moto, json!({"url": "s3://lists/all of them.jsonl"})).await.expect("a list");
    assert_eq!((listed.profiles.len(), listed.failed.len()), (6_000, 0));
    assert_eq!(keys(&listed)[5_999], "KEY-5999");

    let missing = read(&moto, json!({"url": "s3://lists/missing"})).await.expect_err("an error");
    assert_eq!((missing.kind, missing.http_status), (FailureKind::NotFound, Some(404)));
    assert!(missing.message.contains("s3://lists/missing: there is no such object"), "{}", missing.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_scanned_page_by_page() {
    let moto = Moto::start().await;
    moto.create_table("clients", ["id", "kind"]).await;
    let settings = json!({"table": "clients", "name": "title", "key": "profileKey", "tags": "teams"});
    let put = async |index: usize, mut item: Value| {
        item["id"] = json!({"S": format!("{index:04}")});
        item["kind"] = json!({"S": "client"});
        item["notes"] = json!({"S": "x".repeat(20_000)});
        moto.call("dynamodb", "DynamoDB_20120810.PutItem", &json!({"TableName": "clients", "Item": item})).await;
    };
    for index in 0..80 {
        let (title, key) = (format!("Client {index}"), format!("KEY-{index}"));
        let teams = if index % 2 == 0 { json!({"SS": ["emea"]}) } else { json!({"L": [{"S": "apac"}, {"S": "b"}]}) };
        put(index, json!({"title": {"S": title}, "profileKey": {"S": key}, "teams": teams})).await;
    }
    put(80, json!({"title": {"S": "No key"}})).await;
    put(81, json!({"title": {"S": "Number"}, "profileKey": {"N": "5"}})).await;
    moto.record().await;
    let listed = read(&moto, settings.clone()).await.expect("a list");
    let scans = moto.recorded().await.get("DynamoDB_20120810.Scan").copied();
    assert!(scans.is_some_and(|scans| 1 < scans), "{scans:?}");
    assert_eq!(listed.profiles.len(), 80);
    let mut failed: Vec<_> = listed.failed.iter().map(|failed| failed.profile.as_str()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["No key", "Number"]);
    for profile in &listed.profiles {
        let expected: &[&str] = if profile.tags.iter().any(|tag| tag == "emea") { &["emea"] } else { &["apac", "b"] };
        assert_eq!(profile.tags.iter().collect::<Vec<_>>(), expected);
    }

    let wrong =
        read(&moto, json!({"table": "clients", "name": "nobody", "key": "nothing"})).await.expect_err("an error");
    assert_eq!(wrong.kind, FailureKind::BadResponse, "{wrong:?}");
    let missing = read(&moto, json!({"table": "others"})).await.expect_err("an error");
    assert_eq!(missing.kind, FailureKind::NotFound, "{missing:?}");
}
