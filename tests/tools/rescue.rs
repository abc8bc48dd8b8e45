//! Copies files into S3 as moto implements it, and downloads the copies.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::demo::stand_ins::{Reply, generated_pieces, listed_file};
use serde_json::{Value, json};

use crate::support::binary;
use crate::support::http::{HttpAnswer, request};
use crate::support::lambda::{Lambda, Variables, event};
use crate::support::moto::Moto;
use crate::support::stand_ins::StandIns;

const REPORT_URL: &str = "https://reports.example";
/// What snapshots and copies need.
const PERMISSIONS: [&str; 4] = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
const MEGABYTE: u64 = 1_000_000;
/// The size of the large file, in megabytes. `RESCUE_LARGE_MB=1000` copies one of 1 GB.
const LARGE_MB: u64 = 40;

/// Starts the function with a store in the bucket, and copies.
async fn function(variables: Variables, stand_ins: &StandIns) -> Lambda {
    let slack = |name: &str, profile: &str| json!({"name": name, "type": "slack", "webhook_url": stand_ins.slack_url(), "profiles": [profile]});
    let configuration = json!({
        "ayrshare": {"api_key": StandIns::API_KEY, "base_url": stand_ins.ayrshare_url(), "discover_profiles": false},
        "profiles": [{"name": "Primary", "primary": true}],
        "channels": [slack("team", "Primary")],
        "http": {"report_url": REPORT_URL, "link_secret": "correct-horse-battery-staple-0123"},
        "store": {"url": "s3://kept/a b"},
        "rescue": {"files": "expiring", "within": "3d"},
    });
    Lambda::serve_with(binary::function(), variables, &configuration).await
}

fn file(name: &str, minutes: i64) -> Value {
    listed_file("acct", name, Some(Timestamp::now() + SignedDuration::from_mins(minutes)))
}

/// The key of the copy of a file.
fn key(file: &Value) -> String {
    let id = file["id"].as_str().expect("an id");
    format!("a b/copies/Primary/{id}.{}", id.rsplit('-').next().expect("an extension"))
}

fn content(size_bytes: u64) -> Vec<u8> {
    generated_pieces(size_bytes).flatten().collect()
}

async fn ask(lambda: &Lambda, method_and_target: &str) -> HttpAnswer {
    lambda.send(&request(method_and_target).v2()).await.expect("an answer").into()
}

async fn moto_with_bucket() -> Moto {
    let moto = Moto::start().await;
    moto.create_bucket("kept").await;
    moto
}

