//! The stand-ins for Ayrshare, Slack and SNS, and a configuration that uses them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::demo::stand_ins::{
    AyrshareStandIn, Call, MediaHostStandIn, Publication, Reply, SlackStandIn, SnsStandIn,
};
use serde_json::{Value, json};

use super::lambda::Variables;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:media-expiry";

/// The services that the function uses.
pub struct StandIns {
    ayrshare: AyrshareStandIn,
    slack: SlackStandIn,
    sns: SnsStandIn,
    media_host: MediaHostStandIn,
    since: Timestamp,
}

/// The number of messages sent to the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// To Slack.
    pub slack: usize,
    /// To SNS.
    pub sns: usize,
}

impl StandIns {
    /// The only API key that Ayrshare accepts.
    pub const API_KEY: &str = "7TVRLEZ-24A43C0-NJW0Z82-F11984N";

    /// Starts the stand-ins. The gallery has one file that expires in 30 hours.
    pub async fn start() -> Self {
        let stand_ins = Self {
            ayrshare: AyrshareStandIn::start(Self::API_KEY).await.expect("a free port"),
            slack: SlackStandIn::start().await.expect("a free port"),
            sns: SnsStandIn::start(&[TOPIC]).await.expect("a free port"),
            media_host: MediaHostStandIn::start().await.expect("a free port"),
            since: Timestamp::now(),
        };
        stand_ins.set_gallery(&[("spring 🌱.mp4", 30)]);
        stand_ins
    }

    /// Sets the gallery of the primary profile: file names, and the hours until they expire.
    pub fn set_gallery(&self, files: &[(&str, i64)]) {
        self.ayrshare.media(None, self.gallery(files));
    }

    /// Sets the entries of the gallery of the primary profile.
    pub fn set_files(&self, files: &[Value]) {
        self.ayrshare.gallery(None, files);
    }

    /// The host of files.
    pub fn media_host(&self) -> &MediaHostStandIn {
        &self.media_host
    }

    /// Sets the gallery and delays the next answer.
    pub fn set_slow_gallery(&self, files: &[(&str, i64)], delay: Duration) {
        self.ayrshare.media_first(None, [self.gallery(files).after(delay)]);
    }

    /// Expiries are relative to the start of the stand-ins, so that the same hours always mean the same time.
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

    /// The stand-in for Slack.
    pub fn slack(&self) -> &SlackStandIn {
        &self.slack
    }

    /// The base URL of Ayrshare.
    pub fn ayrshare_url(&self) -> String {
        self.ayrshare.base_url()
    }

    /// The environment variables that configure the function to use them.
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

    /// The number of messages so far, including rejected ones.
    pub fn sent(&self) -> Sent {
        Sent { slack: self.slack.attempts(), sns: self.sns.attempts() }
    }

    /// How often the gallery of the primary profile was requested so far.
    pub fn scans(&self) -> usize {
        self.ayrshare.requests(None, Call::Media)
    }

    /// The messages that SNS accepted so far.
    pub fn publications(&self) -> Vec<Publication> {
        self.sns.publications()
    }

    /// The Slack webhook URL, which must not appear in any log.
    pub fn slack_url(&self) -> String {
        self.slack.url()
    }

    /// The violations of all stand-ins.
    pub fn violations(&self) -> Vec<String> {
        let of_host = self.media_host.violations();
        [self.ayrshare.violations(), self.slack.violations(), self.sns.violations(), of_host].concat()
    }
}
