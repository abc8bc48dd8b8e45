//! The result of a run, and its JSON: what the function answers, and what `webhook` channels and SNS topics with
//! `format = "json"` get.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::command::Action;
use crate::digest::announce::Announced;
use crate::model::text::{self, json, json_within};
use crate::model::{
    AyrshareProfile, CopyAddress, DiscoveryStatus, FailedCopy, FailedProfile, IdentifiedProfile, Item, MediaKind,
    PostAtRisk, ProfileName, State, Status, Threshold, UnverifiedUrl, VERSION,
};
use crate::report::{self, Format, Question, Rendered, Report};
use crate::scan::survey::{MediaCounts, PostCounts, PostsByMedia, Survey};

/// Everything that a run found and did.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// Unique to the run; on every log line of it.
    pub run_id: String,
    /// What was asked for.
    pub action: Action,
    /// Whether messages were only rendered.
    pub dry_run: bool,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
    /// How it went.
    pub status: Status,
    /// How many profiles the run was to check.
    pub configured: usize,
    /// What the run found. Every "in 2 days" counts from its `now`.
    pub survey: Arc<Survey>,
    /// With a ledger: what each channel has confirmed.
    pub announced: Option<Announced>,
    /// The outcome of each channel.
    pub channels: Vec<ChannelResult>,
    /// Why the ledger could not be used, if it could not.
    pub ledger_error: Option<String>,
    /// Why the store failed its check, if it did.
    pub store_error: Option<String>,
}

/// What a channel was sent, and the outcome.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelResult {
    /// Its name.
    pub name: String,
    /// The `type` of the channel in the configuration.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The outcome.
    pub outcome: Outcome,
    /// How many files and posts it was sent.
    pub announced: usize,
    /// In how many messages.
    pub messages: usize,
    /// Why it failed.
    pub error: Option<String>,
    /// In a dry run: what would have been sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<Value>,
}

/// The outcome of a channel.
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
    /// Another run was in progress, so nothing was checked and nothing was sent.
    Busy,
}

impl RunResult {
    /// Creates the result of a run that has found `survey` and has sent nothing yet.
    #[must_use]
    pub fn of_survey(survey: impl Into<Arc<Survey>>, run_id: &str, action: Action) -> Self {
        let survey = survey.into();
        Self {
            run_id: run_id.to_owned(),
            action,
            dry_run: false,
            duration_ms: 0,
            status: survey.status(),
            configured: survey.configured(),
            survey,
            announced: None,
            channels: Vec::new(),
            ledger_error: None,
            store_error: None,
        }
    }

