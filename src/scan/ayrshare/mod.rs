//! The Ayrshare client: what this crate asks of Ayrshare, and what it makes of the answers.
//!
//! The API's shapes are in [`media`] and [`history`]. An error is an HTTP status other than 200 *or* a JSON object where a list was
//! expected; which code goes with which fault is mostly undocumented, so the HTTP status decides and the code and
//! message are shown.

mod history;
pub mod media;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::model::ScheduledPost;
use crate::model::{Failure, FailureKind};
use crate::net::redact::Redactor;
use crate::net::{self, Answer, Deadline, NetError, Retry};

use media::ListedFile;

/// The most of one answer that is read: a gallery of 150,000 files.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Requests for the scheduled posts of one profile and status. Ayrshare takes 300 in five minutes of each profile; this
/// is enough for 30,000 posts.
const MAX_HISTORY_REQUESTS: usize = 60;

/// Characters of Ayrshare's own words in a message.
const MAX_QUOTED: usize = 300;

/// Ayrshare's code for "the API key is not valid", with any HTTP status.
const CODE_UNAUTHORIZED: i64 = 102;
/// Ayrshare's code for "there is none", which comes with HTTP 400.
const CODE_EMPTY: i64 = 221;

/// Asks Ayrshare about one account.
#[derive(Debug)]
pub struct Ayrshare<'a> {
    /// The process's HTTP client.
    pub http: &'a Client,
    /// Where the API lives, without a slash at the end.
    pub base_url: &'a Url,
    /// The account's API key.
    pub api_key: &'a SecretString,
    /// The time that one request may take.
    pub timeout: Duration,
    /// How often a failed request is repeated.
    pub max_retries: usize,
    /// Takes secrets out of Ayrshare's messages.
    pub redactor: &'a Redactor,
}

