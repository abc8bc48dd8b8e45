//! The configuration: where the document is, what it says, and every fault of it at once.
//!
//! The way of a document: [`Source`] → text → tree → [`reference::resolve`] → [`Config`]. Nothing behind this module
//! sees a string that was not checked here.
//!
//! The document and every value in it may be kept in AWS. They are read together, within [`MAX_TO_READ`]; when they
//! are read again is the business of [`crate::run::loaded`].

mod environment;
mod lookup_error;
mod parameter_store;
mod parse;
mod reference;
mod s3;
mod secrets_manager;
mod table;

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use aws_types::SdkConfig;
use globset::GlobSet;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use self::lookup_error::LookupError;
use self::reference::{Places, Reference};
use crate::model::ProfileName;
use crate::model::threshold::Thresholds;
use crate::net::Deadline;
use crate::net::aws::{Aws, DEFAULT_REGION};
use crate::net::environment::Environment;
use crate::net::redact::Redactor;

/// The variable that says where the document is.
pub const CONFIG_VARIABLE: &str = "MEDIA_ALERTS_CONFIG";

/// The largest document that is read: some 20,000 profiles.
const MAX_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;

/// The time that reading a configuration may take: Lambda gives a function ten seconds to start in.
pub const MAX_TO_READ: Duration = Duration::from_secs(8);

/// Characters that a part of a URL may have and be no secret by itself.
const MAX_WORD: usize = 11;

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
    /// Whether the document or a value in it is kept in AWS, where it may change while the process lives.
    pub is_kept_in_aws: bool,
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

/// How often the same thing is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// In every run.
    EveryRun,
    /// Once as it enters each threshold.
    OncePerThreshold,
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
    /// Reads the configuration that the environment names, by the deadline and within [`MAX_TO_READ`].
    ///
    /// # Errors
    ///
    /// Every fault that was found, each with its path in the document.
    pub async fn load(environment: &Environment, aws: &Aws, deadline: Deadline) -> Result<Self, InvalidConfiguration> {
        let places = Places { environment, aws, deadline: deadline.min(Deadline::after(MAX_TO_READ)) };
        match Source::of(environment)? {
            None => {
                let tree = environment::document(environment);
                Self::of_document(tree, places).await.map_err(environment::rename)
            }
            Some(source) => {
                let text = source.read(places).await?;
                let config = Self::of_document(parse::tree(&text)?, places).await?;
                Ok(Self { is_kept_in_aws: config.is_kept_in_aws || source.is_in_aws(), ..config })
            }
        }
    }

    /// Reads a document, TOML or JSON, whose references are all to `environment`.
    ///
    /// # Errors
    ///
    /// Every fault that was found, each with its path in the document.
    #[cfg(test)]
    pub(crate) async fn read(text: &str, environment: &Environment) -> Result<Self, InvalidConfiguration> {
        let aws = &Aws::new(crate::net::client().expect("a client"), environment.clone());
        let deadline = Deadline::after(MAX_TO_READ);
        Self::of_document(parse::tree(text)?, Places { environment, aws, deadline }).await
    }

    async fn of_document(mut document: Value, places: Places<'_>) -> Result<Self, InvalidConfiguration> {
        let faults = Faults::default();
        let resolved = reference::resolve(&mut document, places, &faults).await;
        parse::config(&document, &resolved, &faults).ok_or_else(|| faults.into())
    }

    /// What takes this configuration's secrets out of text.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let mut secrets = vec![self.ayrshare.api_key.expose_secret().to_owned()];
        let mut add_url = |url: &SecretUrl| {
            // A service may repeat any part of it; a short part may be a word of ours.
            let parts = url.0.path().split('/').chain([url.0.path().trim_matches('/')]);
            let parts = parts.chain(url.0.query()).chain(url.0.password());
            secrets.push(url.0.as_str().to_owned());
            secrets.extend(parts.filter(|part| MAX_WORD < part.len()).map(ToOwned::to_owned));
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

/// Where the document is.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// In a file.
    File(PathBuf),
    /// In Parameter Store or in Secrets Manager.
    Kept(Reference),
    /// In an object of S3.
    S3(s3::Object),
}

impl Source {
    /// The document's place; `None` without one, when the environment alone is the configuration.
    fn of(environment: &Environment) -> Result<Option<Self>, Fault> {
        const ACCEPTED: &str = "give the path of a file, `ssm:/parameter/name`, `secretsmanager:ID[#json-key]` or \
                                `s3://bucket/key`";
        let Some(place) = environment.non_blank_var(CONFIG_VARIABLE) else { return Ok(None) };
        let place = place.trim();
        let fault = |reason: String| Fault::new(CONFIG_VARIABLE, reason);
        let source = match place.split_once(':') {
            Some(("ssm" | "secretsmanager", _)) => match Reference::parse(place) {
                Some(reference) => reference.map(Self::Kept).map_err(fault),
                None => Err(fault(ACCEPTED.to_owned())),
            },
            Some(("s3", object)) => s3::Object::parse(object).map(Self::S3).map_err(fault),
            // A drive of Windows has one letter.
            Some((scheme, _)) if 2 <= scheme.len() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(fault(format!("`{scheme}:` is no place that the document can be read from; {ACCEPTED}")))
            }
            _ => Ok(Self::File(place.into())),
        };
        source.map(Some)
    }

    fn is_in_aws(&self) -> bool {
        matches!(self, Self::Kept(_) | Self::S3(_))
    }

    async fn read(&self, places: Places<'_>) -> Result<String, Fault> {
        match self {
            Self::File(path) => read_file(path).await.map_err(|reason| Fault::new(CONFIG_VARIABLE, reason)),
            Self::Kept(reference) => {
                let found = reference::look_up([reference.clone()].into(), places).await.remove(reference);
                let found = found.unwrap_or_else(|| Ok(String::new()));
                found.map_err(|miss| Fault::of_lookup(CONFIG_VARIABLE, reference, &miss))
            }
            Self::S3(object) => {
                let found = object.read(places.aws, places.deadline).await;
                found.map_err(|miss| Fault::of_lookup(CONFIG_VARIABLE, object, &miss))
            }
        }
    }
}

/// The region that AWS is asked in, for an error to name.
fn region(config: &SdkConfig) -> String {
    config.region().map_or_else(|| DEFAULT_REGION.to_owned(), ToString::to_string)
}

async fn read_file(path: &std::path::Path) -> Result<String, String> {
    let named = path.display();
    let size = tokio::fs::metadata(path).await.map_err(|error| format!("{named} cannot be read: {error}"))?.len();
    if MAX_DOCUMENT_BYTES < size {
        return Err(format!("{named} has {size} bytes; the most that is read is {MAX_DOCUMENT_BYTES}"));
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
    /// Whether a service could not be asked: nothing is known to be wrong with the document.
    #[serde(skip)]
    is_passing: bool,
}

impl Fault {
    fn new(path: &str, message: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), message: message.to_string(), is_passing: false }
    }

    /// A value at `path` that could not be had from where it is kept.
    fn of_lookup(path: &str, place: &impl fmt::Display, miss: &LookupError) -> Self {
        Self { is_passing: miss.is_passing, ..Self::new(path, format!("{place}: {}", miss.reason)) }
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

impl InvalidConfiguration {
    /// Whether a part of it could not be read just now, so that nothing is known of the configuration as a whole.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.faults.iter().any(|fault| fault.is_passing)
    }
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
