//! Fast stand-ins for Ayrshare, Slack and SNS that record what they receive.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::gallery::{API_KEY, Galleries, due_names, history, key_of, named_in};
use crate::server::{Reply, Request, Server, Service, Tls, reply};

/// The number of profiles that are read at the same time.
pub const CONCURRENCY: usize = 8;

/// How many requests the function makes for each profile when it checks posts: one for the gallery, and one for each status
/// of a post. As many may be in flight for each of the profiles.
const REQUESTS_WITH_POSTS: usize = 4;

const REPORT_URL: &str = "https://reports.example";
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:media-expiry-alerts";
const WEBHOOK_PATH: &str = "/services/T00BENCH/B00BENCH/yX3kq0VtMPb7sLr2hGdN9wZc";

/// The services that every product uses.
pub struct StandIns {
    ayrshare: Server,
    slack: Server,
    sns: Server,
    scene: Arc<Mutex<Scene>>,
}

/// The answers, and the recorded requests.
struct Scene {
    galleries: Galleries,
    latency: Duration,
    /// How much earlier an answer must be woken up, because waking up and being scheduled take time.
    lead: Duration,
    /// The answer to `GET /history` for pending posts; `None` when posts are not checked.
    history: Option<Bytes>,
    concurrency: usize,
    requests: usize,
    at_once: usize,
    most_at_once: usize,
    slack: Vec<String>,
    sns: Vec<String>,
    violations: Vec<String>,
}

