//! The environment of the function in tests: the real binary with a stand-in for the Lambda Runtime API, and stand-ins for
//! all services.
//!
//! A test creates a [`World`], changes it, starts the [`Function`], invokes it and ends it. [`Function::end`] checks what
//! must hold in every test: no service rejected a request, no secret was leaked, and every log line has a `run_id`.

#![expect(clippy::print_stderr, reason = "a failed test prints the violations of its stand-ins")]

pub mod binary;
pub mod http;
pub mod list;
mod runtime_api;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::demo::stand_ins::{
    AyrshareStandIn, HeartbeatStandIn, MediaHostStandIn, Publication, SesStandIn, SlackStandIn, SnsStandIn,
    TeamsStandIn, WebhookStandIn, listed_file,
};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use runtime_api::RuntimeApiStandIn;
pub use runtime_api::{InvocationDeadline, Outcome};

pub const API_KEY: &str = "4C1Q7ZB-9TAM8GE-NV2KX05-WD61LHS";
pub const ACME_KEY: &str = "7TVRLEZ-24A43C0-NJW0Z82-F11984N";
pub const CAFE_KEY: &str = "QK3M0DT-81BXH5A-PZ7E2VC-0LR94YS";
pub const WEBHOOK_SECRET: &str = "whsec_bm90LWEtcmVhbC1zZWNyZXQtYnV0LXNpZ25lZC13ZWxs";
pub const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:media-expiry-alerts";
pub const FIFO_TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:media-expiry-alerts.fifo";
const AWS_SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
const AWS_SESSION: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN";

/// The scheduled event.
pub fn scheduled() -> Value {
    json!({"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}})
}

/// A file of the primary profile that expires in this many hours.
pub fn file(name: &str, hours: i64) -> Value {
    listed_file("acct", name, Some(in_hours(hours)))
}

/// A file that expires in so many minutes. Files of the same minute may share a line of a digest.
pub fn file_in_minutes(name: &str, minutes: i64) -> Value {
    listed_file("acct", name, Some(in_hours(0) + SignedDuration::from_mins(minutes)))
}

/// A file without an expiry.
pub fn undated(name: &str) -> Value {
    listed_file("acct", name, None)
}

/// This many hours from now, plus half a minute, so that the whole hours have not passed when the function runs.
pub fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours) + SignedDuration::from_secs(30)
}

/// The services, the configuration and the environment of the function.
pub struct World {
    pub ayrshare: AyrshareStandIn,
    pub slack: SlackStandIn,
    pub ses: SesStandIn,
    pub teams: TeamsStandIn,
    pub sns: SnsStandIn,
    pub webhook: WebhookStandIn,
    pub heartbeat: HeartbeatStandIn,
    pub media_host: MediaHostStandIn,
    /// The configuration: three profiles, Slack and SNS. Tests change it before they start the function.
    pub config: Value,
    /// All environment variables of the process.
    pub variables: BTreeMap<String, String>,
    /// How much memory the process can have, in bytes. It is aborted when it asks for more.
    pub memory_limit: Option<usize>,
    directory: PathBuf,
}