    /// The whole result as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let failed = self.survey.failed();
        json(&ResultJson::new(self, &Shown::all_of(&self.survey, &failed)))
    }

    /// This result as JSON of at most `max_bytes`: what does not fit is cut from the ends of its lists and counted.
    ///
    /// Failed profiles get room first, then posts, then items, so that the most serious entries are not left out.
    #[must_use]
    pub fn to_json_within(&self, max_bytes: usize) -> FittedJson {
        let failed = self.survey.failed();
        let all = Shown::all_of(&self.survey, &failed);
        if let Some(text) = json_within(&ResultJson::new(self, &all), max_bytes) {
            return FittedJson { text, is_cut: false };
        }
        let nothing =
            Shown { failed: &[], unwatched: &[], posts: &[], items: &[], max_unverified: 0, max_failed_copies: 0 };
        // `nothing` has the longest counts of entries that are left out. They only become shorter.
        let mut room = max_bytes.saturating_sub(json(&ResultJson::new(self, &nothing)).len());
        let posts = self.survey.posts_by_media();
        let item_bytes = |item: &Arc<Item>| json(&self.item_json(item, &posts)).len();
        // Unwatched profiles get at most a quarter of the room, because the other lists are more urgent.
        let mut room_for_unwatched = room / 4;
        let unwatched = fitting(all.unwatched.iter().map(|profile| json(profile).len()), &mut room_for_unwatched);
        room -= room / 4 - room_for_unwatched;
        let shown = Shown {
            unwatched: &all.unwatched[..unwatched],
            failed: &all.failed[..fitting(all.failed.iter().map(|failed| json(failed).len()), &mut room)],
            posts: &all.posts[..fitting(all.posts.iter().map(|post| json(post).len()), &mut room)],
            items: &all.items[..fitting(all.items.iter().map(item_bytes), &mut room)],
            max_unverified: 0,
            max_failed_copies: 0,
        };
        FittedJson { text: json(&ResultJson::new(self, &shown)), is_cut: true }
    }

    /// The report of this result in `format`, of at most `max_bytes` as `size` counts them.
    #[must_use]
    pub fn report(
        &self,
        format: Format,
        question: &Question,
        max_bytes: usize,
        size: impl Fn(&str) -> usize,
    ) -> Rendered {
        let to_json = |report: &Report<'_>| {
            let shown = Shown {
                failed: &report.failed,
                unwatched: report.unwatched,
                posts: report.posts,
                items: report.items,
                max_unverified: MAX_UNVERIFIED,
                max_failed_copies: MAX_FAILED_COPIES,
            };
            json(&ResultJson::new(self, &shown))
        };
        let known = json(&(AnnouncedJson(self), self.survey.copies.sorted()));
        let report = Report::new(&self.survey, self.announced.as_ref());
        report::render(report, format, question, max_bytes, size, &to_json, &known)
    }

    fn item_json<'a>(&'a self, item: &'a Item, posts: &'a PostsByMedia<'_>) -> ItemJson<'a> {
        let media = &item.media;
        let left = item.remaining(self.survey.now);
        ItemJson {
            profile: &item.profile,
            id: media.id.as_deref(),
            file_name: media.file_name.as_deref(),
            url: media.url.as_deref(),
            kind: media.kind(),
            size_bytes: media.size_bytes,
            created_at: media.created_at,
            expires_at: media.expires_at,
            expires_in_s: left.map(|left| left.as_millis().div_euclid(1000).try_into().unwrap_or(0)),
            state: item.state,
            threshold: item.threshold.as_ref(),
            posts_at_risk: posts.of(item),
            copy: self
                .survey
                .copies
                .of(item)
                .map(|copy| CopyJson { address: self.survey.copies.address(copy), size_bytes: copy.size_bytes }),
            announced: self.announced.as_ref().map(|announced| announced.of(item)),
            handled: self.announced.as_ref().map(|announced| announced.handled(item)),
        }
    }

    /// Says in one line why a run failed: which profiles, which channels.
    #[must_use]
    pub fn failure_in_words(&self) -> String {
        let mut parts = Vec::new();
        if self.survey.checked() == 0 && self.action != Action::Test {
            parts.push("no profile could be checked".to_owned());
        }
        let failed = self.survey.failed();
        if !failed.is_empty() {
            let failed: Vec<_> =
                failed.iter().map(|failed| format!("{} ({})", failed.profile, failed.failure.kind.as_str())).collect();
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
        parts.extend(self.store_error.clone());
        let copies = &self.survey.copies;
        if self.action == Action::Rescue && copies.kept() == 0 && 0 < copies.failures() + copies.waiting() {
            parts.push("no file could be copied".to_owned());
        }
        parts.join("; ")
    }

    /// Whether another run was in progress.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.channels.iter().any(|channel| channel.outcome == Outcome::Busy)
    }
}

/// JSON of a limited size.
#[derive(Clone, Debug)]
pub struct FittedJson {
    /// The JSON.
    pub text: String,
    /// Whether something was left out.
    pub is_cut: bool,
}

