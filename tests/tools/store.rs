//! Keeps snapshots in S3 as moto implements it, and answers from them.

use serde_json::{Value, json};

use crate::support::binary;
use crate::support::http::{HttpAnswer, request};
use crate::support::lambda::{Lambda, Variables, event};
use crate::support::moto::Moto;
use crate::support::stand_ins::StandIns;

const REPORT_URL: &str = "https://reports.example";
/// What a snapshot needs.
const PERMISSIONS: [&str; 3] = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"];

/// Starts the function with a store at `url`.
async fn function(variables: Variables, stand_ins: &StandIns, url: &str) -> Lambda {
    let configuration = json!({
        "ayrshare": {"api_key": StandIns::API_KEY, "base_url": stand_ins.ayrshare_url()},
        "profiles": [{"name": "Primary", "primary": true}],
        "channels": [{"name": "team", "type": "slack", "webhook_url": stand_ins.slack_url()}],
        "http": {"report_url": REPORT_URL, "link_secret": "correct-horse-battery-staple-0123"},
        "store": {"url": url},
    });
    Lambda::serve_with(binary::function(), variables, &configuration).await
}

/// Runs an alert. Returns its result and the path of the link in the newest digest.
async fn alert(lambda: &Lambda, stand_ins: &StandIns) -> (Value, String) {
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    let message = stand_ins.slack().messages().pop().expect("a digest").to_string();
    let (_, link) = message.split_once(&format!("<{REPORT_URL}")).expect("a link");
    (result, link.split_once('|').expect("an end").0.to_owned())
}

async fn ask(lambda: &Lambda, method_and_target: &str) -> HttpAnswer {
    lambda.send(&request(method_and_target).v2()).await.expect("an answer").into()
}

