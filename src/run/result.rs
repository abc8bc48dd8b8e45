//! The result of a run: what the function answers, what `webhook` channels and SNS topics with `format = "json"` get.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::model::text;
use crate::model::threshold::Threshold;
use crate::model::{FailedProfile, Item, MediaKind, PostAtRisk, ProfileName, State, Status};
use crate::run::command::Action;
use crate::scan::survey::{MediaCounts, Survey};

/// Everything that a run found and did.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// Unique to the run; on every log line of it.
    pub run_id: String,
    /// What was asked for.
    pub action: Action,
    /// Whether messages were only rendered.
    pub dry_run: bool,
    /// The moment that every "in 2 days" of the run counts from.
    pub started_at: Timestamp,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
    /// How it went.
    pub status: Status,
    /// Which profiles were looked at.
    pub profiles: ProfilesResult,
    /// How many files were seen.
    pub media: MediaCounts,
    /// The files that matter, the most urgent first.
    pub items: Vec<ItemResult>,
    /// How many of `items` a size limit left out, from the end.
    #[serde(skip_serializing_if = "is_zero")]
    pub items_left_out: usize,
    /// The scheduled posts that will fail, the earliest first.
    pub posts_at_risk: Vec<PostAtRisk>,
    /// How many of `posts_at_risk` a size limit left out, from the end.
    #[serde(skip_serializing_if = "is_zero")]
    pub posts_left_out: usize,
    /// What became of each channel.
    pub channels: Vec<ChannelResult>,
    /// Why the ledger could not be used, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_error: Option<String>,
}

/// Which profiles were looked at.
#[derive(Clone, Debug, Serialize)]
pub struct ProfilesResult {
    /// How many the run was to look at.
    pub configured: usize,
    /// Whose galleries were read.
    pub checked: usize,
    /// What could not be looked at.
    pub failed: Vec<FailedProfile>,
    /// How many of `failed` a size limit left out, from the end.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed_left_out: usize,
}

/// A file that matters.
#[derive(Clone, Debug, Serialize)]
pub struct ItemResult {
    /// Whose gallery it is in.
    pub profile: ProfileName,
    /// Ayrshare's id.
    pub id: Option<String>,
    /// Its name.
    pub file_name: Option<String>,
    /// Where it is served.
    pub url: Option<String>,
    /// What kind of file it is.
    pub kind: MediaKind,
    /// Its size in bytes.
    pub size_bytes: Option<u64>,
    /// When it was uploaded.
    pub created_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// How many whole seconds that is from the start of the run; negative once it is over.
    pub expires_in_s: Option<i64>,
    /// How it stands.
    pub state: State,
    /// The tightest threshold that it has entered.
    pub threshold: Option<Threshold>,
    /// The ids of the scheduled posts that will fail because of it.
    pub posts_at_risk: Vec<String>,
    /// With a ledger: the tightest threshold that each channel has confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced: Option<BTreeMap<String, String>>,
}

impl ItemResult {
    /// What a run at `now` says of `item`.
    #[must_use]
    pub fn new(item: &Item, now: Timestamp) -> Self {
        let media = &item.media;
        Self {
            profile: item.profile.clone(),
            id: media.id.clone(),
            file_name: media.file_name.clone(),
            url: media.url.clone(),
            kind: media.kind(),
            size_bytes: media.size_bytes,
            created_at: media.created_at,
            expires_at: media.expires_at,
            expires_in_s: item.remaining(now).map(|left| left.as_millis().div_euclid(1000).try_into().unwrap_or(0)),
            state: item.state,
            threshold: item.threshold.clone(),
            posts_at_risk: Vec::new(),
            announced: None,
        }
    }
}

/// What became of a channel.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelResult {
    /// Its name.
    pub name: String,
    /// `slack`, `sns` or `webhook`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// How many files and posts it was told of.
    pub announced: usize,
    /// In how many messages.
    pub messages: usize,
    /// Why it failed.
    pub error: Option<String>,
    /// In a dry run: what would have been sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<Value>,
}