impl Ayrshare<'_> {
    /// Reads a gallery: hands each file of it to `add` as it arrives, on a value that `start` makes anew for each attempt.
    ///
    /// `profile_key` selects a user profile's gallery; without it, it is the primary profile's.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when no attempt gave a whole list.
    pub async fn media<T>(
        &self,
        profile_key: Option<&SecretString>,
        deadline: Deadline,
        start: impl Fn() -> T,
        add: impl Fn(&mut T, ListedFile<'_>),
    ) -> Result<T, Failure> {
        let attempt = || async {
            let mut gallery = start();
            let mut reader = media::Reader::default();
            let take =
                |status, piece: &[u8]| status == StatusCode::OK && reader.take(piece, |media| add(&mut gallery, media));
            let answer = self.get("media", &[], profile_key, deadline, take).await?;
            if is_empty_list(&answer) {
                return Ok(gallery);
            }
            self.refuse_error(&answer)?;
            let end =
                if answer.body.is_empty() { reader.end(|media| add(&mut gallery, media)) } else { Err(answer.text()) };
            end.map_err(|reason| self.unreadable(&answer, "list of media", &reason))?;
            Ok(gallery)
        };
        net::retrying_at_most(self.max_retries, deadline, attempt, |attempt: &Attempt| attempt.retry)
            .await
            .map_err(|attempt| attempt.failure)
    }

    /// Reads every scheduled post that will still need its media, of all statuses side by side.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when any of the requests failed: a part of the posts would pass for all of them.
    pub async fn scheduled_posts(
        &self,
        profile_key: Option<&SecretString>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<ScheduledPost>, Failure> {
        let of_status = history::STATUSES.map(|status| self.posts_of_status(status, profile_key, now, deadline));
        let mut seen = HashSet::new();
        let posts = try_join_all(of_status).await?.into_iter().flatten();
        // The spans of a split overlap, and a post without an id is known by what it says and when.
        Ok(posts.filter(|post| seen.insert((post.id.clone(), post.id.is_none().then(|| post.clone())))).collect())
    }

    /// Reads the posts of one status. There is no cursor: a full answer is asked for again in two spans.
    async fn posts_of_status(
        &self,
        status: &str,
        profile_key: Option<&SecretString>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<ScheduledPost>, Failure> {
        let mut posts = Vec::new();
        let mut spans = vec![history::Range::around(now)];
        let mut requests = 0;
        while let Some(span) = spans.pop() {
            requests += 1;
            let answer = self.posts_in_span(status, span, profile_key, deadline).await?;
            if answer.len() < history::MAX_POSTS {
                posts.extend(answer.into_iter().filter(history::Post::is_wanted).map(|post| post.post));
            } else if let Some((first, second)) = span.split(&answer).filter(|_| requests < MAX_HISTORY_REQUESTS) {
                spans.extend([second, first]);
            } else {
                let message = format!("there are more scheduled posts than {requests} requests can list");
                return Err(Failure { kind: FailureKind::BadResponse, http_status: None, code: None, message });
            }
        }
        Ok(posts)
    }

    async fn posts_in_span(
        &self,
        status: &str,
        span: history::Range,
        profile_key: Option<&SecretString>,
        deadline: Deadline,
    ) -> Result<Vec<history::Post>, Failure> {
        let (start, end) = (whole_second(span.start), whole_second(span.end));
        let limit = history::MAX_POSTS.to_string();
        let query =
            [("type", "scheduled"), ("status", status), ("startDate", &start), ("endDate", &end), ("limit", &limit)];
        let attempt = || async {
            let answer = self.get("history", &query, profile_key, deadline, |_, _| false).await?;
            if is_empty_list(&answer) {
                return Ok(Vec::new());
            }
            if answer.status != StatusCode::OK {
                self.refuse_error(&answer)?;
            }
            // An error object may come with 200 here too; it has no `history` to read.
            let read = history::read(&answer.body)
                .or_else(|reason| mend_surrogates(&answer.body).map_or(Err(reason), |body| history::read(&body)));
            read.map_err(|reason| match self.refuse_error(&answer) {
                Err(error) if error.failure.code.is_some() => error,
                _ => self.unreadable(&answer, "history of posts", &reason),
            })
        };
        net::retrying_at_most(self.max_retries, deadline, attempt, |attempt: &Attempt| attempt.retry)
            .await
            .map_err(|attempt| attempt.failure)
    }

    async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        profile_key: Option<&SecretString>,
        deadline: Deadline,
        take: impl FnMut(StatusCode, &[u8]) -> bool,
    ) -> Result<Answer, Attempt> {
        let mut url = self.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.get(url).bearer_auth(self.api_key.expose_secret());
        if let Some(key) = profile_key {
            request = request.header("Profile-Key", key.expose_secret());
        }
        net::send_streaming(request, self.timeout, deadline, MAX_BODY_BYTES, take)
            .await
            .map_err(|error| Attempt::unanswered(&error, &format!("GET /{path}")))
    }

    /// Fails when the answer is an error by its status or by its shape.
    fn refuse_error(&self, answer: &Answer) -> Result<(), Attempt> {
        let object = match answer.body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => serde_json::from_slice::<Value>(&answer.body).ok(),
            _ => None,
        };
        if answer.status == StatusCode::OK && object.is_none() {
            return Ok(());
        }
        let code = object.as_ref().and_then(error_code);
        let message = object.as_ref().and_then(error_message);
        let kind = match answer.status {
            _ if code == Some(CODE_UNAUTHORIZED) => FailureKind::Unauthorized,
            StatusCode::UNAUTHORIZED => FailureKind::Unauthorized,
            StatusCode::FORBIDDEN => FailureKind::Forbidden,
            StatusCode::NOT_FOUND => FailureKind::NotFound,
            StatusCode::TOO_MANY_REQUESTS => FailureKind::RateLimited,
            status if status.is_server_error() => FailureKind::Unavailable,
            _ => FailureKind::BadResponse,
        };
        let retry = if answer.is_transient() && kind != FailureKind::Unauthorized {
            Retry::from_retry_after(answer.retry_after)
        } else {
            Retry::Never
        };
        let said = message.unwrap_or_else(|| answer.text());
        let message = if said.is_empty() {
            format!("Ayrshare answered {}", answer.status)
        } else {
            format!("Ayrshare answered {}: {}", answer.status, self.outside_text(&said))
        };
        let failure = Failure { kind, http_status: Some(answer.status.as_u16()), code, message };
        Err(Attempt { failure, retry })
    }

    fn unreadable(&self, answer: &Answer, expected: &str, reason: &str) -> Attempt {
        let message = format!("Ayrshare's answer is no {expected}: {}", self.outside_text(reason));
        let http_status = Some(answer.status.as_u16());
        let failure = Failure { kind: FailureKind::BadResponse, http_status, code: None, message };
        Attempt { failure, retry: Retry::Never }
    }

    fn outside_text(&self, text: &str) -> String {
        self.redactor.quote(text, MAX_QUOTED)
    }
}

