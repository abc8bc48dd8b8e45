//! The configuration: where the document is, what it says, and every fault of it at once.
//!
//! The way of a document: [`Source`] → text → tree → [`reference::resolve`] → [`Config`]. Nothing behind this module
//! sees a string that was not checked here.

mod environment;
mod parse;
mod reference;
mod table;

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use globset::GlobSet;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::announce::Repeat;
use crate::environment::Environment;
use crate::model::ProfileName;
use crate::redact::Redactor;
use crate::threshold::Thresholds;

/// The variable that says where the document is.
pub const CONFIG_VARIABLE: &str = "MEDIA_ALERTS_CONFIG";

/// The largest document that is read: some 20,000 profiles.
const MOST_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;

/// What the function is to do: checked, and with every reference resolved.
#[derive(Debug)]
pub struct Config {
    /// `[ayrshare]`
    pub ayrshare: AyrshareConfig,
    /// `[[profiles]]`, one at least, no name twice.
    pub profiles: Vec<Profile>,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `[[channels]]`, one at least, no name twice.
    pub channels: Vec<Channel>,
    /// `[ledger]`
    pub ledger: Option<LedgerConfig>,
    /// `[http]`
    pub http: HttpConfig,
    /// `[heartbeat]`
    pub heartbeat: Option<SecretUrl>,
}

/// How Ayrshare is asked.
#[derive(Debug)]
pub struct AyrshareConfig {
    /// The account's API key.
    pub api_key: SecretString,
    /// Where the API lives.
    pub base_url: Url,
    /// How many profiles are looked at side by side.
    pub concurrency: usize,
    /// The time of one whole request.
    pub timeout: Duration,
    /// Whether to look for scheduled posts that will fail.
    pub scheduled_posts: bool,
}

/// A profile whose gallery is watched.
#[derive(Debug)]
pub struct Profile {
    /// Its name in results and messages.
    pub name: ProfileName,
    /// Its key; the primary profile has none.
    pub key: Option<SecretString>,
}

/// What is announced.
#[derive(Debug)]
pub struct Alerts {
    /// How often the same thing is announced.
    pub repeat: Repeat,
    /// When there is nothing to say.
    pub when_empty: WhenEmpty,
    /// Globs over id and file name.
    pub ignore: GlobSet,
}

/// What a channel hears when nothing is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenEmpty {
    /// Nothing.
    Silent,
    /// That all is well.
    Report,
}

/// Where announcements go.
#[derive(Debug)]
pub struct Channel {
    /// Its name in results.
    pub name: String,
    /// What it is.
    pub kind: ChannelKind,
    /// The profiles that it hears of, in the order of the configuration.
    pub profiles: Vec<ProfileName>,
    /// The thresholds at which it hears of them.
    pub thresholds: Thresholds,
}

/// The kinds of channel, with what each needs.
#[derive(Debug)]
pub enum ChannelKind {
    /// A Slack incoming webhook.
    Slack {
        /// The webhook; whoever knows it can post.
        webhook_url: SecretUrl,
    },
    /// An SNS topic.
    Sns {
        /// The topic.
        topic: TopicArn,
        /// How its messages are written.
        format: SnsFormat,
    },
    /// An endpoint that takes signed results.
    Webhook {
        /// The endpoint.
        url: SecretUrl,
        /// The signing secret, `whsec_` and base64.
        secret: SecretString,
    },
}

impl ChannelKind {
    /// The type as the configuration names it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::Sns { .. } => "sns",
            Self::Webhook { .. } => "webhook",
        }
    }
}

/// How an SNS message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnsFormat {
    /// Text for a mail program.
    Text,
    /// The run result.
    Json,
    /// A custom notification of Amazon Q Developer in chat applications.
    AmazonQ,
}

/// The ARN of an SNS topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicArn {
    arn: String,
    region: String,
}

impl TopicArn {
    /// Reads `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
    ///
    /// # Errors
    ///
    /// Says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(':').collect();
        match parts[..] {
            ["arn", partition, "sns", region, account, name]
                if partition.starts_with("aws")
                    && !region.is_empty()
                    && !account.is_empty()
                    && !name.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Ok(Self { arn: text.to_owned(), region: region.to_owned() })
            }
            _ => Err("is no ARN of an SNS topic; it looks like `arn:aws:sns:eu-central-1:123456789012:NAME`".into()),
        }
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The region of the topic, which is where it must be called.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether it is a FIFO topic.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.arn.strip_suffix(".fifo").is_some()
    }
}

/// Where it is remembered what was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerConfig {
    /// In a DynamoDB table.
    DynamoDb {
        /// The table's name.
        table: String,
    },
    /// In a file of this machine.
    File {
        /// The file.
        path: PathBuf,
    },
}