/// Returns how many elements of these sizes fit into `room`, and subtracts their sizes from it.
fn fitting(sizes: impl Iterator<Item = usize>, room: &mut usize) -> usize {
    let fits = |size: usize| {
        // A comma separates it from the next.
        let left = room.checked_sub(size + 1)?;
        *room = left;
        Some(())
    };
    sizes.map_while(fits).count()
}

/// The beginnings of the lists that a JSON result shows.
struct Shown<'a> {
    failed: &'a [FailedProfile],
    unwatched: &'a [AyrshareProfile],
    posts: &'a [Arc<PostAtRisk>],
    items: &'a [Arc<Item>],
    /// How many URLs that could not be verified are listed at most.
    max_unverified: usize,
    /// How many files that could not be copied are listed at most.
    max_failed_copies: usize,
}

/// How many files that could not be copied a result lists.
const MAX_FAILED_COPIES: usize = 100;
/// How many URLs that could not be verified a result lists.
const MAX_UNVERIFIED: usize = 100;

impl<'a> Shown<'a> {
    fn all_of(survey: &'a Survey, failed: &'a [FailedProfile]) -> Self {
        Self {
            failed,
            unwatched: &survey.discovery.unwatched,
            posts: &survey.posts_at_risk,
            items: &survey.items,
            max_unverified: MAX_UNVERIFIED,
            max_failed_copies: MAX_FAILED_COPIES,
        }
    }
}

/// A result as it is written in JSON.
#[derive(Serialize)]
struct ResultJson<'a> {
    run_id: &'a str,
    action: Action,
    /// Only of a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    dry_run: bool,
    started_at: Timestamp,
    duration_ms: u64,
    status: Status,
    profiles: ProfilesJson<'a>,
    media: MediaCounts,
    posts: PostsJson<'a>,
    items: ItemsJson<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    items_left_out: usize,
    posts_at_risk: &'a [Arc<PostAtRisk>],
    #[serde(skip_serializing_if = "is_zero")]
    posts_left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<CopiesJson<'a>>,
    channels: &'a [ChannelResult],
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_error: Option<&'a str>,
}

impl<'a> ResultJson<'a> {
    fn new(result: &'a RunResult, shown: &Shown<'a>) -> Self {
        let survey = &result.survey;
        Self {
            run_id: &result.run_id,
            action: result.action,
            version: (result.action == Action::Check).then_some(VERSION),
            dry_run: result.dry_run,
            started_at: survey.now,
            duration_ms: result.duration_ms,
            status: result.status,
            profiles: ProfilesJson {
                configured: result.configured,
                checked: survey.checked(),
                failed: shown.failed,
                failed_left_out: survey.failed().len() - shown.failed.len(),
                discovery: survey.discovery.status,
                unwatched: shown.unwatched,
                unwatched_left_out: survey.discovery.unwatched.len() - shown.unwatched.len(),
                identified: &survey.discovery.identified,
            },
            media: survey.counts(),
            posts: PostsJson {
                counts: survey.post_counts(),
                unverified: &survey.unverified[..survey.unverified.len().min(shown.max_unverified)],
            },
            items: ItemsJson { result, items: shown.items },
            items_left_out: survey.items.len() - shown.items.len(),
            posts_at_risk: shown.posts,
            posts_left_out: survey.posts_at_risk.len() - shown.posts.len(),
            copies: survey.copies.is_on.then(|| {
                let shown = survey.copies.failed.len().min(shown.max_failed_copies);
                CopiesJson {
                    made: survey.copies.made(),
                    kept: survey.copies.kept(),
                    waiting: survey.copies.waiting(),
                    failed: &survey.copies.failed[..shown],
                    failed_left_out: survey.copies.failed.len() - shown,
                }
            }),
            channels: &result.channels,
            ledger_error: result.ledger_error.as_deref(),
            store_error: result.store_error.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct PostsJson<'a> {
    #[serde(flatten)]
    counts: PostCounts,
    unverified: &'a [UnverifiedUrl],
}

#[derive(Serialize)]
struct ProfilesJson<'a> {
    configured: usize,
    checked: usize,
    failed: &'a [FailedProfile],
    #[serde(skip_serializing_if = "is_zero")]
    failed_left_out: usize,
    discovery: DiscoveryStatus,
    unwatched: &'a [AyrshareProfile],
    #[serde(skip_serializing_if = "is_zero")]
    unwatched_left_out: usize,
    /// Only of a check.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    identified: &'a [IdentifiedProfile],
}

/// Items, written one by one: a result may have hundreds of thousands.
struct ItemsJson<'a> {
    result: &'a RunResult,
    items: &'a [Arc<Item>],
}