/// The body with `\ufffd` in the place of each half of a surrogate pair, which an emoji that was cut in half leaves and
/// no JSON parser takes; `None` when there is none.
fn mend_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let unit = |at: usize| -> Option<u16> {
        let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut mended = Vec::with_capacity(body.len());
    let mut is_mended = false;
    let mut at = 0;
    while at < body.len() {
        let length = match (body[at], unit(at)) {
            (b'\\', Some(0xD800..=0xDBFF)) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            (b'\\', Some(0xD800..=0xDFFF)) => {
                mended.extend_from_slice(b"\\ufffd");
                is_mended = true;
                at += 6;
                continue;
            }
            (b'\\', _) => 2,
            _ => 1,
        };
        mended.extend_from_slice(&body[at..body.len().min(at + length)]);
        at += length;
    }
    is_mended.then_some(mended)
}

/// A failed attempt: why, and whether another may do better.
struct Attempt {
    failure: Failure,
    retry: Retry,
}

impl Attempt {
    fn unanswered(error: &NetError, what: &str) -> Self {
        let (kind, retry) = match error {
            NetError::Connect(_) => (FailureKind::Unavailable, Retry::Backoff),
            NetError::TimedOut(_) => (FailureKind::Timeout, Retry::Backoff),
            NetError::Broken(_) => (FailureKind::BadResponse, Retry::Backoff),
            NetError::TooLarge(_) => (FailureKind::BadResponse, Retry::Never),
            NetError::OutOfTime => (FailureKind::OutOfTime, Retry::Never),
        };
        let message = format!("{what}: {error}");
        Self { failure: Failure { kind, http_status: None, code: None, message }, retry }
    }
}

/// Reads a moment. The last hours of the year 9999, which stand for "never", are later than any that can be counted
/// with, and are taken for the last that can.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let pieces = Pieces::parse(text).ok()?;
        (pieces.date().year() == 9999 && pieces.offset().is_some()).then_some(Timestamp::MAX)
    })
}

/// A moment as Ayrshare's queries take it.
fn whole_second(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether the answer is Ayrshare's way of saying that there is none.
fn is_empty_list(answer: &Answer) -> bool {
    answer.status == StatusCode::BAD_REQUEST
        && serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| error_code(&body) == Some(CODE_EMPTY))
}

/// The error code of an answer, at its top or, as has been seen, one level down.
fn error_code(body: &Value) -> Option<i64> {
    find(body, |object| object.get("code")?.as_i64())
}

fn error_message(body: &Value) -> Option<String> {
    find(body, |object| Some(object.get("message")?.as_str()?.to_owned()))
}

