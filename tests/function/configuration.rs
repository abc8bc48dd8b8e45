//! Configuration sources, and the errors of an invalid configuration.

use serde_json::json;

use crate::support::http::{HttpAnswer, request};
use crate::support::{API_KEY, TOPIC, WEBHOOK_SECRET, World, file, scheduled, slack_text};

#[tokio::test]
async fn all_errors_are_reported_together_and_the_function_recovers_when_they_are_fixed() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    let good = world.config.clone();
    let workflow = world.slack.url().replace("/services/", "/workflows/");
    world.config = json!({
        "ayrshare": {"api_key": format!("{API_KEY} "), "timeout": "soon", "retries": 3},
        "profiles": [
            {"name": "Head office", "primary": true},
            {"name": "Head office", "key": "env:NOT_SET_ANYWHERE"},
            {"name": " ", "key": ""},
        ],
        "alerts": {"repeat": "once-per-threshold", "thresholds": ["7d", "banana", "168h"]},
        "channels": [
            {"name": "social-team", "type": "slack", "webhook_url": workflow},
            {"name": "ops-email", "type": "sns", "topic_arn": "media", "profiles": ["Nobody"]},
            {"name": "own", "type": "webhook", "url": "http://example.com/", "secret": WEBHOOK_SECRET, "retry": true},
            {"name": "own", "type": "pager"},
        ],
        "colour": "red",
    });
    let mut function = world.start().await;
    let (kind, first) = function.error(&scheduled()).await;
    assert_eq!(kind, "InvalidConfiguration");
    for path in [
        "ayrshare.api_key: ",
        "ayrshare.timeout: ",
        "ayrshare.retries: ",
        "profiles[1].name: ",
        "profiles[1].key: env:NOT_SET_ANYWHERE: ",
        "profiles[2].name: ",
        "profiles[2].key: ",
        "alerts.repeat: ",
        "alerts.thresholds[1]: ",
        "alerts.thresholds[2]: ",
        "channels[0].webhook_url: ",
        "channels[1].topic_arn: ",
        "channels[1].profiles[0]: ",
        "channels[2].url: ",
        "channels[2].retry: ",
        "channels[3].name: ",
        "channels[3].type: ",
        "colour: ",
    ] {
        assert!(first.contains(path), "`{path}` is not in {first}");
    }
    // Every kind of event gets the errors.
    for event in [json!({"action": "check"}), json!({}), json!({"action": "report"})] {
        assert_eq!(function.error(&event).await, (kind.clone(), first.clone()));
    }

    function.config = good;
    function.write_config();
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    assert!(slack_text(&function.slack_message()).contains("today.png"));

    let log = function.end().await;
    let lines = log.lines();
    let faults: Vec<_> = lines.iter().filter(|line| line["path"].is_string()).collect();
    assert_eq!(faults.len() % 4, 0, "one line per error for each of the four events");
    assert!(faults.iter().any(|line| line["path"] == "channels[0].webhook_url" && line["level"] == "ERROR"));
    // The two rejected alerts count as failed runs.
    let completed: Vec<_> = log.metrics().iter().map(|line| line["RunsCompleted"].clone()).collect();
    assert_eq!(completed, [0, 0, 1]);
}

#[tokio::test]
async fn configuration_errors_are_shown_only_to_authorized_callers() {
    let mut world = World::new().await;
    world.config["channels"][0]["type"] = "pager".into();
    let function = world.start().await;
    let answer: HttpAnswer = function.answer(&request("GET /report").v2()).await.into();
    assert_eq!((answer.status, answer.content_type.as_str()), (500, "application/problem+json"));
    assert_eq!(answer.body["errors"][0]["path"], "channels[0].type");
    let answer: HttpAnswer = function.answer(&request("GET /report").unauthorized().v2()).await.into();
    assert_eq!((answer.status, &answer.body["errors"]), (500, &json!(null)));
    function.end().await;
}