impl Serialize for ItemsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let posts = self.result.survey.posts_by_media();
        serializer.collect_seq(self.items.iter().map(|item| self.result.item_json(item, &posts)))
    }
}

/// What was announced to each channel about each item, and the channels for which it is handled, in the order of the items.
struct AnnouncedJson<'a>(&'a RunResult);

impl Serialize for AnnouncedJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let RunResult { announced, survey, .. } = self.0;
        let announced = announced
            .iter()
            .flat_map(|announced| survey.items.iter().map(move |item| (announced.of(item), announced.handled(item))));
        serializer.collect_seq(announced)
    }
}

#[derive(Serialize)]
struct ItemJson<'a> {
    profile: &'a ProfileName,
    id: Option<&'a str>,
    file_name: Option<&'a str>,
    url: Option<&'a str>,
    kind: MediaKind,
    size_bytes: Option<u64>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    /// Negative once it has expired.
    expires_in_s: Option<i64>,
    state: State,
    threshold: Option<&'a Threshold>,
    posts_at_risk: &'a [String],
    /// The copy that the store keeps.
    copy: Option<CopyJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announced: Option<BTreeMap<&'a str, String>>,
    /// The channels for which it is marked as handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    handled: Option<Vec<&'a str>>,
}

/// A copy of a file. Its `key` and `id` are left out if they would reveal a profile that the reader may not see.
#[derive(Serialize)]
struct CopyJson<'a> {
    #[serde(flatten)]
    address: Option<CopyAddress<'a>>,
    size_bytes: u64,
}

