//! The configuration: finding the document, resolving its references, and validating it.
//!
//! [`DocumentSource`] reads the text, [`parse::document`] parses it into a tree of values, [`reference::resolve`] replaces
//! the references in it, and [`parse::config`] validates the result. No other module sees a setting that was not validated
//! here, and all errors of a document are reported together.
//!
//! The document and the values in it may come from AWS. They are read together, within [`LOAD_TIMEOUT`].
//!
//! This module does not know what the settings are used for, nor when they are read again.

mod audience;
mod channel;
mod document;
mod environment;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod lookup_error;
mod mailbox;
mod parameter_store;
mod parse;
mod profiles;
mod profiles_from;
mod reference;
mod rescue;
mod s3;
mod secrets_manager;
mod store;
mod table;
mod unique_keys;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use aws_types::SdkConfig;
use globset::GlobSet;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

pub use self::audience::Audience;
pub use self::channel::{Channel, ChannelKind, EmailConfig, Mention, Mentions, SecretUrl, SnsFormat, TopicArn};
use self::document::DocumentSource;
use self::fault::Faults;
pub use self::fault::{Fault, InvalidConfiguration};
pub use self::mailbox::Mailbox;
pub use self::parse::is_loopback;
pub use self::profiles_from::{ListedProfiles, ProfilesFrom};
use self::reference::ReferenceSources;
pub use self::rescue::{RescueConfig, RescueFiles};
pub use self::s3::{Object, aws_error};
pub use self::store::StoreConfig;
use crate::model::{ProfileName, Tags, Zone};
use crate::net::Deadline;
use crate::net::aws::{Aws, DEFAULT_REGION};
use crate::net::environment::Environment;
use crate::net::redact::Redactor;

/// The environment variable that names the location of the document.
pub const CONFIG_VARIABLE: &str = "MEDIA_ALERTS_CONFIG";

/// The time limit for reading the configuration. Lambda gives a function ten seconds to start.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(8);

/// The maximum length of a part of a secret URL that may be an ordinary word, and so is not redacted by itself.
const MAX_UNREDACTED_PART_BYTES: usize = 11;

/// A valid configuration with all references resolved.
#[derive(Debug)]
pub struct Config {
    /// The table `[ayrshare]`.
    pub ayrshare: AyrshareConfig,
    /// The tables `[[profiles]]`, with unique names: at least one unless there is `profiles_from`.
    pub profiles: Vec<Profile>,
    /// The table `[profiles_from]`, if there is one.
    pub profiles_from: Option<ProfilesFrom>,
    /// The table `[alerts]`.
    pub alerts: Alerts,
    /// The tables `[[channels]]`: at least one, with unique names.
    pub channels: Vec<Channel>,
    /// The table `[ledger]`, or `None` without a ledger.
    pub ledger: Option<LedgerConfig>,
    /// The table `[store]`, if there is one.
    pub store: Option<StoreConfig>,
    /// The table `[rescue]`, if there is one. Then there is a store, too.
    pub rescue: Option<RescueConfig>,
    /// The table `[http]`.
    pub http: HttpConfig,
    /// The URL of the table `[heartbeat]`, if there is one.
    pub heartbeat: Option<SecretUrl>,
    /// Whether the document or a value in it was read from AWS, where it may change while the process runs.
    pub is_from_aws: bool,
}

/// How to call Ayrshare.
#[derive(Debug)]
pub struct AyrshareConfig {
    /// The API key of the account.
    pub api_key: SecretString,
    /// The base URL of the API.
    pub base_url: Url,
    /// How many profiles are read concurrently.
    pub concurrency: usize,
    /// The timeout of one request, from the connection to the end of the response.
    pub timeout: Duration,
    /// Whether to report scheduled posts that will fail.
    pub scheduled_posts: bool,
    /// Whether Ayrshare may be asked to open URLs of posts that no gallery lists.
    pub check_media_urls: bool,
    /// Whether to look for profiles that nobody watches.
    pub discover_profiles: bool,
}

/// A profile whose gallery is checked.
#[derive(Debug)]
pub struct Profile {
    /// The name in results and messages.
    pub name: ProfileName,
    /// The tags, by which channels can select it.
    pub tags: Tags,
    /// The profile key. The primary profile has none.
    pub key: Option<SecretString>,
}

/// What alerts contain, and when they are sent.
#[derive(Debug)]
pub struct Alerts {
    /// How often the same item is announced.
    pub repeat: Repeat,
    /// What channels receive when nothing is due.
    pub when_empty: WhenEmpty,
    /// The zone in which people read times, unless a channel has its own.
    pub timezone: Zone,
    /// Skips files whose id or name matches one of these globs.
    pub ignore: GlobSet,
    /// Profiles whose title matches one of these globs need not be watched.
    pub ignore_profiles: GlobSet,
    /// The globs of `ignore` as text, by which two configurations can be compared.
    pub ignore_patterns: BTreeSet<String>,
    /// The globs of `ignore_profiles` as text.
    pub ignore_profiles_patterns: BTreeSet<String>,
}

/// How often the same item is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Every run announces every item that is due.
    EveryRun,
    /// An item is announced once for each threshold that it enters.
    OncePerThreshold,
}

