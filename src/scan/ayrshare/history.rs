//! Reads `GET /history`: scheduled posts.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::date::Date;
use super::list::{ListReader, is_incomplete};
use super::{Attempt, Ayrshare, ScheduledPosts, error_bodies, is_empty_list, json_of, profiles};
use crate::model::text::shorten;
use crate::model::{Failure, FailureKind, Packed, ScheduledPost};
use crate::net::{Deadline, Slot};

/// The most requests for the scheduled posts of one profile and status. They are enough for 30,000 posts. Ayrshare accepts 300
/// requests in five minutes for each profile.
const MAX_HISTORY_REQUESTS: usize = 60;

/// The most posts that Ayrshare returns.
pub const MAX_POSTS: usize = 1_000;

/// The statuses of posts that will still need their media.
const STATUSES: [&str; 3] = ["pending", "paused", "awaiting approval"];

/// The range of due dates of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    /// The beginning, included.
    start: Timestamp,
    /// The end, included.
    end: Timestamp,
}

impl Range {
    /// Returns the range of all posts that may still be published. It reaches two years ahead, because posts are planned long
    /// before they are due, and a year back, because a post that is paused or waits for approval may be overdue.
    #[must_use]
    fn around(now: Timestamp) -> Self {
        const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);
        Self {
            start: now.checked_sub(YEAR).unwrap_or(Timestamp::MIN),
            end: now.checked_add(YEAR * 2).unwrap_or(Timestamp::MAX),
        }
    }

    /// Splits the range at the median due date of the posts of a full response, or in the middle if they have no due
    /// dates. Returns `None` if the range is too short to be split.
    #[must_use]
    fn split(self, mut due: Vec<Timestamp>) -> Option<(Self, Self)> {
        due.sort_unstable();
        let second = |moment: Timestamp| Timestamp::from_second(moment.as_second()).ok();
        let middle_s = self.start.as_second().midpoint(self.end.as_second());
        let at = due
            .get(due.len() / 2)
            .and_then(|median| second(*median))
            .filter(|at| self.start < *at && *at < self.end)
            .or_else(|| Timestamp::from_second(middle_s).ok().filter(|at| self.start < *at && *at < self.end))?;
        // The two ranges share their border, because Ayrshare does not document whether borders are included. Posts that
        // are returned twice are recognized by their id.
        Some((Self { start: self.start, end: at }, Self { start: at, end: self.end }))
    }
}

/// A post of the history.
#[derive(Debug)]
pub(super) struct HistoryPost {
    /// The post.
    pub(super) post: ScheduledPost,
    /// Whether its due date cannot be parsed.
    pub(super) has_unreadable_due_date: bool,
    /// Whether its media or text has an unknown shape.
    pub(super) has_unknown_shape: bool,
    /// Its status, if it has one.
    status: Option<String>,
}

impl HistoryPost {
    /// Returns whether the post is waiting to be published.
    pub(super) fn is_scheduled(&self) -> bool {
        self.status.as_deref().is_none_or(|status| STATUSES.contains(&status))
    }

    /// Returns whether the post has media, or may have some.
    fn has_media(&self) -> bool {
        self.has_unknown_shape || !self.post.media_urls.is_empty()
    }
}

/// The posts in one response of `GET /history`.
#[derive(Default)]
struct PostsInRange {
    /// How many posts it lists, of whatever status.
    listed: usize,
    /// When the listed posts are due.
    due: Vec<Timestamp>,
    scheduled: Vec<HistoryPost>,
    /// The `refId` of the profile.
    ref_id: Option<String>,
}

/// The posts of one status.
#[derive(Default)]
struct PostsOfStatus {
    posts: UniquePosts,
    ref_ids: HashSet<String>,
    /// Why some of them could not be read.
    failed: Option<Failure>,
}