#[tokio::test]
async fn the_error_names_an_unreadable_document() {
    let world = World::new().await;
    let function = world.start().await;
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    function.end().await;

    for (document, expected) in [
        (None, "cannot be read"),
        (Some("{\"ayrshare\": {\"api_key\": \"4C1Q7ZB-9TAM8GE-NV2KX05-WD61LHS\" \"x\"}}"), "line 1, column"),
        (Some("[ayrshare]\napi_key = \"4C1Q7ZB-9TAM8GE-NV2KX05-WD61LHS\nname = 1\n"), "line 2, column"),
        (Some(""), "profiles: "),
    ] {
        let mut world = World::new().await;
        let path = world.path("other.toml");
        world.variables.insert("MEDIA_ALERTS_CONFIG".into(), path.to_str().expect("a path").into());
        if let Some(document) = document {
            std::fs::write(&path, document).expect("the document is written");
        }
        let function = world.start().await;
        let (kind, message) = function.error(&scheduled()).await;
        assert_eq!(kind, "InvalidConfiguration");
        assert!(message.contains(expected), "{message}");
        function.end().await;
    }
}

#[tokio::test]
async fn the_document_can_be_toml() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    let path = world.path("media-alerts.toml");
    let document = format!(
        r#"
        [ayrshare]
        api_key  = "env:TEST_API_KEY"
        base_url = "{}"

        [[profiles]]
        name    = "Head office"
        primary = true

        [[channels]]
        name        = "social-team"
        type        = "slack"
        webhook_url = "{}"
        "#,
        world.ayrshare.base_url(),
        world.slack.url(),
    );
    std::fs::write(&path, document).expect("the document is written");
    world.variables.insert("MEDIA_ALERTS_CONFIG".into(), path.to_str().expect("a path").into());
    let function = world.start().await;
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    assert!(slack_text(&function.slack_message()).contains("today.png"));
    function.end().await;
}

#[tokio::test]
async fn environment_variables_are_enough_for_one_profile() {
    let mut world = World::with_gallery(&[file("soon.png", 24 * 10)]).await;
    world.variables.remove("MEDIA_ALERTS_CONFIG");
    let set = [
        ("AYRSHARE_API_KEY", API_KEY.to_owned()),
        ("AYRSHARE_BASE_URL", world.ayrshare.base_url()),
        ("SLACK_WEBHOOK_URL", world.slack.url()),
        ("SNS_TOPIC_ARN", TOPIC.to_owned()),
        ("THRESHOLDS", "14d, 7d,3d,1d".to_owned()),
    ];
    world.variables.extend(set.map(|(name, value)| (name.to_owned(), value)));
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["items"][0]["profile"], &result["items"][0]["threshold"]), (&json!("Primary"), &json!("14d")));
    let channels: Vec<_> = (0..2).map(|channel| &result["channels"][channel]["name"]).collect();
    assert_eq!(channels, ["slack", "sns"]);
    assert!(slack_text(&function.slack_message()).contains("soon.png"));
    assert!(function.publication().message.contains("soon.png"));
    function.end().await;
}

#[tokio::test]
async fn the_error_for_a_missing_configuration_names_the_variables() {
    let mut world = World::new().await;
    world.variables.remove("MEDIA_ALERTS_CONFIG");
    world.variables.insert("THRESHOLDS".into(), "soon".into());
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert_eq!(kind, "InvalidConfiguration");
    for part in ["AYRSHARE_API_KEY: ", "SLACK_WEBHOOK_URL", "SNS_TOPIC_ARN", "MEDIA_ALERTS_CONFIG", "THRESHOLDS[0]: "] {
        assert!(message.contains(part), "`{part}` is not in {message}");
    }
    function.end().await;
}

#[tokio::test]
async fn a_proxy_is_not_used_for_this_machine() {
    let mut world = World::with_gallery(&[file("today.png", 5)]).await;
    // Nothing listens on this port, so any request through the proxy would fail.
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        world.variables.insert(variable.into(), "http://127.0.0.1:9".into());
    }
    let function = world.start().await;
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    function.end().await;
}
