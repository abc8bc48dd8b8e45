//! Channels: where alerts are sent.

use std::fmt;

use secrecy::SecretString;
use url::Url;

use super::audience::Audience;
use super::mailbox::Mailbox;
use crate::model::Zone;
use crate::model::threshold::{Threshold, Thresholds};

/// A destination of alerts.
#[derive(Debug)]
pub struct Channel {
    /// The name in results.
    pub name: String,
    /// The kind of channel and its settings.
    pub kind: ChannelKind,
    /// Which profiles the channel is alerted about.
    pub audience: Audience,
    /// The thresholds at which the channel is alerted.
    pub thresholds: Thresholds,
    /// The zone in which people read the times of its messages and its page.
    pub timezone: Zone,
    /// One line at the end of each digest.
    pub note: Option<String>,
}

impl Channel {
    /// Returns whether the channel is alerted about all profiles. Only then is it told which profiles nobody watches.
    #[must_use]
    pub fn hears_of_all_profiles(&self) -> bool {
        self.audience.is_all()
    }
}

/// The kinds of channel, with their settings.
#[derive(Debug)]
pub enum ChannelKind {
    /// A Slack incoming webhook.
    Slack {
        /// The URL of the webhook. It is a secret, because anyone who knows it can post.
        webhook_url: SecretUrl,
        /// Whom the messages mention, and when.
        mentions: Option<Mentions>,
    },
    /// An SNS topic.
    Sns {
        /// The ARN of the topic.
        topic: TopicArn,
        /// The format of the messages.
        format: SnsFormat,
    },
    /// An HTTP endpoint that receives signed results.
    Webhook {
        /// The URL of the endpoint.
        url: SecretUrl,
        /// The signing secret: `whsec_` and base64.
        secret: SecretString,
    },
    /// Email through Amazon SES.
    Email(EmailConfig),
    /// A Workflows webhook of Microsoft Teams.
    Teams {
        /// The URL of the webhook. It is a secret, because anyone who knows it can post.
        webhook_url: SecretUrl,
    },
}

/// The settings of an email channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailConfig {
    /// The sender, an identity that is verified in SES.
    pub from: Mailbox,
    /// The recipients: 1 to 50.
    pub to: Vec<Mailbox>,
    /// The region of SES; `None` for that of the function.
    pub region: Option<String>,
    /// Whether mails show the pictures that expire.
    pub pictures: bool,
}

impl ChannelKind {
    /// Returns the `type` of the channel in the configuration.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::Sns { .. } => "sns",
            Self::Webhook { .. } => "webhook",
            Self::Email(_) => "email",
            Self::Teams { .. } => "teams",
        }
    }
}

/// Whom the messages of a Slack channel mention, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mentions {
    /// Whom to mention: at least one.
    pub who: Vec<Mention>,
    /// A digest mentions them when a post will fail, or a file has entered this threshold.
    pub at: Threshold,
}

/// Somebody whom Slack notifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mention {
    /// The active members of the channel.
    Here,
    /// All members of the channel.
    Channel,
    /// A user, by id.
    User(String),
    /// A user group, by id.
    UserGroup(String),
}

impl Mention {
    /// Parses `here`, `channel`, a user id `U…` or a user group id `S…`.
    ///
    /// # Errors
    ///
    /// Returns the reason when `text` is none of these. It does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_id = (2..=MAX_ID_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        match text {
            "here" => Ok(Self::Here),
            "channel" => Ok(Self::Channel),
            id if is_id && id.starts_with('U') => Ok(Self::User(id.to_owned())),
            id if is_id && id.starts_with('S') => Ok(Self::UserGroup(id.to_owned())),
            _ => Err("is neither `here` nor `channel` nor the id of a user (`U…`) or of a user group (`S…`) at Slack"),
        }
    }
}

/// The longest id of a user or a user group, in bytes. Slack documents no limit. Its ids have 9 to 11 bytes.
const MAX_ID_BYTES: usize = 32;

/// The format of an SNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnsFormat {
    /// Plain text, for email subscriptions.
    Text,
    /// The result of the run, as JSON.
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
    /// Parses `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
    ///
    /// # Errors
    ///
    /// Returns the reason when `text` is not the ARN of an SNS topic.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(':').collect();
        match parts[..] {
            ["arn", partition, "sns", region, account, name]
                if partition.starts_with("aws")
                    && !region.is_empty()
                    && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !account.is_empty()
                    && !name.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Ok(Self { arn: text.to_owned(), region: region.to_owned() })
            }
            _ => {
                Err("is not the ARN of an SNS topic, which looks like `arn:aws:sns:eu-central-1:123456789012:NAME`"
                    .into())
            }
        }
    }

    /// Returns the ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// Returns the region of the topic. SNS must be called in this region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns whether the topic is a FIFO topic.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.arn.strip_suffix(".fifo").is_some()
    }
}

/// A URL that may contain a credential. Its `Debug` output does not show it.
#[derive(Clone)]
pub struct SecretUrl(pub(super) Url);

impl SecretUrl {
    /// Returns the URL. Use it for requests only, and never in logs or error texts.
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