/// Moto with an empty bucket called `kept`.
async fn moto_with_bucket() -> Moto {
    let moto = Moto::start().await;
    moto.create_bucket("kept").await;
    moto
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_process_answers_from_the_bucket_without_asking_ayrshare() {
    let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
    let first = function(moto.variables(), &stand_ins, "s3://kept").await;
    let (kept, link) = alert(&first, &stand_ins).await;
    let run_id = kept["run_id"].as_str().expect("an id");
    assert_eq!(
        moto.objects("kept").await,
        [format!("snapshots/{run_id}-0.jsonl.gz"), "snapshots/latest.json".to_owned()]
    );
    drop(first);

    let asked = stand_ins.scans();
    let fresh = function(moto.variables(), &stand_ins, "s3://kept").await;
    let page = ask(&fresh, &format!("GET {link}")).await;
    assert!(page.status == 200 && page.body.as_str().is_some_and(|page| page.contains("spring 🌱.mp4")), "{page:?}");
    let report = ask(&fresh, "GET /report").await.body;
    assert_eq!(
        (&report["started_at"], &report["items"], &report["media"]),
        (&kept["started_at"], &kept["items"], &kept["media"])
    );
    assert_eq!(stand_ins.scans(), asked);

    // The next run replaces the snapshot, and deletes what was only for the one before.
    stand_ins.set_gallery(&[("summer.png", 20)]);
    let (next, _) = alert(&fresh, &stand_ins).await;
    let run_id = next["run_id"].as_str().expect("an id");
    assert_eq!(
        moto.objects("kept").await,
        [format!("snapshots/{run_id}-0.jsonl.gz"), "snapshots/latest.json".to_owned()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_snapshot_is_kept_in_parts() {
    const FILES: usize = 6_000;
    let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
    let long = "long ".repeat(160);
    let names: Vec<_> = (0..FILES).map(|index| format!("{long}{index}.mp4")).collect();
    stand_ins.set_gallery(&names.iter().map(|name| (name.as_str(), 20)).collect::<Vec<_>>());
    let first = function(moto.variables(), &stand_ins, "s3://kept/snapshots of all/").await;
    let kept = first.invoke(&event("scheduled")).await.expect("a result");
    let objects = moto.objects("kept").await;
    assert!(
        2 < objects.len() && objects.iter().all(|key| key.starts_with("snapshots of all/snapshots/")),
        "{objects:?}"
    );
    drop(first);

    let asked = stand_ins.scans();
    let fresh = function(moto.variables(), &stand_ins, "s3://kept/snapshots of all").await;
    let report = ask(&fresh, "GET /report").await.body;
    assert_eq!((&report["started_at"], &report["media"]["expiring"]), (&kept["started_at"], &json!(FILES)));
    assert_eq!(stand_ins.scans(), asked);

    // A part that is gone is never taken for one without files.
    moto.delete_object("kept", &objects[1].replace(' ', "%20")).await;
    let other = function(moto.variables(), &stand_ins, "s3://kept/snapshots of all").await;
    let report = ask(&other, "GET /report").await.body;
    assert_eq!(report["media"]["expiring"], json!(FILES));
    assert_eq!(stand_ins.scans(), asked + 1);
    assert!(other.log().contains("the snapshot in the store cannot be used: part 1 is missing"), "{}", other.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_a_role_are_signed_whatever_its_prefix() {
    for prefix in ["", "/a", "/team a+b/50% & 東京 (1)!*'~=@:,;$?#\"<>[]{}|\\^`/%2F", "//two//slashes"] {
        let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
        let variables = moto.assume_role_that_may(&PERMISSIONS).await;
        let url = format!("s3://kept{prefix}");
        let first = function(variables.clone(), &stand_ins, &url).await;
        first.invoke(&event("check")).await.unwrap_or_else(|error| panic!("{prefix}: {error:?}"));
        let (kept, _) = alert(&first, &stand_ins).await;
        assert!(!first.log().contains("is not kept"), "{prefix}: {}", first.log());

        let asked = stand_ins.scans();
        let fresh = function(variables.clone(), &stand_ins, &url).await;
        assert_eq!(ask(&fresh, "GET /report").await.body["started_at"], kept["started_at"], "{prefix}");
        assert_eq!(stand_ins.scans(), asked, "{prefix}: {}", fresh.log());
        for (name, secret) in
            variables.iter().filter(|(name, _)| ["SECRET", "TOKEN"].iter().any(|word| name.contains(word)))
        {
            assert!(!(first.log() + &fresh.log()).contains(secret.as_str()), "{name} is in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_named_and_fails_no_run() {
    let denied = |permission: &str| format!("the function's role does not allow {permission} on this prefix");
    for (url, may, to_keep, to_check) in [
        (
            "s3://missing",
            &PERMISSIONS[..],
            Some("there is no such bucket".to_owned()),
            "there is no such bucket".to_owned(),
        ),
        ("s3://kept", &["s3:GetObject"], Some(denied("s3:PutObject")), denied("s3:PutObject")),
        ("s3://kept", &["s3:PutObject", "s3:DeleteObject"], None, denied("s3:GetObject")),
        ("s3://kept", &["s3:PutObject", "s3:GetObject"], None, denied("s3:DeleteObject")),
    ] {
        let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
        let lambda = function(moto.allow_only(may).await, &stand_ins, url).await;
        let (result, link) = alert(&lambda, &stand_ins).await;
        assert_eq!((&result["status"], stand_ins.slack().attempts()), (&json!("ok"), 1), "{url}: {result}");
        let line = to_keep
            .map(|reason| format!("the snapshot of this run is not kept: the store cannot be written: {reason}"));
        let log = lambda.log();
        assert!(line.as_ref().is_none_or(|line| log.contains(line)), "{line:?}: {log}");
        assert_eq!(log.matches("is not kept").count(), usize::from(line.is_some()), "{log}");

        // The page is shown all the same.
        assert_eq!(ask(&lambda, &format!("GET {link}")).await.status, 200);
        assert_eq!(ask(&lambda, "GET /report").await.status, 200);

        let error = lambda.invoke(&event("check")).await.expect_err("an error of the function");
        assert_eq!(error.error_type, "RunFailed");
        assert!(error.message.contains(&to_check), "{to_check}: {}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_leaves_nothing_behind() {
    let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
    let lambda = function(moto.variables(), &stand_ins, "s3://kept/a").await;
    moto.record().await;
    lambda.invoke(&event("check")).await.expect("a result");
    let methods = moto.recorded_methods().await;
    assert_eq!(methods, ["PUT", "GET", "DELETE"]);
    assert_eq!(moto.objects("kept").await, [""; 0]);
}
