//! Ayrshare, Slack and SNS as a test wants them: one gallery, and every message kept.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::lambda::Variables;

/// What the channels were sent.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Messages to Slack.
    pub slack: Vec<Value>,
    /// Publications to SNS, as forms.
    pub sns: Vec<String>,
}

impl Heard {
    /// Whether nothing was sent.
    pub fn is_silent(&self) -> bool {
        self.slack.is_empty() && self.sns.is_empty()
    }
}

#[derive(Clone, Default)]
struct State {
    gallery: Arc<Mutex<Value>>,
    heard: Arc<Mutex<Heard>>,
}

/// Ayrshare, Slack and SNS on one port of this machine.
pub struct StandIns {
    url: String,
    state: State,
}

impl StandIns {
    /// The only key that Ayrshare takes.
    pub const API_KEY: &str = "7TVRLEZ-24A43C0-NJW0Z82-F11984N";

    /// Starts them, with one file in the gallery that expires in 30 hours.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("the address of a bound port"));
        let state = State::default();
        let (ayrshare, slack, sns) = (state.clone(), state.clone(), state.clone());
        let routes = Router::new()
            .route("/api/media", get(async move |headers: HeaderMap| ayrshare.media(&headers)))
            .route("/services/T0/B0/secret", post(async move |body: String| slack.slack(&body)))
            .route("/", post(async move |body: String| sns.sns(body)));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let stand_ins = Self { url, state };
        stand_ins.set_gallery(&[("spring 🌱.mp4", 30)]);
        stand_ins
    }

    /// Lets the gallery hold these files, each with the hours until it expires.
    pub fn set_gallery(&self, files: &[(&str, i64)]) {
        let now = Timestamp::now();
        let gallery = files.iter().map(|(name, hours)| {
            json!({
                "id": format!("{name}-id"),
                "timeCreated": now.to_string(),
                "size": "223340",
                "url": format!("https://images.ayrshare.com/a/{name}"),
                "fileName": name,
                "expiresAt": (now + SignedDuration::from_hours(*hours)).to_string(),
            })
        });
        *self.state.gallery.lock().expect("the gallery") = gallery.collect();
    }

    /// Where Ayrshare is.
    pub fn ayrshare_url(&self) -> String {
        format!("{}/api", self.url)
    }

    /// The configuration from the environment that points at them.
    pub fn variables(&self) -> Variables {
        [
            ("AYRSHARE_API_KEY", Self::API_KEY.to_owned()),
            ("AYRSHARE_BASE_URL", self.ayrshare_url()),
            ("SLACK_WEBHOOK_URL", format!("{}/services/T0/B0/secret", self.url)),
            ("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:media-expiry".to_owned()),
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// What was sent since the last [`StandIns::forget`].
    pub fn heard(&self) -> Heard {
        self.state.heard.lock().expect("what was heard").clone()
    }

    /// Forgets what was sent.
    pub fn forget(&self) {
        *self.state.heard.lock().expect("what was heard") = Heard::default();
    }
}

impl State {
    fn media(&self, headers: &HeaderMap) -> (StatusCode, String) {
        let expected = format!("Bearer {}", StandIns::API_KEY);
        if headers.get("authorization").is_none_or(|given| given != expected.as_str()) {
            return (StatusCode::FORBIDDEN, json!({"status": "error", "code": 102}).to_string());
        }
        (StatusCode::OK, self.gallery.lock().expect("the gallery").to_string())
    }

    fn slack(&self, body: &str) -> (StatusCode, &'static str) {
        match serde_json::from_str(body) {
            Ok(message @ Value::Object(_)) if message["text"].is_string() => {
                self.heard.lock().expect("what was heard").slack.push(message);
                (StatusCode::OK, "ok")
            }
            Ok(_) => (StatusCode::BAD_REQUEST, "no_text"),
            Err(_) => (StatusCode::BAD_REQUEST, "invalid_payload"),
        }
    }

    fn sns(&self, body: String) -> &'static str {
        if body.contains("Action=GetTopicAttributes&") {
            return "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes/></GetTopicAttributesResult>\
                    </GetTopicAttributesResponse>";
        }
        self.heard.lock().expect("what was heard").sns.push(body);
        "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"
    }
}