impl Scene {
    fn new(galleries: Galleries, latency: Duration, history: Option<Bytes>, concurrency: usize) -> Self {
        Self {
            galleries,
            latency,
            lead: Duration::ZERO,
            history,
            concurrency,
            requests: 0,
            at_once: 0,
            most_at_once: 0,
            slack: Vec::new(),
            sns: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Corrects the lead after an answer that took this long, so that the mean is the latency.
    fn adjust_lead(&mut self, took: Duration) {
        const SHARE: u32 = 32;
        let late = took.saturating_sub(self.latency) / SHARE;
        let early = self.latency.saturating_sub(took) / SHARE;
        self.lead = (self.lead + late).saturating_sub(early);
    }

    fn refuse(&mut self, request: &Request, what: &str) -> Reply {
        self.violations.push(format!("{} {}: {what}", request.method, request.path));
        reply(400, what.to_owned())
    }
}

impl StandIns {
    /// Starts the stand-ins.
    pub fn start(runtime: &Handle, tls: &Tls) -> io::Result<Self> {
        let scene = Scene::new(Galleries::new(1, 0, Timestamp::now()), Duration::ZERO, None, CONCURRENCY);
        let scene = Arc::new(Mutex::new(scene));
        let start = |place| {
            let service = StandIn { place, scene: Arc::clone(&scene) };
            Server::start(runtime, Some(&tls.acceptor), &service)
        };
        let (ayrshare, slack, sns) = (start(Place::Ayrshare)?, start(Place::Slack)?, start(Place::Sns)?);
        Ok(Self { ayrshare, slack, sns, scene })
    }

    /// Prepares the next run and clears the recorded requests.
    pub fn set(&self, galleries: &Galleries, latency: Duration, with_posts: bool, concurrency: usize) {
        let history = with_posts.then(|| history(Timestamp::now()));
        *lock(&self.scene) = Scene::new(galleries.clone(), latency, history, concurrency);
    }

    /// The base URL of SNS.
    pub fn sns_origin(&self) -> String {
        format!("https://localhost:{}", self.sns.port())
    }

    /// The configuration of every product: the given number of profiles, Slack and SNS, and no ledger.
    pub fn document(&self, profiles: usize, with_posts: bool) -> Value {
        let profile = |index| json!({"name": format!("Client {index:04}"), "key": key_of(index)});
        json!({
            "ayrshare": {
                "api_key": API_KEY,
                "base_url": format!("https://localhost:{}/api", self.ayrshare.port()),
                "concurrency": CONCURRENCY,
                "scheduled_posts": with_posts,
            },
            "profiles": (0..profiles).map(profile).collect::<Vec<_>>(),
            "alerts": {"thresholds": ["7d", "3d", "1d"]},
            "channels": [
                {
                    "name": "social-team",
                    "type": "slack",
                    "webhook_url": format!("https://localhost:{}{WEBHOOK_PATH}", self.slack.port()),
                },
                {"name": "ops-email", "type": "sns", "topic_arn": TOPIC},
            ],
        })
    }

    /// The configuration of a large account with default settings, apart from the number of profiles that are read at the
    /// same time. The profiles are in a list of their own, and what a run has seen is kept in a store.
    pub fn document_of_large_account(&self, concurrency: usize, list: &Path, store: &Path) -> Value {
        let mut document = self.document(0, true);
        document["ayrshare"]["concurrency"] = concurrency.into();
        document["profiles_from"] = json!({"url": list});
        document["store"] = json!({"url": store});
        document["http"] = json!({"report_url": REPORT_URL, "link_secret": "bench-bench-bench-bench-bench-bench"});
        document
    }

    /// The path of the link to the page in the messages to Slack.
    pub fn link(&self) -> Option<String> {
        let scene = lock(&self.scene);
        let (_, link) = scene.slack.iter().find_map(|message| message.split_once(&format!("<{REPORT_URL}")))?;
        Some(link.split_once('|')?.0.to_owned())
    }

    /// Checks the requests to Ayrshare: each profile was read once, and not too many at the same time.
    pub fn check_requests(&self, invocations: usize) -> Result<(), String> {
        let scene = lock(&self.scene);
        if let Some(violation) = scene.violations.first() {
            return Err(violation.clone());
        }
        let for_each = if scene.history.is_some() { REQUESTS_WITH_POSTS } else { 1 };
        let expected = invocations * scene.galleries.profiles() * for_each;
        if scene.requests != expected || scene.concurrency * for_each < scene.most_at_once {
            let (requests, at_once) = (scene.requests, scene.most_at_once);
            return Err(format!("Ayrshare got {requests} requests instead of {expected}, {at_once} at once"));
        }
        Ok(())
    }

    /// Checks the recorded requests. Each invocation must read every profile once and send one message per channel with all due
    /// files.
    pub fn check(&self, invocations: usize) -> Result<(), String> {
        let scene = lock(&self.scene);
        for (channel, messages) in [("Slack", &scene.slack), ("SNS", &scene.sns)] {
            if messages.len() != invocations {
                return Err(format!("{channel} got {} messages from {invocations} invocations", messages.len()));
            }
            if let Some(message) = messages.iter().find(|message| named_in(message) != due_names()) {
                return Err(format!("the message to {channel} does not contain exactly the due files: {message}"));
            }
        }
        drop(scene);
        self.check_requests(invocations)
    }
}

/// The lines of a list of profiles.
pub fn list(profiles: usize) -> String {
    let profile = |index| format!("{}\n", json!({"name": format!("Client {index:04}"), "key": key_of(index)}));
    (0..profiles).map(profile).collect()
}

#[derive(Clone, Copy)]
enum Place {
    Ayrshare,
    Slack,
    Sns,
}

#[derive(Clone)]
struct StandIn {
    place: Place,
    scene: Arc<Mutex<Scene>>,
}

impl Service for StandIn {
    async fn answer(&self, request: Request) -> Reply {
        match self.place {
            Place::Ayrshare => self.list(request).await,
            Place::Slack => take_slack(&request, &mut lock(&self.scene)),
            Place::Sns => take_sns(&request, &mut lock(&self.scene)),
        }
    }
}

impl StandIn {
    async fn list(&self, request: Request) -> Reply {
        let arrived = Instant::now();
        if request.path == "/api/profiles" {
            // Like a plan that does not have the list.
            return reply(403, r#"{"status":"error"}"#);
        }
        let (answer, latency, lead) = {
            let mut scene = lock(&self.scene);
            let is_authorized = request.method == Method::GET
                && request.header("authorization").strip_prefix("Bearer ") == Some(API_KEY);
            let (galleries, key) = (&scene.galleries, request.header("profile-key"));
            let posts = scene.history.as_ref().and_then(|history| galleries.posts_of(key, history));
            let answer = match request.path.as_str() {
                _ if !is_authorized => None,
                "/api/media" => galleries.of(key, scene.history.is_some()),
                "/api/history" if request.query.contains("status=pending") => posts,
                "/api/history" => posts.map(|_| Bytes::from_static(b"{\"history\":[]}")),
                _ => None,
            };
            match answer {
                Some(answer) => {
                    scene.requests += 1;
                    scene.at_once += 1;
                    scene.most_at_once = scene.most_at_once.max(scene.at_once);
                    (answer, scene.latency, scene.lead)
                }
                None => return scene.refuse(&request, "no such gallery or history"),
            }
        };
        if !latency.is_zero() {
            // Tokio's timer has a resolution of one millisecond, which would be 2 % of the latency.
            let _ = spawn_blocking(move || thread::sleep(latency.saturating_sub(arrived.elapsed() + lead))).await;
        }
        let mut scene = lock(&self.scene);
        scene.at_once -= 1;
        scene.adjust_lead(arrived.elapsed());
        drop(scene);
        let mut reply = reply(200, answer);
        reply.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
        reply
    }
}

fn take_slack(request: &Request, scene: &mut Scene) -> Reply {
    let message = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    if (&request.method, request.path.as_str()) != (&Method::POST, WEBHOOK_PATH) || !message["text"].is_string() {
        return scene.refuse(request, "no_text");
    }
    scene.slack.push(message.to_string());
    reply(200, "ok")
}

fn take_sns(request: &Request, scene: &mut Scene) -> Reply {
    let form: Vec<_> = form_urlencoded::parse(&request.body).collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
    let is_signed = request.header("authorization").starts_with("AWS4-HMAC-SHA256 ");
    match (field("Action"), field("TopicArn"), field("Message")) {
        (Some("Publish"), Some(TOPIC), Some(message)) if is_signed => {
            scene.sns.push(message.to_owned());
            let published = r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>"#;
            let mut reply = reply(200, published);
            reply.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("text/xml"));
            reply
        }
        _ => scene.refuse(request, "no signed call of Publish"),
    }
}

/// Ignores poisoning, because no code that holds the lock leaves the data inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