/// What a run with `[rescue]` knows of copies.
#[derive(Serialize)]
struct CopiesJson<'a> {
    /// How many copies the run has made.
    made: usize,
    /// How many there are now, of the files that are to be copied.
    kept: usize,
    /// How many files are left to the next run.
    waiting: usize,
    failed: &'a [FailedCopy],
    #[serde(skip_serializing_if = "is_zero")]
    failed_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::digest::fixtures::{survey, survey_of, unwatched};
    use crate::ledger::{Key, Record};
    use crate::model::Level;
    use crate::model::threshold::Thresholds;

    /// The result of an alert run that found `survey`.
    pub(crate) fn result(survey: Survey) -> RunResult {
        let result = RunResult::of_survey(survey, "0d9ee2f0-7a4c-4a6e-9d43-5e7f6d0c8a11", Action::Alert);
        RunResult { duration_ms: 412, ..result }
    }

    fn parsed(json: &str) -> Value {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn json_has_every_list_of_the_survey() {
        let json = parsed(&result(survey()).to_json());
        let lengths = ["items", "posts_at_risk"].map(|list| json[list].as_array().map(Vec::len));
        assert_eq!(lengths, [Some(7), Some(1)]);
        assert_eq!(json["profiles"]["failed"][0]["profile"], "Acme Coffee");
        assert_eq!(json["items"][0]["expires_in_s"], -10_800);
        assert!(json["items"][0].get("announced").is_none(), "there is no ledger");
    }

    #[test]
    fn announced_belongs_to_the_item_at_its_place() {
        let mut result = result(survey_of(2));
        let record = |(item, threshold): (&Arc<Item>, &str)| {
            let level = Level::of(&Threshold::parse(threshold).expect("a threshold"));
            (Key::of_item(&item.profile, &item.media), Record::new(level, result.survey.now, None))
        };
        let memory = result.survey.items.iter().zip(["7d", "1d"]).map(record).collect();
        let thresholds = ["7d", "1d"].map(|text| Threshold::parse(text).expect("a threshold"));
        result.announced = Some(Announced {
            channels: BTreeMap::from([("team".to_owned(), memory)]),
            thresholds: Thresholds::new(thresholds).expect("thresholds"),
        });
        let json = parsed(&result.to_json());
        assert_eq!(
            (&json["items"][0]["announced"]["team"], &json["items"][1]["announced"]["team"]),
            (&"7d".into(), &"1d".into())
        );
    }

    #[test]
    fn thousands_of_unwatched_profiles_leave_room_for_items() {
        let mut survey = survey_of(100);
        let titles = (0..5_000).map(|number| (Some(format!("Client {number}")), number.to_string()));
        survey.discovery = unwatched(titles);
        let whole = result(survey);
        let json = parsed(&whole.to_json_within(20_000).text);
        let length = |list: &Value| list.as_array().map_or(0, Vec::len);
        let (shown, left_out) = (length(&json["profiles"]["unwatched"]), &json["profiles"]["unwatched_left_out"]);
        assert!(10 < shown && Some(5_000 - shown as u64) == left_out.as_u64(), "{shown} {left_out}");
        assert!(10 < length(&json["items"]), "{json}");
        assert_eq!(json["profiles"]["unwatched"][0], serde_json::json!({"title": "Client 0", "ref_id": "0"}));

        let report = parsed(&whole.report(Format::Json, &Question::default(), 200_000, str::len).body);
        assert_eq!((length(&report["profiles"]["unwatched"]), length(&report["items"])), (100, 100));
    }

    #[test]
    fn a_size_limit_cuts_items_first_and_counts_them() {
        let whole = result(survey_of(1_000));
        let json = whole.to_json_within(20_000);
        assert!(json.is_cut && json.text.len() <= 20_000 && 19_000 < json.text.len(), "{}", json.text.len());
        let json = parsed(&json.text);
        let shown = json["items"].as_array().expect("items").len();
        assert_eq!(json["items_left_out"], 1_000 - shown);
        assert_eq!(json["items"][0], parsed(&whole.to_json())["items"][0]);

        let mut graver = result(survey());
        Arc::make_mut(&mut graver.survey).posts_at_risk = vec![graver.survey.posts_at_risk[0].clone(); 20];
        let json = parsed(&graver.to_json_within(6_000).text);
        assert_eq!(json["profiles"]["failed"].as_array().map(Vec::len), Some(1));
        assert!(json["posts_left_out"].as_u64().is_some_and(|left_out| 0 < left_out), "{json}");
        assert!(json["items"].as_array().is_some_and(Vec::is_empty), "{json}");
        assert!(!graver.to_json_within(usize::MAX).is_cut);
    }

    #[test]
    fn a_failure_names_profiles_channels_and_the_ledger() {
        let mut failed = result(survey());
        let channel = |outcome: Outcome| ChannelResult {
            name: "team".to_owned(),
            kind: "slack",
            outcome,
            announced: 0,
            messages: 0,
            error: Some("Slack answered 404: no_service".to_owned()),
            payloads: Vec::new(),
        };
        failed.channels = vec![channel(Outcome::Failed), channel(Outcome::Delivered)];
        failed.ledger_error = Some("no such table".to_owned());
        assert_eq!(
            failed.failure_in_words(),
            "profiles that failed: Acme Coffee (forbidden); channels that failed: team (Slack answered 404: no_service); \
             the ledger failed: no such table",
        );
        assert!(!failed.is_busy());
        failed.channels = vec![channel(Outcome::Busy)];
        assert!(failed.is_busy());
    }
}