/// What became of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It confirmed every message.
    Delivered,
    /// There was nothing to say.
    NothingDue,
    /// Its messages were rendered and not sent.
    DryRun,
    /// It did not take a message.
    Failed,
    /// It would take messages.
    Reachable,
    /// Another run was under way, so nothing was looked at and nothing was sent.
    Busy,
}

impl RunResult {
    /// What was found, before anything was said to anybody.
    #[must_use]
    pub fn of_survey(survey: &Survey, run_id: &str, action: Action) -> Self {
        let posts = survey.posts_by_media();
        let item_result = |item: &Item| {
            let id = item.media.id.as_deref();
            let posts_at_risk = id.and_then(|id| posts.get(&(&item.profile, id))).cloned().unwrap_or_default();
            ItemResult { posts_at_risk, ..ItemResult::new(item, survey.now) }
        };
        Self {
            run_id: run_id.to_owned(),
            action,
            dry_run: false,
            started_at: survey.now,
            duration_ms: 0,
            status: survey.status(),
            profiles: ProfilesResult {
                configured: survey.configured(),
                checked: survey.checked(),
                failed: survey.failed(),
                failed_left_out: 0,
            },
            media: survey.counts(),
            items: survey.items.iter().map(item_result).collect(),
            items_left_out: 0,
            posts_at_risk: survey.posts_at_risk.clone(),
            posts_left_out: 0,
            channels: Vec::new(),
            ledger_error: None,
        }
    }

    /// This result as JSON of at most `max_bytes`: what does not fit is cut from the ends of its lists and counted.
    ///
    /// Failed profiles come first, then posts, then items, because the gravest must not be what is left out.
    #[must_use]
    pub fn to_json_within(&self, max_bytes: usize) -> String {
        let whole = json(self);
        if whole.len() <= max_bytes {
            return whole;
        }
        let mut cut = self.clone();
        cut.items.clear();
        cut.posts_at_risk.clear();
        cut.profiles.failed.clear();
        // The three counters, with their names and the largest numbers.
        let mut room = max_bytes.saturating_sub(json(&cut).len() + 3 * 40);
        cut.profiles.failed = prefix_within(&self.profiles.failed, &mut room);
        cut.posts_at_risk = prefix_within(&self.posts_at_risk, &mut room);
        cut.items = prefix_within(&self.items, &mut room);
        cut.profiles.failed_left_out += self.profiles.failed.len() - cut.profiles.failed.len();
        cut.posts_left_out += self.posts_at_risk.len() - cut.posts_at_risk.len();
        cut.items_left_out += self.items.len() - cut.items.len();
        json(&cut)
    }

    /// Says in one line why a run failed: which profiles, which channels.
    #[must_use]
    pub fn failure_in_words(&self) -> String {
        let mut parts = Vec::new();
        if self.profiles.checked == 0 && self.action != Action::Test {
            parts.push("no profile could be checked".to_owned());
        }
        if !self.profiles.failed.is_empty() {
            let failed: Vec<_> = self
                .profiles
                .failed
                .iter()
                .map(|failed| format!("{} ({})", failed.profile, failed.failure.kind.as_str()))
                .collect();
            parts.push(format!("profiles that failed: {}", text::list(&failed, 20)));
        }
        let channels: Vec<_> = self
            .channels
            .iter()
            .filter(|channel| channel.outcome == Outcome::Failed)
            .map(|channel| format!("{} ({})", channel.name, channel.error.as_deref().unwrap_or("no reason given")))
            .collect();
        if !channels.is_empty() {
            parts.push(format!("channels that failed: {}", text::list(&channels, 20)));
        }
        parts.extend(self.ledger_error.iter().map(|error| format!("the ledger failed: {error}")));
        parts.join("; ")
    }

    /// Whether another run was under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.channels.iter().any(|channel| channel.outcome == Outcome::Busy)
    }
}

fn prefix_within<T: Serialize + Clone>(list: &[T], room: &mut usize) -> Vec<T> {
    let fitting = list.iter().take_while(|element| {
        let left = room.checked_sub(json(element).len() + 1);
        *room = left.unwrap_or(*room);
        left.is_some()
    });
    fitting.cloned().collect()
}

/// The value as JSON. The types of this crate always can be written as such.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
