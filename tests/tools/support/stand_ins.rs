//! Ayrshare, Slack and SNS as the stand-ins of the demo serve them, and a configuration that points at them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::demo::stand_ins::{AyrshareStandIn, Publication, Reply, SlackStandIn, SnsStandIn};
use serde_json::{Value, json};

use super::lambda::Variables;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:media-expiry";

/// The services that the function talks to.
pub struct StandIns {
    ayrshare: AyrshareStandIn,
    slack: SlackStandIn,
    sns: SnsStandIn,
    since: Timestamp,
}

/// How many messages the channels were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// To Slack.
    pub slack: usize,
    /// To SNS.
    pub sns: usize,
}

impl StandIns {
    /// The only key that Ayrshare takes.
    pub const API_KEY: &str = "7TVRLEZ-24A43C0-NJW0Z82-F11984N";

    /// Starts them, with one file in the gallery that expires in 30 hours.
    pub async fn start() -> Self {
        let stand_ins = Self {
            ayrshare: AyrshareStandIn::start(Self::API_KEY).await.expect("a free port"),
            slack: SlackStandIn::start().await.expect("a free port"),
            sns: SnsStandIn::start(&[TOPIC]).await.expect("a free port"),
            since: Timestamp::now(),
        };
        stand_ins.set_gallery(&[("spring 🌱.mp4", 30)]);
        stand_ins
    }

    /// Lets the primary profile's gallery hold these files, each with the hours until it expires.
    pub fn set_gallery(&self, files: &[(&str, i64)]) {
        self.ayrshare.media(None, self.gallery(files));
    }

    /// Lets the gallery take its time for the next answer.
    pub fn set_slow_gallery(&self, files: &[(&str, i64)], delay: Duration) {
        self.ayrshare.media_first(None, [self.gallery(files).after(delay)]);
    }

    /// The expiries count from the start of the stand-ins: the same hours are the same moment.
    fn gallery(&self, files: &[(&str, i64)]) -> Reply {
        let now = self.since;
        let file = |(name, hours): &(&str, i64)| {
            json!({
                "id": format!("{name}-id"),
                "timeCreated": now.to_string(),
                "size": "223340",
                "url": format!("https://images.ayrshare.com/a/{name}"),
                "fileName": name,
                "expiresAt": (now + SignedDuration::from_hours(*hours)).to_string(),
            })
        };
        Reply::json(200, &files.iter().map(file).collect::<Value>())
    }

    /// What plays Slack.
    pub fn slack(&self) -> &SlackStandIn {
        &self.slack
    }

    /// Where Ayrshare is.
    pub fn ayrshare_url(&self) -> String {
        self.ayrshare.base_url()
    }

    /// The configuration from the environment that points at them.
    pub fn variables(&self) -> Variables {
        [
            ("AYRSHARE_API_KEY", Self::API_KEY.to_owned()),
            ("AYRSHARE_BASE_URL", self.ayrshare.base_url()),
            ("SLACK_WEBHOOK_URL", self.slack.url()),
            ("SNS_TOPIC_ARN", TOPIC.to_owned()),
            ("AWS_ENDPOINT_URL", self.sns.origin()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// How many messages arrived so far, whatever became of them.
    pub fn sent(&self) -> Sent {
        Sent { slack: self.slack.attempts(), sns: self.sns.attempts() }
    }

    /// What SNS took so far.
    pub fn publications(&self) -> Vec<Publication> {
        self.sns.publications()
    }

    /// The webhook of Slack, which must be in no log.
    pub fn slack_url(&self) -> String {
        self.slack.url()
    }

    /// Everything that the real services would have objected to.
    pub fn violations(&self) -> Vec<String> {
        [self.ayrshare.violations(), self.slack.violations(), self.sns.violations()].concat()
    }
}