/// How HTTP requests are answered.
#[derive(Debug)]
pub struct HttpConfig {
    /// Whether a gateway authorizer must have vouched for the caller.
    pub require_authorizer: bool,
    /// Where signed report links point.
    pub report_url: Option<Url>,
    /// What they are signed with: one secret, or several with blanks between them, the first of which signs.
    pub link_secret: Option<SecretString>,
    /// How long they live.
    pub link_ttl: Duration,
}

/// A URL that is a credential or may hold one: it is not shown.
#[derive(Clone)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The URL, to send a request to and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl([redacted])")
    }
}

impl Config {
    /// Reads the configuration that the environment names.
    ///
    /// # Errors
    ///
    /// Every fault that was found, each with its path in the document.
    pub async fn load(environment: &Environment) -> Result<Self, InvalidConfiguration> {
        match Source::of(environment)? {
            Source::Environment => {
                let tree = environment::document(environment);
                Self::of_document(tree, environment).await.map_err(environment::rename)
            }
            Source::File(path) => {
                let text = read_file(&path).await.map_err(|reason| Fault::new(CONFIG_VARIABLE, reason))?;
                Self::read(&text, environment).await
            }
        }
    }

    /// Reads a document, TOML or JSON, whose references are resolved in `environment`.
    ///
    /// # Errors
    ///
    /// Every fault that was found, each with its path in the document.
    pub async fn read(text: &str, environment: &Environment) -> Result<Self, InvalidConfiguration> {
        Self::of_document(parse::tree(text)?, environment).await
    }

    async fn of_document(mut document: Value, environment: &Environment) -> Result<Self, InvalidConfiguration> {
        let faults = Faults::default();
        let resolved = reference::resolve(&mut document, environment, &faults).await;
        parse::config(&document, &resolved, &faults).ok_or_else(|| faults.into())
    }

    /// What takes this configuration's secrets out of text.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let mut secrets = vec![self.ayrshare.api_key.expose_secret().to_owned()];
        let mut add_url = |url: &SecretUrl| {
            secrets.push(url.0.as_str().to_owned());
            secrets.push(url.0.path().trim_matches('/').to_owned());
            secrets.extend(url.0.query().map(ToOwned::to_owned));
        };
        self.heartbeat.iter().for_each(&mut add_url);
        for channel in &self.channels {
            match &channel.kind {
                ChannelKind::Slack { webhook_url: url } | ChannelKind::Webhook { url, .. } => add_url(url),
                ChannelKind::Sns { .. } => {}
            }
        }
        for channel in &self.channels {
            if let ChannelKind::Webhook { secret, .. } = &channel.kind {
                secrets.push(secret.expose_secret().to_owned());
            }
        }
        let keys = self.profiles.iter().filter_map(|profile| profile.key.as_ref());
        secrets.extend(keys.map(|secret| secret.expose_secret().to_owned()));
        let links = self.http.link_secret.iter().flat_map(|secret| secret.expose_secret().split_whitespace());
        secrets.extend(links.map(ToOwned::to_owned));
        Redactor::new(secrets)
    }
}

/// Where the configuration is.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// In the environment alone: one primary profile.
    Environment,
    /// In a file.
    File(PathBuf),
}

impl Source {
    fn of(environment: &Environment) -> Result<Self, Fault> {
        let Some(place) = environment.non_blank_var(CONFIG_VARIABLE) else { return Ok(Self::Environment) };
        match place.split_once(':') {
            Some((scheme @ ("ssm" | "secretsmanager" | "s3" | "env" | "http" | "https"), _)) => Err(Fault::new(
                CONFIG_VARIABLE,
                format!("`{scheme}:` is no place that the document can be read from; give the path of a file"),
            )),
            _ => Ok(Self::File(place.into())),
        }
    }
}

async fn read_file(path: &std::path::Path) -> Result<String, String> {
    let named = path.display();
    let size = tokio::fs::metadata(path).await.map_err(|error| format!("{named} cannot be read: {error}"))?.len();
    if MOST_DOCUMENT_BYTES < size {
        return Err(format!("{named} has {size} bytes; the most that is read is {MOST_DOCUMENT_BYTES}"));
    }
    let bytes = tokio::fs::read(path).await.map_err(|error| format!("{named} cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{named} is not UTF-8 text"))
}

/// The path of `key` in the table at `path`.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// One thing that is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The path in the document, counted from 0: `channels[1].webhook_url`.
    pub path: String,
    /// What is wrong and how to mend it; never a secret.
    pub message: String,
}

impl Fault {
    fn new(path: &str, message: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), message: message.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Collects faults while a document is read.
#[derive(Debug, Default)]
struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    fn add(&self, fault: Fault) {
        self.0.borrow_mut().push(fault);
    }

    fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// A configuration that is refused, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is refused: {}", .faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidConfiguration {
    /// Every fault, one at least.
    pub faults: Vec<Fault>,
}

impl From<Faults> for InvalidConfiguration {
    fn from(faults: Faults) -> Self {
        Self { faults: faults.0.into_inner() }
    }
}

impl From<Fault> for InvalidConfiguration {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault] }
    }
}

#[cfg(test)]
mod tests;