/// Posts of which each comes once, though the ranges of a split overlap.
///
/// A post that is changed meanwhile may be listed twice with different content. Both are kept, because it is not known
/// which is the current one.
#[derive(Default)]
struct UniquePosts {
    posts: Vec<HistoryPost>,
    /// The hashes of their contents.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl UniquePosts {
    fn add(&mut self, posts: impl IntoIterator<Item = HistoryPost>) {
        for found in posts {
            let content = (&found.post, found.has_unreadable_due_date, found.has_unknown_shape);
            if self.seen.insert(self.hasher.hash_one(content)) {
                self.posts.push(found);
            }
        }
    }
}

impl PostsInRange {
    fn add(&mut self, post: HistoryPost) {
        self.listed += 1;
        self.due.extend(post.post.scheduled_at);
        if post.is_scheduled() {
            self.scheduled.push(post);
        }
    }
}

impl Ayrshare<'_> {
    /// Reads all scheduled posts. The statuses are requested concurrently.
    ///
    /// Calls `on_read` with the posts that have media. If a request fails for good, the posts of the other ones are returned
    /// beside the failure.
    pub async fn scheduled_posts(
        &self,
        profile_key: Option<&SecretString>,
        slot: Slot<'_>,
        now: Timestamp,
        deadline: Deadline,
        on_read: impl Fn(&[ScheduledPost]),
    ) -> ScheduledPosts {
        let mut slot = Some(slot);
        let of_status = STATUSES.map(|status| self.posts_of_status(status, profile_key, slot.take(), now, deadline));
        let mut unique = UniquePosts::default();
        let mut ref_ids = HashSet::new();
        let mut failures = Vec::new();
        for of_status in join_all(of_status).await {
            unique.add(of_status.posts.posts);
            ref_ids.extend(of_status.ref_ids);
            failures.extend(of_status.failed);
        }
        let (with_media, without_media): (Vec<_>, Vec<_>) = unique.posts.into_iter().partition(HistoryPost::has_media);
        let count = |is_counted: fn(&HistoryPost) -> bool| with_media.iter().filter(|post| is_counted(post)).count();
        let unreadable_dates = count(|post| post.has_unreadable_due_date);
        let unknown_shapes = count(|post| post.has_unknown_shape);
        let posts: Vec<_> = with_media.into_iter().map(|found| found.post).collect();
        on_read(&posts);
        ScheduledPosts {
            posts: Packed::new(&posts),
            unreadable_dates,
            unknown_shapes,
            without_media: without_media.into_iter().map(|found| found.post.identity()).collect(),
            // If the answers contradict each other, the `refId` is unknown.
            ref_id: (ref_ids.len() == 1).then(|| ref_ids.into_iter().next()).flatten(),
            // A rejected key comes first, because it may have been replaced.
            failed: failures.into_iter().min_by_key(|failure| !failure.kind.is_rejected_key()),
        }
    }

    /// Reads the posts of one status. Ayrshare has no pagination, so if a response is full, its range is split in two and both
    /// parts are requested.
    async fn posts_of_status(
        &self,
        status: &str,
        profile_key: Option<&SecretString>,
        mut slot: Option<Slot<'_>>,
        now: Timestamp,
        deadline: Deadline,
    ) -> PostsOfStatus {
        let mut found = PostsOfStatus::default();
        let mut ranges = vec![Range::around(now)];
        let mut requests = 0;
        while let Some(range) = ranges.pop() {
            requests += 1;
            let answer = match self.posts_in_range(status, range, profile_key, slot.take(), deadline).await {
                Ok(answer) => answer,
                Err(failure) => return PostsOfStatus { failed: Some(failure), ..found },
            };
            found.ref_ids.extend(answer.ref_id);
            found.posts.add(answer.scheduled);
            if answer.listed < MAX_POSTS {
                continue;
            }
            if let Some((first, second)) = range.split(answer.due).filter(|_| requests < MAX_HISTORY_REQUESTS) {
                ranges.extend([second, first]);
            } else {
                let message = format!("there are more scheduled posts than {requests} requests can list");
                let failure = Failure { kind: FailureKind::BadResponse, http_status: None, code: None, message };
                return PostsOfStatus { failed: Some(failure), ..found };
            }
        }
        found
    }

    async fn posts_in_range(
        &self,
        status: &str,
        range: Range,
        profile_key: Option<&SecretString>,
        slot: Option<Slot<'_>>,
        deadline: Deadline,
    ) -> Result<PostsInRange, Failure> {
        let (start, end) = (whole_second(range.start), whole_second(range.end));
        let limit = MAX_POSTS.to_string();
        let query =
            [("type", "scheduled"), ("status", status), ("startDate", &start), ("endDate", &end), ("limit", &limit)];
        let attempt = || async {
            let mut found = PostsInRange::default();
            let mut reader = ListReader::of_member("history", "post");
            let mut add = |json: &str| post(json, |post| found.add(post));
            let mut take = error_bodies(|piece: &[u8]| reader.take(piece, &mut add));
            let answer = self.get("history", &query, profile_key, deadline, &mut take).await?;
            drop(take);
            if is_empty_list(&answer) {
                found.ref_id = json_of(&answer).and_then(|body| profiles::ref_id(body.as_object()?));
                return Ok(found);
            }
            let others = self.end_of_list(answer, reader, add, "history of posts")?;
            found.ref_id = profiles::ref_id(&others);
            Ok(found)
        };
        let retry = |attempt: &Attempt| attempt.retry;
        self.slots.retrying(slot, self.max_retries, deadline, attempt, retry).await.map_err(|attempt| attempt.failure)
    }
}