/// What a channel receives when nothing is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenEmpty {
    /// No message.
    Silent,
    /// A message that all is well.
    Report,
}

/// Where the ledger stores what was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerConfig {
    /// A DynamoDB table.
    DynamoDb {
        /// The name of the table.
        table: String,
    },
    /// A local file.
    File {
        /// The path of the file.
        path: PathBuf,
    },
}

/// How to answer HTTP requests.
#[derive(Debug)]
pub struct HttpConfig {
    /// Whether requests are accepted only with the context of a gateway authorizer.
    pub require_authorizer: bool,
    /// The base URL of signed report links.
    pub report_url: Option<Url>,
    /// The secret that signs links.
    pub link_secret: Option<SecretString>,
    /// The secret that signed links before. Its links still work.
    pub previous_link_secret: Option<SecretString>,
    /// How long signed links are valid.
    pub link_ttl: Duration,
    /// How long a calendar subscription is valid.
    pub calendar_ttl: Duration,
    /// Whether whoever has a link may mark files as handled.
    pub allow_handled: bool,
}

impl Config {
    /// Reads and validates the configuration that the environment names.
    ///
    /// The deadline is `deadline`, or [`LOAD_TIMEOUT`] from now if that is earlier.
    ///
    /// # Errors
    ///
    /// Returns all configuration errors together, each with its path in the document.
    pub async fn load(environment: &Environment, aws: &Aws, deadline: Deadline) -> Result<Self, InvalidConfiguration> {
        let sources = ReferenceSources { environment, aws, deadline: deadline.min(Deadline::after(LOAD_TIMEOUT)) };
        match DocumentSource::from_environment(environment)? {
            None => {
                let document = environment::document(environment);
                let config = Self::from_document(document.clone(), sources).await;
                config.map_err(|invalid| environment::name_variables(invalid, &document))
            }
            Some(source) => {
                let text = source.read(sources).await?;
                let config = Self::from_document(parse::document(&text)?, sources).await?;
                Ok(Self { is_from_aws: config.is_from_aws || source.is_in_aws(), ..config })
            }
        }
    }

    /// Parses and validates a TOML or JSON document whose references are all to `environment`.
    ///
    /// # Errors
    ///
    /// Returns all configuration errors together, each with its path in the document.
    #[cfg(test)]
    pub(crate) async fn read(text: &str, environment: &Environment) -> Result<Self, InvalidConfiguration> {
        let aws = &Aws::new(crate::net::client().expect("a client"), environment.clone());
        let deadline = Deadline::after(LOAD_TIMEOUT);
        Self::from_document(parse::document(text)?, ReferenceSources { environment, aws, deadline }).await
    }

    async fn from_document(mut document: Value, sources: ReferenceSources<'_>) -> Result<Self, InvalidConfiguration> {
        let faults = Faults::default();
        let resolved = reference::resolve(&mut document, sources, &faults).await;
        parse::config(&document, &resolved, &faults).ok_or_else(|| faults.into())
    }

    /// Returns a redactor that removes the secrets of this configuration from text.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let mut secrets = vec![self.ayrshare.api_key.expose_secret().to_owned()];
        let mut add_url = |url: &SecretUrl| {
            // A service may repeat only a part of the URL in an error text.
            let parts = url.0.path().split('/').chain([url.0.path().trim_matches('/')]);
            let parts = parts.chain(url.0.query()).chain(url.0.password()).map(ToOwned::to_owned);
            let parts = parts.chain(url.0.query_pairs().map(|(_, value)| value.into_owned()));
            secrets.push(url.0.as_str().to_owned());
            secrets.extend(parts.filter(|part| MAX_UNREDACTED_PART_BYTES < part.len()));
        };
        let (list_url, list_token) = self.profiles_from.as_ref().map(ProfilesFrom::secrets).unwrap_or_default();
        self.heartbeat.iter().chain(list_url).for_each(&mut add_url);
        for channel in &self.channels {
            match &channel.kind {
                ChannelKind::Slack { webhook_url: url, .. }
                | ChannelKind::Teams { webhook_url: url }
                | ChannelKind::Webhook { url, .. } => add_url(url),
                ChannelKind::Sns { .. } | ChannelKind::Email(_) => {}
            }
        }
        for channel in &self.channels {
            if let ChannelKind::Webhook { secret, .. } = &channel.kind {
                secrets.push(secret.expose_secret().to_owned());
                secrets.push(secret.expose_secret().trim_start_matches("whsec_").to_owned());
            }
        }
        let keys = self.profiles.iter().filter_map(|profile| profile.key.as_ref());
        secrets.extend(keys.map(|secret| secret.expose_secret().to_owned()));
        secrets.extend(list_token.map(|secret| secret.expose_secret().to_owned()));
        let links = self.http.link_secret.iter().chain(&self.http.previous_link_secret);
        secrets.extend(links.map(|secret| secret.expose_secret().to_owned()));
        Redactor::new(secrets)
    }
}

/// Returns the region in which AWS is called, for error texts.
pub(crate) fn region(config: &SdkConfig) -> String {
    config.region().map_or_else(|| DEFAULT_REGION.to_owned(), ToString::to_string)
}

/// Returns the path of `key` in the table at `path`.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