impl World {
    pub async fn new() -> Self {
        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the test");

        let ayrshare = AyrshareStandIn::start(API_KEY).await.expect("a port");
        let slack = SlackStandIn::start().await.expect("a port");
        let ses = SesStandIn::start("eu-central-1", &["example.com"]).await.expect("a port");
        let teams = TeamsStandIn::start().await.expect("a port");
        let sns = SnsStandIn::start(&[TOPIC, FIFO_TOPIC]).await.expect("a port");
        let webhook = WebhookStandIn::start(WEBHOOK_SECRET).await.expect("a port");
        let heartbeat = HeartbeatStandIn::start().await.expect("a port");
        let media_host = MediaHostStandIn::start().await.expect("a port");
        for key in [None, Some(ACME_KEY), Some(CAFE_KEY)] {
            ayrshare.gallery(key, &[]);
        }
        let config = json!({
            "ayrshare": {"api_key": "env:TEST_API_KEY", "base_url": ayrshare.base_url()},
            "profiles": [
                {"name": "Head office", "primary": true},
                {"name": "Acme Coffee", "key": "env:TEST_ACME_KEY"},
                {"name": "Café 東京", "key": CAFE_KEY},
            ],
            "channels": [
                {"name": "social-team", "type": "slack", "webhook_url": slack.url()},
                {"name": "ops-email", "type": "sns", "topic_arn": TOPIC},
            ],
            "heartbeat": {"url": heartbeat.url()},
        });
        let document = directory.join("config.json");
        let variables = [
            ("AWS_LAMBDA_FUNCTION_NAME", "alerts-under-test"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
            ("AWS_SESSION_TOKEN", AWS_SESSION),
            ("AWS_ENDPOINT_URL", &sns.origin()),
            ("AWS_ENDPOINT_URL_SESV2", &ses.origin()),
            ("TEST_API_KEY", API_KEY),
            ("TEST_ACME_KEY", ACME_KEY),
            ("MEDIA_ALERTS_CONFIG", document.to_str().expect("a path of text")),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let memory_limit = None;
        Self {
            ayrshare,
            slack,
            ses,
            teams,
            sns,
            webhook,
            heartbeat,
            media_host,
            config,
            variables,
            memory_limit,
            directory,
        }
    }

    /// A world where the primary profile has these files and the others have none.
    pub async fn with_gallery(files: &[Value]) -> Self {
        let world = Self::new().await;
        world.ayrshare.gallery(None, files);
        world
    }

    /// Adds a webhook channel.
    pub fn add_webhook(&mut self) {
        let (url, secret) = (self.webhook.url(), WEBHOOK_SECRET);
        self.add_channel(json!({"name": "own-system", "type": "webhook", "url": url, "secret": secret}));
    }

    /// Adds an email channel.
    pub fn add_email(&mut self) {
        self.add_channel(json!({
            "name": "clients",
            "type": "email",
            "from": "Media alerts <alerts@example.com>",
            "to": ["maria@example.com", "Zoë <zoe@example.com>"],
        }));
    }

    /// Adds a Teams channel.
    pub fn add_teams(&mut self) {
        self.add_channel(json!({"name": "teams", "type": "teams", "webhook_url": self.teams.url()}));
    }

    fn add_channel(&mut self, channel: Value) {
        self.config["channels"].as_array_mut().expect("channels").push(channel);
    }

    /// Adds a ledger in a file.
    pub fn add_ledger(&mut self) {
        self.config["ledger"] = json!({"type": "file", "path": self.directory.join("ledger.json")});
    }

    /// A path in the directory of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes the configuration file.
    pub fn write_config(&self) {
        let path = self.path("config.json");
        std::fs::write(path, self.config.to_string()).expect("the configuration is written");
    }

    /// Starts the function.
    pub async fn start(self) -> Function {
        self.write_config();
        Function::start(self).await
    }

    /// All secrets. Each may be sent only to the service that it belongs to.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets =
            [API_KEY, ACME_KEY, CAFE_KEY, WEBHOOK_SECRET, AWS_SECRET, AWS_SESSION].map(ToOwned::to_owned).to_vec();
        secrets.push(WEBHOOK_SECRET.trim_start_matches("whsec_").to_owned());
        secrets.push(self.teams.signature().to_owned());
        for (url, origin) in [
            (self.slack.url(), self.slack.origin()),
            (self.teams.url(), self.teams.origin()),
            (self.webhook.url(), self.webhook.origin()),
            (self.heartbeat.url(), self.heartbeat.origin()),
        ] {
            // The path and its last segment are as secret as the whole URL.
            let path = url.trim_start_matches(&origin).trim_start_matches('/');
            secrets.extend(path.rsplit_once('/').map(|(_, last)| last.to_owned()));
            secrets.push(path.to_owned());
            secrets.push(url.trim_start_matches("http://").to_owned());
        }
        secrets
    }

    /// The violations of all services.
    pub fn violations(&self) -> Vec<String> {
        [
            self.ayrshare.violations(),
            self.slack.violations(),
            self.ses.violations(),
            self.teams.violations(),
            self.sns.violations(),
            self.webhook.violations(),
            self.heartbeat.violations(),
            self.media_host.violations(),
        ]
        .concat()
    }

    /// All messages that the channels received.
    pub fn sent_texts(&self) -> Vec<String> {
        let slack = self.slack.messages().into_iter().map(|message| message.to_string());
        let webhook = self.webhook.deliveries().into_iter().map(|delivery| format!("{delivery:?}"));
        let mails = self.ses.mails().into_iter().map(|mail| format!("{mail:?}"));
        let teams = self.teams.messages().into_iter().map(|message| message.to_string());
        let sns = self.sns.publications().into_iter().map(|publication| format!("{publication:?}"));
        slack.chain(webhook).chain(mails).chain(teams).chain(sns).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The running function. Its world can be inspected and changed meanwhile.
pub struct Function {
    world: World,
    runtime_api: RuntimeApiStandIn,
    child: Mutex<Child>,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    is_ended: bool,
}

impl Deref for Function {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Function {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Function {
    async fn start(world: World) -> Self {
        let runtime_api = RuntimeApiStandIn::start().await;
        let mut child = process(&world, &runtime_api);
        let stdout = Some(collect(child.stdout.take().expect("a pipe")));
        let stderr = Some(collect(child.stderr.take().expect("a pipe")));
        Self { world, runtime_api, child: Mutex::new(child), stdout, stderr, is_ended: false }
    }

    /// Invokes the function and waits for the outcome.
    pub async fn invoke(&self, event: &Value) -> Outcome {
        self.invoke_until(event, InvocationDeadline::In(Duration::from_mins(1))).await
    }

    /// Invokes the function with a deadline.
    pub async fn invoke_until(&self, event: &Value, deadline: InvocationDeadline) -> Outcome {
        let outcome = self.runtime_api.invoke(event, deadline);
        tokio::select! {
            outcome = outcome => outcome,
            status = async { self.child.lock().await.wait().await } => panic!("the function died: {status:?}"),
            () = tokio::time::sleep(Duration::from_secs(90)) => panic!("the function does not answer"),
        }
    }

    /// Invokes the function and expects an answer.
    pub async fn answer(&self, event: &Value) -> Value {
        self.invoke(event).await.expect_answer()
    }

    /// Invokes the function and expects an error. Returns its type and its message.
    pub async fn error(&self, event: &Value) -> (String, String) {
        self.invoke(event).await.expect_error()
    }

    /// The only Slack message received.
    pub fn slack_message(&self) -> Value {
        let messages = self.slack.messages();
        let [message] = &messages[..] else { panic!("{} Slack messages arrived", messages.len()) };
        message.clone()
    }

    /// The only SNS message received.
    pub fn publication(&self) -> Publication {
        let publications = self.sns.publications();
        let [publication] = &publications[..] else { panic!("{} publications arrived", publications.len()) };
        publication.clone()
    }

    /// The peak memory of the process, in bytes.
    #[cfg(target_os = "linux")]
    pub async fn peak_memory(&self) -> usize {
        let pid = self.child.lock().await.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.expect("a peak").parse::<usize>().expect("a number") * 1024
    }

    /// Kills the function in the middle of whatever it does. Returns its world, for another one.
    pub async fn kill(mut self) -> World {
        self.is_ended = true;
        self.child.get_mut().kill().await.expect("it is our process");
        std::mem::replace(&mut self.world, World::new().await)
    }

    /// Ends the function, checks what must hold in every test, and returns the log.
    pub async fn end(mut self) -> Log {
        self.is_ended = true;
        let child = self.child.get_mut();
        assert!(child.try_wait().expect("a process").is_none(), "the function died");
        child.kill().await.expect("it is our process");
        let stdout = self.stdout.take().expect("it ends once").await.expect("text");
        let stderr = self.stderr.take().expect("it ends once").await.expect("text");
        assert_eq!(stderr, "", "nothing is written to standard error");

        let violations = [self.world.violations(), self.runtime_api.violations()].concat();
        assert!(violations.is_empty(), "{}", violations.join("\n"));

        let texts = [vec![stdout.clone()], self.runtime_api.answers(), self.world.sent_texts()].concat();
        for secret in self.world.secrets() {
            for text in &texts {
                assert!(!text.contains(&secret), "`{secret}` is leaked in {text}");
            }
        }

        let log = Log { stdout };
        if self.variables.get("AWS_LAMBDA_LOG_FORMAT").is_none_or(|format| format != "Text") {
            // Warnings about the environment come before the first run.
            for line in log.lines().iter().skip_while(|line| line.to_string().contains("is ignored")) {
                let run_id = line.get("run_id");
                assert!(run_id.is_some_and(Value::is_string), "a line without a run_id: {line}");
            }
        }
        log
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.get_mut().start_kill();
        if std::thread::panicking() {
            eprintln!("violations: {:#?}", self.world.violations());
        }
        assert!(self.is_ended || std::thread::panicking(), "call `end()`, which checks what must hold in every test");
    }
}

fn process(world: &World, runtime_api: &RuntimeApiStandIn) -> Child {
    let mut command = match world.memory_limit {
        Some(bytes) => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(format!("ulimit -d {} && exec \"$0\"", bytes / 1024)).arg(binary::function());
            command
        }
        None => Command::new(binary::function()),
    };
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address())
        .envs(&world.variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process")
}

fn collect(mut pipe: impl tokio::io::AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.expect("text");
        text
    })
}

/// The standard output of the function.
pub struct Log {
    pub stdout: String,
}

impl Log {
    /// All lines, parsed as JSON.
    pub fn lines(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        self.stdout.lines().map(line).collect()
    }

    /// The lines in the CloudWatch embedded metric format.
    pub fn metrics(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .filter(|line| line.contains("\"_aws\""))
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

/// All texts in the blocks of a Slack message, one per line.
pub fn slack_text(message: &Value) -> String {
    fn add(value: &Value, text: &mut String) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(found)) = fields.get("text") {
                    text.push_str(found);
                    text.push('\n');
                }
                fields.values().for_each(|value| add(value, text));
            }
            Value::Array(values) => values.iter().for_each(|value| add(value, text)),
            _ => {}
        }
    }
    let mut text = String::new();
    add(&message["blocks"], &mut text);
    text
}
