//! The clients of a configuration. They are made once, and those for AWS only if something needs them.

use std::collections::HashMap;
use std::sync::LazyLock;

use aws_sdk_sns::config::StalledStreamProtectionConfig;
use aws_types::region::Region;

use crate::channel::SendError;
use crate::channel::email::SesClient;
use crate::config::{ChannelKind, Config, LedgerConfig, TopicArn};
use crate::ledger::{DynamoDbLedger, FileLedger, Ledger};
use crate::net::aws::Aws;
use crate::net::redact::Redactor;
use crate::store::Store;

/// The clients that a run uses.
#[derive(Debug)]
pub struct Clients {
    /// The process's HTTP client.
    pub http: reqwest::Client,
    /// Removes the secrets of the configuration from text.
    pub redactor: Redactor,
    /// The ledger, if the configuration has one.
    pub ledger: Option<Ledger>,
    /// The store, if the configuration has one.
    pub store: Option<Store>,
    /// An SNS client for each region that a topic of the configuration is in.
    sns: HashMap<String, LazySns>,
    /// The client for email channels, if the configuration has one.
    ses: Option<SesClient>,
}

/// A client that is made for the first message. Making it takes a quarter of the start of the function, and most runs
/// send nothing.
type LazySns = LazyLock<aws_sdk_sns::Client, Box<dyn FnOnce() -> aws_sdk_sns::Client + Send>>;

impl Clients {
    /// Makes the clients that `config` needs.
    pub async fn new(config: &Config, aws: &Aws) -> Self {
        let topics: Vec<_> = config
            .channels
            .iter()
            .filter_map(|channel| match &channel.kind {
                ChannelKind::Sns { topic, .. } => Some(topic),
                ChannelKind::Slack { .. }
                | ChannelKind::Webhook { .. }
                | ChannelKind::Email(_)
                | ChannelKind::Teams { .. } => None,
            })
            .collect();
        let sends_email = config.channels.iter().any(|channel| matches!(channel.kind, ChannelKind::Email(_)));
        let store = match &config.store {
            Some(store) => Some(Store::new(store, aws).await),
            None => None,
        };
        let needs_aws =
            !topics.is_empty() || sends_email || matches!(config.ledger, Some(LedgerConfig::DynamoDb { .. }));
        let http = aws.http().clone();
        let credentials = aws.redactor();
        let redactor = config.redactor();
        redactor.add(&credentials);
        let aws = if needs_aws { Some(aws.config().await) } else { None };

        let mut sns = HashMap::new();
        for (topic, aws) in topics.into_iter().zip(aws.into_iter().cycle()) {
            let region = Region::new(topic.region().to_owned());
            // A function with little CPU can be busy for seconds, which looks like a stalled connection. Every request
            // has its own deadline instead.
            let no_protection = StalledStreamProtectionConfig::disabled();
            let config = aws_sdk_sns::config::Builder::from(aws).region(region);
            let config = config.stalled_stream_protection(no_protection).build();
            let client: LazySns = LazyLock::new(Box::new(|| aws_sdk_sns::Client::from_conf(config)));
            sns.insert(topic.region().to_owned(), client);
        }
        let ledger = match (&config.ledger, aws) {
            (Some(LedgerConfig::DynamoDb { table }), Some(aws)) => {
                let client = DynamoDbLedger::client(http.clone(), aws);
                Some(Ledger::DynamoDb(DynamoDbLedger::new(client, table.clone()).redacting(redactor.clone())))
            }
            (Some(LedgerConfig::File { path }), _) => Some(Ledger::File(FileLedger::new(path.clone()))),
            _ => None,
        };
        let ses = aws.filter(|_| sends_email).map(|aws| SesClient::new(http.clone(), aws));
        Self { http, redactor, ledger, store, sns, ses }
    }

    /// The client for a topic of the configuration.
    ///
    /// # Errors
    ///
    /// Returns an error if no topic of the configuration is in this region.
    pub fn sns(&self, topic: &TopicArn) -> Result<&aws_sdk_sns::Client, SendError> {
        let client = self.sns.get(topic.region());
        client.map(|client| &**client).ok_or_else(|| SendError::permanent("no topic of the configuration is there"))
    }

    /// The client for email channels.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration has none.
    pub fn ses(&self) -> Result<&SesClient, SendError> {
        self.ses.as_ref().ok_or_else(|| SendError::permanent("the configuration has no email channel"))
    }
}
