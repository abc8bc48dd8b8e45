//! Reads the configuration from Parameter Store, Secrets Manager and S3 as moto implements them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::config::{ChannelKind, Config, InvalidConfiguration};
use media_expiry_alerts::demo::stand_ins::{AyrshareStandIn, Call, SlackStandIn, listed_file};
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;
use media_expiry_alerts::net::{self, Deadline};
use media_expiry_alerts::run::loaded_config::ConfigSource;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::support::binary;
use crate::support::lambda::{Lambda, event};
use crate::support::moto::Moto;

const REGION: &str = "us-east-1";

#[tokio::test(flavor = "multi_thread")]
async fn values_are_read_from_every_source_with_few_calls() {
    let moto = Moto::start().await;
    let arn =
        moto.create_secret("prod/media", &json!({"SecretString": r#"{"api_key": "KEY-A", "hook": "hook-b"}"#})).await;
    moto.create_secret("whole", &json!({"SecretString": "WHOLE-KEY"})).await;
    let mut profiles = vec![json!({"name": "Primary", "primary": true})];
    for number in 0..23 {
        moto.put_parameter(&format!("/media/profiles/{number}"), &format!("OLD-{number}")).await;
        moto.put_parameter(&format!("/media/profiles/{number}"), &format!("KEY-{number}")).await;
        profiles.push(json!({"name": format!("P{number}"), "key": format!("ssm:/media/profiles/{number}")}));
    }
    profiles.push(json!({"name": "Same again", "key": "ssm:/media/profiles/7"}));
    profiles.push(json!({"name": "Version", "key": "ssm:/media/profiles/7:1"}));
    profiles.push(json!({"name": "Whole", "key": "secretsmanager:whole"}));
    profiles.push(json!({"name": "By ARN", "key": format!("secretsmanager:{arn}#hook")}));
    let hook = |name: &str| json!({"name": name, "type": "slack", "webhook_url": "env:HOOK"});
    let document = json!({
        "ayrshare": {"api_key": "secretsmanager:prod/media#api_key"},
        "profiles": profiles,
        "channels": [hook("a"), hook("b")],
        "http": {"link_secret": "ssm:/media/link"},
        "heartbeat": {"url": "secretsmanager:heart#url"},
    });
    moto.put_parameter("/media/link", "0123456789abcdef0123456789abcdef").await;
    moto.create_secret("heart", &json!({"SecretString": r#"{"url": "https://hc-ping.com/1", "x": "y"}"#})).await;
    moto.put_object("conf", "alerts%20%E6%9D%B1.json", document.to_string()).await;

    moto.record().await;
    let config = load(&moto, "s3://conf/alerts 東.json").await.expect("a configuration");
    assert!(config.is_from_aws);
    assert_eq!(config.ayrshare.api_key.expose_secret(), "KEY-A");
    let keys: Vec<_> =
        config.profiles.iter().map(|profile| profile.key.as_ref().map(SecretString::expose_secret)).collect();
    let mut expected: Vec<_> = (0..23).map(|number| format!("KEY-{number}")).collect();
    expected.extend(["KEY-7", "OLD-7", "WHOLE-KEY", "hook-b"].map(ToOwned::to_owned));
    assert_eq!(keys[0], None);
    assert_eq!(keys[1..], expected.iter().map(|key| Some(key.as_str())).collect::<Vec<_>>());
    assert!(config.heartbeat.is_some_and(|url| url.expose().as_str() == "https://hc-ping.com/1"));

    // Parameters: 24 at ten per call, and one version. Secrets: one by name and by ARN, and two others. S3: the document.
    let calls = moto.recorded().await;
    let count = |target: &str| calls.get(target).copied().unwrap_or_default();
    let counts = (count("AmazonSSM.GetParameters"), count("secretsmanager.GetSecretValue"), count("none"));
    assert_eq!(counts, (4, 4, 1), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_read_from_every_source() {
    let moto = Moto::start().await;
    let toml = r#"
        ayrshare.api_key = "KEY-OF-PLACE"
        profiles = [{ name = "Primary", primary = true }]
        channels = [{ name = "team", type = "slack", webhook_url = "env:HOOK" }]
    "#;
    moto.put_parameter("/media/config", toml).await;
    moto.put_object("conf.dots", "a/b.toml", toml.to_owned()).await;
    moto.create_secret("toml", &json!({"SecretString": toml})).await;
    let arn = moto.create_secret("wrapped", &json!({"SecretString": json!({"document": toml}).to_string()})).await;
    for place in [
        "ssm:/media/config",
        "secretsmanager:toml",
        "secretsmanager:wrapped#document",
        &format!("secretsmanager:{arn}#document"),
        "s3://conf.dots/a/b.toml",
    ] {
        let config = load(&moto, place).await.unwrap_or_else(|invalid| panic!("{place}: {invalid}"));
        assert_eq!(config.ayrshare.api_key.expose_secret(), "KEY-OF-PLACE", "{place}");
        assert!(config.is_from_aws && matches!(config.channels[0].kind, ChannelKind::Slack { .. }), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_of_an_unreadable_document_says_how_to_fix_it() {
    let moto = Moto::start().await;
    moto.put_object("conf", "large.toml", "#".repeat(4 * 1024 * 1024 + 1)).await;
    moto.put_object("conf", "binary.toml", vec![0xC3_u8, 0x28]).await;
    moto.put_object("conf", "wrong.toml", "a = ".to_owned()).await;
    moto.create_secret("media", &json!({"SecretString": r#"{"other": "TOP-SECRET"}"#})).await;
    for (place, expected) in [
        (
            "ssm:/no",
            "MEDIA_ALERTS_CONFIG: ssm:/no: there is no such parameter in us-east-1; create it: aws ssm put-parameter --region us-east-1 --name /no --type SecureString --value",
        ),
        (
            "secretsmanager:no",
            "MEDIA_ALERTS_CONFIG: secretsmanager:no: there is no such secret in us-east-1; create it: aws secretsmanager create-secret --region us-east-1 --name no",
        ),
        (
            "secretsmanager:media#document",
            "MEDIA_ALERTS_CONFIG: secretsmanager:media#document: this secret has no key `document`",
        ),
        ("secretsmanager:media", "ayrshare.api_key: is missing"),
        ("s3://no-such-bucket/a", "MEDIA_ALERTS_CONFIG: s3://no-such-bucket/a: there is no such bucket"),
        (
            "s3://conf/no",
            "MEDIA_ALERTS_CONFIG: s3://conf/no: there is no such object; upload it: aws s3 cp FILE 's3://conf/no'",
        ),
        ("s3://conf/large.toml", "MEDIA_ALERTS_CONFIG: s3://conf/large.toml: has more than 4194304 bytes"),
        ("s3://conf/binary.toml", "MEDIA_ALERTS_CONFIG: s3://conf/binary.toml: is not UTF-8 text"),
        ("s3://conf/wrong.toml", "document: line 1, column"),
    ] {
        let invalid = load(&moto, place).await.expect_err(place);
        assert!(invalid.faults.iter().any(|fault| fault.to_string().starts_with(expected)), "{place}: {invalid}");
        assert!(!invalid.to_string().contains("TOP-SECRET") && !invalid.is_transient(), "{place}: {invalid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_missing_value_is_reported() {
    let moto = Moto::start().await;
    moto.create_secret("media", &json!({"SecretString": r#"{"other": "TOP-SECRET-1", "port": 5}"#})).await;
    moto.create_secret("plain", &json!({"SecretString": "TOP-SECRET-2"})).await;
    moto.create_secret("binary", &json!({"SecretBinary": "VE9QLVNFQ1JFVC0z"})).await;
    let keys = [
        "ssm:/there",
        "ssm:/missing",
        "ssm:/there:9",
        "secretsmanager:missing#a",
        "secretsmanager:media#missing",
        "secretsmanager:media#port",
        "secretsmanager:plain#key",
        "secretsmanager:binary",
        "secretsmanager:arn:aws:secretsmanager:us-east-1:123456789012:secret:missing-AbCdEf",
    ];
    moto.put_parameter("/there", "TOP-SECRET-4").await;
    let mut profiles: Vec<Value> =
        keys.iter().enumerate().map(|(index, key)| json!({"name": format!("P{index}"), "key": key})).collect();
    // This takes several calls, each with one missing name.
    for number in 0..20 {
        profiles.push(json!({"name": format!("Q{number}"), "key": format!("ssm:/many/{number}")}));
        if number % 10 != 3 {
            moto.put_parameter(&format!("/many/{number}"), "TOP-SECRET-5").await;
        }
    }
    let document = json!({
        "ayrshare": {"api_key": "ssm:/there"},
        "profiles": profiles,
        "channels": [{"name": "team", "type": "slack", "webhook_url": "env:HOOK"}],
    });
    moto.put_object("conf", "alerts.json", document.to_string()).await;

    let invalid = load(&moto, "s3://conf/alerts.json").await.expect_err("faults");
    let mut faults: Vec<_> = invalid.faults.iter().map(ToString::to_string).collect();
    faults.sort();
    let mut expected = [
        "profiles[1].key: ssm:/missing: there is no such parameter in us-east-1; create it: aws ssm put-parameter",
        "profiles[2].key: ssm:/there:9: there is no such parameter in us-east-1, or it has no such version",
        "profiles[3].key: secretsmanager:missing#a: there is no such secret in us-east-1; create it: aws",
        "profiles[4].key: secretsmanager:media#missing: this secret has no key `missing`",
        "profiles[5].key: secretsmanager:media#port: `port` of this secret is not a string",
        "profiles[6].key: secretsmanager:plain#key: this secret is not a JSON object",
        "profiles[7].key: secretsmanager:binary: this secret is binary; store it as text",
        "profiles[8].key: secretsmanager:arn:aws:secretsmanager:us-east-1:123456789012:secret:missing-AbCdEf: there is",
        "profiles[12].key: ssm:/many/3: there is no such parameter",
        "profiles[22].key: ssm:/many/13: there is no such parameter",
    ];
    expected.sort_unstable();
    let all_match =
        faults.len() == expected.len() && faults.iter().zip(expected).all(|(fault, text)| fault.starts_with(text));
    assert!(all_match, "{faults:#?}");
    assert!(!invalid.to_string().contains("TOP-SECRET"), "{invalid}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_configuration_is_read_again_and_kept_if_that_fails() {
    let moto = Moto::start().await;
    moto.put_parameter("/key", "KEY-1").await;
    let environment = environment(&moto, [("AYRSHARE_API_KEY", "ssm:/key"), ("SLACK_WEBHOOK_URL", HOOK)]);
    let aws = aws(&environment);
    let start: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
    let at = |seconds| ConfigSource {
        environment: &environment,
        aws: &aws,
        now: start + SignedDuration::from_secs(seconds),
    };
    let deadline = || Deadline::after(Duration::from_secs(8));

    let loaded = at(0).read(deadline()).await.expect("a configuration");
    moto.put_parameter("/key", "KEY-2").await;
    let loaded = at(299).refresh(loaded, deadline()).await.expect("a configuration");
    assert_eq!(loaded.config.ayrshare.api_key.expose_secret(), "KEY-1");
    let loaded = at(300).refresh(loaded, deadline()).await.expect("a configuration");
    assert_eq!(loaded.config.ayrshare.api_key.expose_secret(), "KEY-2");
    assert_eq!(loaded.clients.redactor.redact("KEY-1, KEY-2"), "[redacted], [redacted]");
    moto.put_parameter("/key", "KEY-3").await;
    let loaded = at(0).refresh(loaded, deadline()).await.expect("a clock that was set back");
    assert_eq!(loaded.config.ayrshare.api_key.expose_secret(), "KEY-3");

    moto.reset().await;
    let invalid = at(600).refresh(loaded, deadline()).await.expect_err("a parameter that is gone");
    assert!(invalid.to_string().contains("AYRSHARE_API_KEY: ssm:/key: there is no such parameter"), "{invalid}");

    moto.put_parameter("/key", "KEY-4").await;
    let loaded = at(600).read(deadline()).await.expect("a configuration");
    drop(moto);
    let loaded = at(900).refresh(loaded, Deadline::after(Duration::from_secs(1))).await.expect("the old configuration");
    assert_eq!(loaded.config.ayrshare.api_key.expose_secret(), "KEY-4");
    let invalid = at(900).read(Deadline::after(Duration::from_secs(1))).await.expect_err("no earlier configuration");
    assert!(invalid.is_transient() && invalid.to_string().contains("Parameter Store cannot be reached"), "{invalid}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_function_picks_up_rotated_keys_during_a_run() {
    let moto = Moto::start().await;
    let ayrshare = AyrshareStandIn::start("API-KEY-1").await.expect("a free port");
    let slack = SlackStandIn::start().await.expect("a free port");
    let expiry = Timestamp::now() + SignedDuration::from_hours(20);
    ayrshare.gallery(None, &[listed_file("acct", "primary.mp4", Some(expiry))]);
    ayrshare.gallery(Some("ACME-KEY-2"), &[listed_file("acme", "acme.mp4", Some(expiry))]);
    moto.create_secret("media", &json!({"SecretString": r#"{"api_key": "API-KEY-1"}"#})).await;
    moto.put_parameter("/acme", "ACME-KEY-1").await;
    let document = json!({
        "ayrshare": {"api_key": "secretsmanager:media#api_key", "base_url": ayrshare.base_url()},
        "profiles": [{"name": "Primary", "primary": true}, {"name": "Acme", "key": "ssm:/acme"}],
        "channels": [{"name": "team", "type": "slack", "webhook_url": slack.url()}],
    });
    moto.put_parameter("/config", &document.to_string()).await;
    let mut variables = moto.variables();
    variables.push(("MEDIA_ALERTS_CONFIG".to_owned(), "ssm:/config".to_owned()));
    let lambda = Lambda::serve(binary::function(), variables).await;
    let files = |result: &Value| {
        let items = result["items"].as_array().into_iter().flatten();
        items.map(|item| item["file_name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };

    // The key of a profile is wrong and was not replaced: it is read again, but Ayrshare gets no second request with it.
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!((files(&result), &result["status"]), (vec!["primary.mp4".to_owned()], &json!("partial")), "{result}");
    assert_eq!(ayrshare.requests(Some("ACME-KEY-1"), Call::Media), 1);

    // The profile key and the API key are rotated: the same process picks up both in one run.
    moto.put_parameter("/acme", "ACME-KEY-2").await;
    moto.put_secret("media", r#"{"api_key": "API-KEY-2"}"#).await;
    ayrshare.change_api_key("API-KEY-2");
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!(result["status"], "ok", "{result}");
    assert_eq!(files(&result), ["primary.mp4", "acme.mp4"], "{result}");
    assert_eq!(result["channels"][0]["outcome"], "delivered", "{result}");

    // The next run starts with the new keys.
    moto.record().await;
    let violations = ayrshare.violations().len();
    let result = lambda.invoke(&event("scheduled")).await.expect("a result");
    assert_eq!((&result["status"], ayrshare.violations().len()), (&json!("ok"), violations), "{result}");
    assert!(moto.recorded().await.is_empty(), "a fresh configuration is not read again");

    // A key that Ayrshare no longer accepts, but that was not rotated, fails the run after one attempt.
    ayrshare.change_api_key("API-KEY-3");
    let error = lambda.invoke(&event("scheduled")).await.expect_err("an error of the function");
    assert_eq!(error.error_type, "RunFailed");
    let log = lambda.log();
    for secret in ["API-KEY-1", "API-KEY-2", "ACME-KEY-1", "ACME-KEY-2"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_value_is_returned_and_logged() {
    let moto = Moto::start().await;
    let mut variables = moto.variables();
    for (name, value) in [("AYRSHARE_API_KEY", "ssm:/stack/api-key"), ("SLACK_WEBHOOK_URL", HOOK)] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let lambda = Lambda::serve(binary::function(), variables).await;
    let error = lambda.invoke(&event("check")).await.expect_err("an error of the function");
    assert_eq!(error.error_type, "InvalidConfiguration");
    for text in [&error.message, &lambda.log()] {
        assert!(text.contains("AYRSHARE_API_KEY: ssm:/stack/api-key: there is no such parameter"), "{text}");
        assert!(text.contains("aws ssm put-parameter"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_signed_and_needs_only_its_permission() {
    let check = async |actions: &[&str], expected: &[&str]| {
        let moto = Moto::start().await;
        let document = json!({
            "ayrshare": {"api_key": "secretsmanager:media"},
            "profiles": [{"name": "A", "key": "ssm:/a"}, {"name": "B", "key": "ssm:/b"}],
            "channels": [{"name": "team", "type": "slack", "webhook_url": HOOK}],
        });
        moto.put_object("conf", "folder%20%E6%9D%B1/a%2Bb.json", document.to_string()).await;
        moto.create_secret("media", &json!({"SecretString": "KEY"})).await;
        moto.put_parameter("/a", "KEY-A").await;
        moto.put_parameter("/b", "KEY-B").await;
        let mut variables = moto.allow_only(actions).await;
        variables.push(("MEDIA_ALERTS_CONFIG".to_owned(), "s3://conf/folder 東/a+b.json".to_owned()));
        let environment = Environment::of(variables);
        let loaded = Config::load(&environment, &aws(&environment), Deadline::after(Duration::from_secs(8))).await;
        let faults: Vec<_> =
            loaded.err().into_iter().flat_map(|invalid| invalid.faults).map(|fault| fault.to_string()).collect();
        let all_match =
            faults.len() == expected.len() && faults.iter().zip(expected).all(|(fault, text)| fault.contains(text));
        assert!(all_match, "{actions:?}: {faults:#?}");
    };
    check(&["s3:GetObject", "secretsmanager:GetSecretValue", "ssm:GetParameters"], &[]).await;
    check(&["secretsmanager:GetSecretValue", "ssm:GetParameters"], &["does not allow s3:GetObject"]).await;
    // moto denies these two calls in XML instead of JSON. Unit tests cover the real answers.
    let denied = "Parameter Store answered 403";
    check(&["s3:GetObject", "secretsmanager:GetSecretValue"], &[denied, denied]).await;
    check(&["s3:GetObject", "ssm:GetParameters"], &["Secrets Manager answered 403"]).await;
}

const HOOK: &str = "https://hooks.slack.com/services/T0/B0/x";

/// Reads the configuration at `place`.
async fn load(moto: &Moto, place: &str) -> Result<Config, InvalidConfiguration> {
    let environment = environment(moto, [("MEDIA_ALERTS_CONFIG", place), ("HOOK", HOOK)]);
    Config::load(&environment, &aws(&environment), Deadline::after(Duration::from_secs(8))).await
}

fn environment(moto: &Moto, variables: [(&str, &str); 2]) -> Environment {
    let given = moto.variables();
    assert!(given.iter().any(|(name, value)| name == "AWS_REGION" && value == REGION), "{given:?}");
    Environment::of(given.into_iter().chain(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

fn aws(environment: &Environment) -> Aws {
    Aws::new(net::client().expect("a client"), environment.clone())
}