/// Formats a time for Ayrshare's queries, which accept whole seconds.
fn whole_second(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Parses the post at the beginning of `json`, and returns its length. Returns `None` if the post is incomplete.
///
/// # Errors
///
/// Fails if the text does not begin with an object.
pub(super) fn post(json: &str, mut each: impl FnMut(HistoryPost)) -> serde_json::Result<Option<usize>> {
    let mut raw = serde_json::Deserializer::from_str(json).into_iter::<&RawValue>();
    let raw_post = match raw.next() {
        Some(Ok(raw)) => raw.get(),
        Some(Err(error)) if !is_incomplete(&error, json) => return Err(error),
        Some(Err(_)) | None => return Ok(None),
    };
    let fields = serde_json::from_str::<Fields>(raw_post).or_else(|error| {
        let replaced = super::replace_unpaired_surrogates(raw_post.as_bytes()).ok_or(error)?;
        serde_json::from_slice(&replaced)
    })?;
    each(post_of(&fields));
    Ok(Some(raw.byte_offset()))
}

type Fields = serde_json::Map<String, Value>;

/// Interprets the fields of a post. A field of another type than the documented one counts as missing.
fn post_of(fields: &Fields) -> HistoryPost {
    let string = |name: &str| {
        let text = fields.get(name)?.as_str()?;
        (!text.trim().is_empty()).then(|| text.to_owned())
    };
    let platforms = match fields.get("platforms") {
        Some(Value::Array(platforms)) => platforms.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    };
    let mut media_urls = Vec::new();
    let mut has_unknown_shape = false;
    for name in ["mediaUrls", "urls"] {
        // Older records have `urls` instead of `mediaUrls`.
        if media_urls.is_empty() {
            has_unknown_shape |= !fields.get(name).is_none_or(|urls| add_urls(urls, MAX_DEPTH, &mut media_urls));
        }
    }
    if 1 < media_urls.len() {
        let mut seen = HashSet::new();
        media_urls.retain(|url| seen.insert(url.clone()));
    }
    let text = fields.get("post").map_or(Ok(None), text_of).unwrap_or_else(|()| {
        has_unknown_shape = true;
        None
    });
    let due = fields.get("scheduleDate").map_or(Date::Absent, |due| Date::deserialize(due).unwrap_or(Date::Unreadable));
    let post = ScheduledPost { id: string("id"), text, platforms, scheduled_at: due.moment(), media_urls };
    HistoryPost {
        post,
        has_unreadable_due_date: due == Date::Unreadable,
        has_unknown_shape,
        status: string("status").map(|status| status.to_ascii_lowercase()),
    }
}

/// The maximum nesting of a post's media: by platform, in lists, in objects.
const MAX_DEPTH: usize = 4;
/// The longest text of a post that is kept. Messages show less.
const MAX_TEXT_CHARS: usize = 500;

/// Adds the URLs from a string, a list, an object with `url`, or an object with one value per platform.
///
/// Returns false if some part has another shape.
fn add_urls(value: &Value, depth: usize, urls: &mut Vec<String>) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match value {
        Value::Null => true,
        Value::String(url) => {
            if !url.trim().is_empty() {
                urls.push(url.clone());
            }
            true
        }
        Value::Array(values) => add_all_urls(values.iter(), depth, urls),
        Value::Object(fields) => match fields.get("url") {
            Some(url) => url.is_string() && add_urls(url, depth, urls),
            None => add_all_urls(fields.values(), depth, urls),
        },
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn add_all_urls<'a>(values: impl Iterator<Item = &'a Value>, depth: usize, urls: &mut Vec<String>) -> bool {
    let mut are_known = true;
    for value in values {
        // One invalid value must not hide the URLs after it.
        are_known &= add_urls(value, depth, urls);
    }
    are_known
}

/// Returns a string, or the default or first string of an object with one text per platform.
///
/// Fails if the value has another shape.
fn text_of(value: &Value) -> Result<Option<String>, ()> {
    let text = match value {
        Value::Null => "",
        Value::String(text) => text,
        Value::Object(by_platform) => {
            if by_platform.values().any(|text| !text.is_string() && !text.is_null()) {
                return Err(());
            }
            let first = || by_platform.values().find_map(Value::as_str);
            by_platform.get("default").and_then(Value::as_str).or_else(first).unwrap_or_default()
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Err(()),
    };
    Ok((!text.trim().is_empty()).then(|| shorten(text, MAX_TEXT_CHARS).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(fields: &str) -> HistoryPost {
        let mut found = None;
        assert_eq!(post(fields, |post| found = Some(post)).expect("a post"), Some(fields.len()));
        found.expect("a post")
    }

    #[test]
    fn the_documented_fields_are_parsed() {
        let post = one(r#"{"id":"p1","post":"text","mediaUrls":["https://a/b.png"],"platforms":["tiktok"],
            "scheduleDate":"2025-04-26T12:20:49Z","status":"pending","refId":"x","profileTitle":"C39","type":"now"}"#);
        let expected = ScheduledPost {
            id: Some("p1".into()),
            text: Some("text".into()),
            platforms: vec!["tiktok".into()],
            scheduled_at: "2025-04-26T12:20:49Z".parse().ok(),
            media_urls: vec!["https://a/b.png".into()],
        };
        assert_eq!(post.post, expected);
        assert!(post.is_scheduled() && post.has_media());
    }

    #[test]
    fn invalid_fields_of_a_post_are_ignored() {
        let due = |date: &str| {
            let post = one(&format!(r#"{{"scheduleDate":{date}}}"#));
            (post.post.scheduled_at, post.has_unreadable_due_date)
        };
        let expected = ("2025-04-26T12:20:49Z".parse().ok(), false);
        assert_eq!(due(r#"{"_seconds":1745670049,"_nanoseconds":0,"utc":"2025-04-26T12:20:49Z"}"#), expected);
        assert_eq!(due(r#"{"seconds":"1745670049"}"#), expected);
        assert_eq!(due(r#""2025-04-26T12:20:49""#), expected);
        assert_eq!(due("null"), (None, false));
        for odd in [r#""soon""#, "true", "[1]", r#"{"date":1}"#] {
            assert_eq!(due(odd), (None, true), "{odd}");
        }
        assert_eq!(
            one(r#"{"id":"a","post":"half an emoji \ud83d"}"#).post.text.as_deref(),
            Some("half an emoji \u{fffd}")
        );
        assert_eq!(one(r#"{"id":1,"post":[],"platforms":"x","mediaUrls":null}"#).post, ScheduledPost::default());
    }

    #[test]
    fn every_shape_of_the_media_is_parsed() {
        for shape in [
            r#""mediaUrls":["u","v"]"#,
            r#""urls":["u","v"]"#,
            r#""mediaUrls":null,"urls":["u","v"]"#,
            r#""mediaUrls":[],"urls":["u","v"]"#,
            r#""mediaUrls":[{"url":"u","alt":"a"},{"url":"v"}]"#,
            r#""mediaUrls":{"instagram":["u","v"],"tiktok":["u"]}"#,
            r#""mediaUrls":{"instagram":"u","tiktok":[{"url":"v"}],"x":null}"#,
        ] {
            let post = one(&format!("{{{shape}}}"));
            assert_eq!(
                (post.post.media_urls, post.has_unknown_shape),
                (vec!["u".to_owned(), "v".into()], false),
                "{shape}"
            );
        }
        assert_eq!(one(r#"{"mediaUrls":"u"}"#).post.media_urls, ["u"]);
        for odd in ["7", "true", "[7]", r#"[{"url":7}]"#, r#"{"x":7}"#, "[[[[[]]]]]"] {
            let post = one(&format!(r#"{{"mediaUrls":{odd}}}"#));
            assert!(post.has_unknown_shape && post.is_scheduled(), "{odd}");
        }
        let partly = one(r#"{"urls":["https://a/b.png", 7]}"#);
        assert_eq!((partly.post.media_urls, partly.has_unknown_shape), (vec!["https://a/b.png".to_owned()], true));
    }

    #[test]
    fn each_url_of_a_post_comes_once_also_if_there_are_many() {
        let urls: Vec<_> = (0..100_000).map(|index| format!("{index:x}")).collect();
        let listed: Vec<_> = urls.iter().chain(&urls).collect();
        let listed = serde_json::to_string(&listed).expect("JSON");
        // Comparing each with all others would take minutes.
        assert_eq!(one(&format!(r#"{{"mediaUrls":{listed}}}"#)).post.media_urls, urls);
    }

    #[test]
    fn a_post_may_have_one_text_per_platform() {
        let text = |post: &str| {
            let post = one(&format!(r#"{{"urls":["u"],"post":{post}}}"#));
            (post.post.text, post.has_unknown_shape)
        };
        assert_eq!(text(r#"{"facebook":"f","default":"d"}"#), (Some("d".to_owned()), false));
        assert_eq!(text(r#"{"facebook":"f"}"#), (Some("f".to_owned()), false));
        assert_eq!(text("null"), (None, false));
        for odd in ["7", "[]", r#"{"default":7}"#] {
            assert_eq!(text(odd), (None, true), "{odd}");
        }
    }

    #[test]
    fn posts_that_are_not_published_yet_are_scheduled() {
        let is_scheduled = |status: &str| one(&format!(r#"{{"status":{status}}}"#)).is_scheduled();
        assert!(is_scheduled(r#""paused""#) && is_scheduled(r#""Awaiting Approval""#) && is_scheduled("null"));
        assert!(!is_scheduled(r#""success""#) && !is_scheduled(r#""deleted""#));
        assert!(!one(r#"{"status":"pending"}"#).has_media());
    }

    #[test]
    fn a_post_must_be_an_object() {
        for wrong in ["[]", "1", "null", "<", r#""a""#] {
            assert!(post(wrong, |_| {}).is_err(), "{wrong}");
        }
        for incomplete in [r#"{"id":"#, r#"{"id":-"#, r#"{"id":1."#, r#"{"id":1e"#] {
            assert!(matches!(post(incomplete, |_| {}), Ok(None)), "{incomplete}");
        }
    }

    #[test]
    fn a_range_is_split_at_the_median_of_its_posts() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let span = Range { start: at(0), end: at(1_000) };
        let due = |seconds: &[i64]| -> Vec<Timestamp> { seconds.iter().map(|second| at(*second)).collect() };
        let split = |due: Vec<Timestamp>| span.split(due).map(|(first, _)| first.end.as_second());
        assert_eq!(split(due(&[10, 20, 30])), Some(20));
        assert_eq!(split(due(&[])), Some(500));
        assert_eq!(split(due(&[0, 0, 0])), Some(500), "splitting at the border would not shorten the range");
        assert_eq!(Range { start: at(5), end: at(6) }.split(Vec::new()), None);
    }
}