fn find<T>(body: &Value, get: impl Fn(&Value) -> Option<T>) -> Option<T> {
    get(body).or_else(|| body.as_object()?.values().find_map(get))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            retry_after: None,
            body: body.as_bytes().to_vec(),
        }
    }

    fn judged(status: u16, body: &str) -> Option<(FailureKind, Option<i64>, bool, String)> {
        let http = net::client().expect("a client");
        let ayrshare = Ayrshare {
            http: &http,
            base_url: &Url::parse("https://api.ayrshare.com/api").expect("a URL"),
            api_key: &SecretString::from("KEY-1"),
            timeout: Duration::from_secs(1),
            max_retries: net::MAX_RETRIES,
            redactor: &Redactor::new(["KEY-1".to_owned()]),
        };
        let Attempt { failure, retry } = ayrshare.refuse_error(&answer(status, body)).err()?;
        assert_eq!(failure.http_status, Some(status));
        Some((failure.kind, failure.code, retry != Retry::Never, failure.message))
    }

    #[test]
    fn answers_are_judged_by_status_then_shape() {
        let check = |status, body: &str, kind, code, transient| {
            let (found, found_code, found_transient, message) = judged(status, body).expect("an error");
            assert_eq!((found, found_code, found_transient), (kind, code, transient), "{status} {body}: {message}");
        };
        let key_error = r#"{"action":"authorization","status":"error","code":102,"message":"API Key not valid."}"#;
        check(401, "", FailureKind::Unauthorized, None, false);
        check(403, key_error, FailureKind::Unauthorized, Some(102), false);
        check(200, key_error, FailureKind::Unauthorized, Some(102), false);
        check(403, r#"{"status":"error","code":31}"#, FailureKind::Forbidden, Some(31), false);
        check(404, "<html>", FailureKind::NotFound, None, false);
        check(429, "", FailureKind::RateLimited, None, true);
        check(503, "<html>busy</html>", FailureKind::Unavailable, None, true);
        check(400, r#"{"code":170}"#, FailureKind::BadResponse, Some(170), false);
        check(302, "", FailureKind::BadResponse, None, false);
        check(200, r#"{"status":"error"}"#, FailureKind::BadResponse, None, false);
        check(200, r#"{"media":[]}"#, FailureKind::BadResponse, None, false);
        assert_eq!(judged(200, "[]"), None);
    }

    #[test]
    fn half_an_emoji_costs_no_gallery() {
        let mend = |text: &str| mend_surrogates(text.as_bytes()).map(|body| String::from_utf8(body).expect("text"));
        assert_eq!(mend(r#""a\ud83d""#).as_deref(), Some(r#""a\ufffd""#));
        assert_eq!(mend(r#""\udcf8 \ud83d\udcf8 \ud83d\n""#).as_deref(), Some(r#""\ufffd \ud83d\udcf8 \ufffd\n""#));
        assert_eq!(mend(r#""\ud83d\udcf8 \\ud83d \u00e9""#), None);
        assert_eq!(mend("\\"), None);
    }

    #[test]
    fn never_is_later_than_every_threshold() {
        assert_eq!(moment("9999-12-31T23:59:59.999Z"), Some(Timestamp::MAX));
        assert_eq!(moment("9999-12-31"), None);
        assert_eq!(moment("soon"), None);
    }

    #[test]
    fn an_empty_gallery_is_no_error() {
        assert!(is_empty_list(&answer(400, r#"{"status":"error","code":221,"message":"none"}"#)));
        assert!(is_empty_list(&answer(400, r#"{"history":{"code":221,"status":"error"}}"#)));
        assert!(!is_empty_list(&answer(400, r#"{"code":222}"#)));
        assert!(!is_empty_list(&answer(500, r#"{"code":221}"#)));
    }

    #[test]
    fn a_secret_that_ayrshare_repeats_is_not_passed_on() {
        let (.., message) = judged(403, r#"{"message":"key KEY-1\nis not valid"}"#).expect("an error");
        assert_eq!(message, "Ayrshare answered 403 Forbidden: key [redacted] is not valid");
    }
}