async fn copies(moto: &Moto) -> Vec<String> {
    moto.objects("kept").await.into_iter().filter(|key| key.contains("/copies/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_in_a_bucket_have_every_byte_and_nothing_else_is_left() {
    let large_mb = std::env::var_os("RESCUE_LARGE_MB").and_then(|size| size.to_str()?.parse().ok()).unwrap_or(LARGE_MB);
    let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
    let host = stand_ins.media_host();
    // One byte more and less than a part has, and two whole parts.
    let part = 5 * 1024 * 1024;
    let sizes = [1, 223_340, part - 1, part, part + 1, 2 * part, large_mb * MEGABYTE];
    let whole: Vec<_> = (1..)
        .zip(sizes)
        .map(|(at, size)| (host.add_file(&file(&format!("{at}.png"), 300 + at * 10), size), size))
        .collect();
    let broken = Reply::generated("video/mp4", 30 * MEGABYTE).broken_after(20 * MEGABYTE);
    let broken = host.add_reply(&file("broken.mp4", 200), 30 * MEGABYTE, broken);
    let files: Vec<_> = whole.iter().map(|(file, _)| file.clone()).chain([broken]).collect();
    stand_ins.set_files(&files);

    let lambda = function(moto.variables(), &stand_ins).await;
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!((&result["status"], &result["copies"]["made"]), (&json!("ok"), &json!(sizes.len())), "{}", lambda.log());
    assert_eq!(result["copies"]["failed"][0]["file_name"], "broken.mp4");
    let mut expected: Vec<_> = whole.iter().map(|(file, _)| key(file)).collect();
    expected.sort();
    assert_eq!((copies(&moto).await, moto.uploads("kept").await), (expected, 0));
    for (file, size) in &whole {
        let object = moto.object("kept", &key(file).replace(' ', "%20")).await;
        assert!(object == content(*size), "{size}: {} bytes", object.len());
    }
    #[cfg(target_os = "linux")]
    {
        let peak = lambda.peak_memory();
        assert!(peak < 64 * 1024 * 1024, "{peak} bytes");
    }

    // A fresh process knows the copies, and copies none again.
    drop(lambda);
    let requested = stand_ins.media_host().requested().len();
    let lambda = function(moto.variables(), &stand_ins).await;
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!((&result["copies"]["made"], &result["copies"]["kept"]), (&json!(0), &json!(sizes.len())));
    assert_eq!(stand_ins.media_host().requested().len(), requested + 1);
    assert_eq!(stand_ins.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_links_a_download_that_needs_no_credentials() {
    let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
    let listed = stand_ins.media_host().add_file(&file("夏 \"sale\".png", 300), 100_000);
    stand_ins.set_files(std::slice::from_ref(&listed));
    let token = "IQoJb3JpZ2luX2Vj+EXAMPLE/TOKEN==";
    let mut variables = moto.variables();
    variables.push(("AWS_SESSION_TOKEN".to_owned(), token.to_owned()));
    let lambda = function(variables.clone(), &stand_ins).await;
    lambda.invoke(&event("scheduled")).await.expect("a result");
    let message = stand_ins.slack().messages().pop().expect("a digest").to_string();
    assert!(message.contains("a copy is kept"), "{message}");
    let (_, link) = message.split_once(&format!("<{REPORT_URL}")).expect("a link");
    let link = link.split_once('|').expect("an end").0;

    // Another process answers from the snapshot.
    let fresh = function(variables, &stand_ins).await;
    let page = ask(&fresh, &format!("GET {link}")).await;
    let page = page.body.as_str().expect("a page").to_owned();
    let (before, _) = page.split_once(">Download the copy</a>").expect("a link to the copy");
    let (_, href) = before.rsplit_once("href=\"").expect("a link");
    let href = href.split_once('"').expect("an end").0;
    let target = format!("GET /r/{href}");
    let answer = fresh.send(&request(&target).v2()).await.expect("an answer");
    assert_eq!(answer["statusCode"], 303, "{answer}");
    let location = answer["headers"]["location"].as_str().expect("a location");
    for part in ["X-Amz-Expires=900", "X-Amz-Signature=", "X-Amz-Security-Token="] {
        assert!(location.contains(part), "{part}: {location}");
    }
    let http = media_expiry_alerts::net::client().expect("a client");
    let download = http.get(location).send().await.expect("an answer");
    assert_eq!(download.status(), 200, "{location}");
    let disposition = download.headers()["content-disposition"].to_str().expect("a text").to_owned();
    assert!(disposition.starts_with("attachment; filename*=UTF-8''%E5%A4%8F"), "{disposition}");
    assert_eq!(download.headers()["content-type"], "image/png");
    assert!(download.bytes().await.expect("a body") == content(100_000));

    // Another copy, or a token that is not valid, opens nothing.
    let (good, id) = href.rsplit_once('/').expect("an id");
    for wrong in
        [format!("{good}/{}", id.replace(|c: char| c.is_ascii_digit(), "f")), format!("x{href}"), format!("{good}/")]
    {
        assert_eq!(ask(&fresh, &format!("GET /r/{wrong}")).await.status, 404, "{wrong}");
    }
    assert_eq!(ask(&fresh, &format!("POST /r/{href}")).await.status, 405);
    assert!(!(lambda.log() + &fresh.log()).contains(token), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_the_documented_permissions_can_copy() {
    let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
    let host = stand_ins.media_host();
    let files = [
        host.add_file(&file("small.png", 300), 100_000),
        host.add_file(&file("large.mp4", 320), 6 * MEGABYTE),
        host.add_reply(
            &file("broken.mp4", 340),
            20 * MEGABYTE,
            Reply::generated("video/mp4", 20 * MEGABYTE).broken_after(12 * MEGABYTE),
        ),
    ];
    stand_ins.set_files(&files);
    let lambda = function(moto.assume_role_that_may(&PERMISSIONS).await, &stand_ins).await;
    for made in [2, 0] {
        let result = lambda.invoke(&event("scheduled")).await.expect("a result");
        assert_eq!(
            (&result["copies"]["made"], &result["copies"]["kept"]),
            (&json!(made), &json!(2)),
            "{}",
            lambda.log()
        );
        let reason = result["copies"]["failed"][0]["reason"].as_str().expect("a reason");
        assert!(reason.starts_with("it broke off"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_nothing_half_in_the_bucket() {
    let (moto, stand_ins) = (moto_with_bucket().await, StandIns::start().await);
    let size = 20 * MEGABYTE;
    let slow = Reply::generated("video/mp4", size).with_pauses(Duration::from_millis(10));
    let listed = stand_ins.media_host().add_reply(&file("film.mp4", 300), size, slow);
    stand_ins.set_files(std::slice::from_ref(&listed));
    let lambda = function(moto.variables(), &stand_ins).await;
    let under_way = async {
        while moto.uploads("kept").await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let scheduled = event("scheduled");
    tokio::select! {
        () = under_way => {}
        answer = lambda.invoke(&scheduled) => panic!("it was faster than the test: {answer:?}"),
    }
    drop(lambda);
    assert_eq!(copies(&moto).await, [""; 0]);

    let lambda = function(moto.variables(), &stand_ins).await;
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!(&result["copies"]["made"], &json!(1), "{}", lambda.log());
    assert!(moto.object("kept", &key(&listed).replace(' ', "%20")).await == content(size));
    assert_eq!(moto.uploads("kept").await, 1, "what is left is for the lifecycle of the bucket");
}
