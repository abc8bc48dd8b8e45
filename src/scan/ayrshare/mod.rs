//! The client of the Ayrshare API.
//!
//! [`media`], [`history`] and [`profiles`] parse the responses. A response is an error if its HTTP status is not 200 *or* if it
//! is a JSON object instead of a list. Most of Ayrshare's error codes are undocumented, so errors are classified by their HTTP
//! status, and the code and message are only shown.

mod date;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod history;
mod list;
pub mod media;
mod profiles;

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use crate::model::{Failure, FailureKind};
use crate::model::{Packed, ScheduledPost};
use crate::net::redact::Redactor;
use crate::net::{self, Answer, Deadline, NetError, Retry, Slot, Slots};

use list::{End, ListReader};
use media::ListedFile;

/// The largest response. It is enough for a gallery of 150,000 files.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How much of a body is kept if it is not the expected list.
const MAX_OTHER_BODY: usize = 256 * 1024;

/// The longest quotation of Ayrshare's error message, in characters.
const MAX_QUOTED: usize = 300;

/// Ayrshare's code for "the API key is not valid", with any HTTP status.
const CODE_UNAUTHORIZED: i64 = 102;
/// Ayrshare's code for an empty list, which comes with HTTP 400.
const CODE_EMPTY: i64 = 221;

/// A client for one Ayrshare account.
#[derive(Debug)]
pub struct Ayrshare<'a> {
    /// The process's HTTP client.
    pub http: &'a Client,
    /// The base URL of the API, without a trailing slash.
    pub base_url: &'a Url,
    /// The account's API key.
    pub api_key: &'a SecretString,
    /// The timeout of one request.
    pub timeout: Duration,
    /// How often a failed request is repeated.
    pub max_retries: usize,
    /// Redacts secrets in Ayrshare's messages.
    pub redactor: &'a Redactor,
    /// Limits how many requests are in flight.
    pub slots: &'a Slots,
}

/// The scheduled posts of a profile that have media and have not been published yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduledPosts {
    /// The posts with media.
    pub posts: Packed<ScheduledPost>,
    /// The identities of the posts without media, which cannot fail for lack of them.
    pub without_media: Packed<String>,
    /// How many of them have a due date that cannot be parsed.
    pub unreadable_dates: usize,
    /// How many of them have media or text of an unknown shape.
    pub unknown_shapes: usize,
    /// The `refId` of the profile, if the answers tell one.
    pub ref_id: Option<String>,
    /// Why some or all of them could not be read.
    pub failed: Option<Failure>,
}

impl Ayrshare<'_> {
    /// Reads a gallery and passes each file to `add` as it arrives. Each attempt begins with a new value from `start`,
    /// to which `add` adds the files.
    ///
    /// `profile_key` selects the gallery of a user profile. Without it, the gallery of the primary profile is read. The
    /// first attempt uses `slot`.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if no attempt returned a complete list.
    pub async fn media<T>(
        &self,
        profile_key: Option<&SecretString>,
        slot: Slot<'_>,
        deadline: Deadline,
        start: impl Fn() -> T,
        add: impl Fn(&mut T, ListedFile<'_>),
    ) -> Result<T, Failure> {
        let attempt = || async {
            let mut gallery = start();
            let mut reader = media::Reader::default();
            let mut add = |file: ListedFile<'_>| add(&mut gallery, file);
            let mut take = error_bodies(|piece: &[u8]| reader.take(piece, &mut add));
            let answer = self.get("media", &[], profile_key, deadline, &mut take).await?;
            drop(take);
            if !is_empty_list(&answer) {
                self.reject_error(&answer)?;
                let end = if answer.body.is_empty() { reader.end(add) } else { Err(answer.text()) };
                end.map_err(|reason| self.unreadable(&answer, "list of media", &reason))?;
            }
            Ok(gallery)
        };
        let retry = |attempt: &Attempt| attempt.retry;
        self.slots
            .retrying(Some(slot), self.max_retries, deadline, attempt, retry)
            .await
            .map_err(|attempt| attempt.failure)
    }

    /// Ends the reading of a list that is a member of an object, and returns the other members.
    ///
    /// Fails when the answer is an error or is not the list.
    fn end_of_list(
        &self,
        mut answer: Answer,
        reader: ListReader,
        add: impl list::ReadElement,
        expected: &str,
    ) -> Result<Map<String, Value>, Attempt> {
        if answer.status != StatusCode::OK || !answer.body.is_empty() {
            self.reject_error(&answer)?;
            return Err(self.unreadable(&answer, expected, &answer.text()));
        }
        let end = reader.end(add).map_err(|reason| self.unreadable(&answer, expected, &reason))?;
        let others = match end {
            End::List(others) if others.get("status").is_none_or(|status| status != "error") => return Ok(others),
            End::List(others) | End::Other(others) => others,
        };
        answer.body = Value::Object(others).to_string().into_bytes();
        self.reject_error(&answer)?;
        Err(self.unreadable(&answer, expected, "it lists none"))
    }

    /// Lets Ayrshare request a URL, and returns the HTTP status of that request. Returns `None` if Ayrshare does not report
    /// one.
    pub async fn url_status(
        &self,
        profile_key: Option<&SecretString>,
        url: &str,
        slot: Slot<'_>,
        deadline: Deadline,
    ) -> Option<u16> {
        let body = serde_json::json!({"mediaUrl": url}).to_string();
        let attempt = || async {
            let request = self.request(Method::POST, "media/urlExists", &[], profile_key);
            let request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
            let answer = net::send(request, self.timeout, deadline, MAX_OTHER_BODY)
                .await
                .map_err(|error| Attempt::unanswered(&error, "POST /media/urlExists"))?;
            // Ayrshare reports the status of the URL as `statusCode`, sometimes in an error response. If Ayrshare rejects the
            // request or fails, there is no status of the URL.
            let refuses = matches!(answer.status.as_u16(), 401 | 403 | 429) || answer.status.is_server_error();
            match json_of(&answer).as_ref().and_then(status_code) {
                Some(status) if !refuses => Ok(Some(status)),
                _ => self.reject_error(&answer).map(|()| None),
            }
        };
        let retry = |attempt: &Attempt| attempt.retry;
        self.slots.retrying(Some(slot), self.max_retries, deadline, attempt, retry).await.unwrap_or_default()
    }

    async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        profile_key: Option<&SecretString>,
        deadline: Deadline,
        take: impl FnMut(StatusCode, &[u8]) -> bool,
    ) -> Result<Answer, Attempt> {
        let request = self.request(Method::GET, path, query, profile_key);
        net::send_streaming(request, self.timeout, deadline, MAX_BODY_BYTES, take)
            .await
            .map_err(|error| Attempt::unanswered(&error, &format!("GET /{path}")))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        profile_key: Option<&SecretString>,
    ) -> RequestBuilder {
        let mut url = self.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url).bearer_auth(self.api_key.expose_secret());
        match profile_key {
            Some(key) => request.header("Profile-Key", key.expose_secret()),
            None => request,
        }
    }

    /// Returns an error if the response is one by its status or shape.
    fn reject_error(&self, answer: &Answer) -> Result<(), Attempt> {
        let object = json_of(answer).filter(Value::is_object);
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
        let message = format!("Ayrshare's answer is not a {expected}: {}", self.outside_text(reason));
        let http_status = Some(answer.status.as_u16());
        let failure = Failure { kind: FailureKind::BadResponse, http_status, code: None, message };
        Attempt { failure, retry: Retry::Never }
    }

    fn outside_text(&self, text: &str) -> String {
        self.redactor.quote(text, MAX_QUOTED)
    }
}

/// Replaces unpaired surrogates by `\ufffd`. They come from emoji that were cut in half, and JSON parsers reject them.
/// Returns `None` if there are none.
fn replace_unpaired_surrogates(body: &[u8]) -> Option<Vec<u8>> {
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

/// A failed attempt, and whether it may be retried.
struct Attempt {
    failure: Failure,
    retry: Retry,
}

impl Attempt {
    /// Creates a failure that another attempt cannot avoid.
    fn never(failure: Failure) -> Self {
        Self { failure, retry: Retry::Never }
    }

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

/// Whether the answer is Ayrshare's way of saying that there is none.
fn is_empty_list(answer: &Answer) -> bool {
    answer.status == StatusCode::BAD_REQUEST
        && json_of(answer).is_some_and(|body| error_code(&body) == Some(CODE_EMPTY))
}

/// Parses the body as JSON, and skips a byte order mark.
fn json_of(answer: &Answer) -> Option<Value> {
    let start = answer.body.iter().position(|byte| !list::is_blank(*byte))?;
    serde_json::from_slice(&answer.body[start..]).ok()
}

/// Returns the HTTP status that Ayrshare reports for a URL.
fn status_code(body: &Value) -> Option<u16> {
    let status = match body.get("statusCode")? {
        Value::String(text) => text.trim().parse().ok()?,
        status => status.as_u64()?,
    };
    u16::try_from(status).ok()
}

/// Returns the error code of a response, which may be a number or text.
fn error_code(body: &Value) -> Option<i64> {
    find(body, MAX_ERROR_DEPTH, &|object| match object.get("code")? {
        Value::String(text) => text.trim().parse().ok(),
        code => code.as_i64(),
    })
}

fn error_message(body: &Value) -> Option<String> {
    find(body, MAX_ERROR_DEPTH, &|object| Some(object.get("message")?.as_str()?.to_owned()))
}

/// The maximum nesting of an error: `{"history":{"errors":[{"code":221}]}}`.
const MAX_ERROR_DEPTH: usize = 3;

/// Searches for a value at the top level of a response, then in its `errors` array, then in its other members.
fn find<T>(value: &Value, depth: usize, get: &impl Fn(&Value) -> Option<T>) -> Option<T> {
    if let Some(found) = get(value) {
        return Some(found);
    }
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Object(members) => {
            let errors = members.get("errors").and_then(|errors| find(errors, depth, get));
            errors.or_else(|| members.values().find_map(|member| find(member, depth, get)))
        }
        Value::Array(elements) => elements.iter().find_map(|element| find(element, depth, get)),
        _ => None,
    }
}

/// Accepts all chunks of a list, and up to [`MAX_OTHER_BODY`] of any other body.
fn error_bodies(mut take: impl FnMut(&[u8]) -> bool) -> impl FnMut(StatusCode, &[u8]) -> bool {
    let mut kept = 0_usize;
    move |status, piece| {
        let is_taken = status == StatusCode::OK && kept == 0 && take(piece);
        if !is_taken {
            kept = kept.saturating_add(piece.len());
        }
        is_taken || MAX_OTHER_BODY < kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            retry_after: None,
            aws_error: None,
            headers: reqwest::header::HeaderMap::new(),
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
            slots: &Slots::new(1),
        };
        let Attempt { failure, retry } = ayrshare.reject_error(&answer(status, body)).err()?;
        assert_eq!(failure.http_status, Some(status));
        Some((failure.kind, failure.code, retry != Retry::Never, failure.message))
    }

    #[test]
    fn responses_are_classified_by_status_then_by_shape() {
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
    fn half_an_emoji_does_not_make_a_gallery_unreadable() {
        let mend = |text: &str| {
            replace_unpaired_surrogates(text.as_bytes()).map(|body| String::from_utf8(body).expect("text"))
        };
        assert_eq!(mend(r#""a\ud83d""#).as_deref(), Some(r#""a\ufffd""#));
        assert_eq!(mend(r#""\udcf8 \ud83d\udcf8 \ud83d\n""#).as_deref(), Some(r#""\ufffd \ud83d\udcf8 \ufffd\n""#));
        assert_eq!(mend(r#""\ud83d\udcf8 \\ud83d \u00e9""#), None);
        assert_eq!(mend("\\"), None);
    }

    #[test]
    fn an_empty_gallery_is_not_an_error() {
        assert!(is_empty_list(&answer(400, r#"{"status":"error","code":221,"message":"none"}"#)));
        assert!(is_empty_list(&answer(400, r#"{"history":{"code":221,"status":"error"}}"#)));
        assert!(is_empty_list(&answer(400, r#"{"code":" 221 "}"#)));
        assert!(is_empty_list(&answer(400, r#"{"errors":[{"message":"none"},{"code":"221"}]}"#)));
        assert!(is_empty_list(&answer(400, r#"{"history":{"errors":[{"code":221}]}}"#)));
        assert!(is_empty_list(&answer(400, "\u{feff}{\"code\":221}")));
        assert!(!is_empty_list(&answer(400, r#"{"code":222}"#)));
        assert!(!is_empty_list(&answer(400, r#"{"code":222,"errors":[{"code":221}]}"#)));
        assert!(!is_empty_list(&answer(500, r#"{"code":221}"#)));
    }

    #[test]
    fn secrets_that_ayrshare_repeats_are_redacted() {
        let (.., message) = judged(403, r#"{"message":"key KEY-1\nis not valid"}"#).expect("an error");
        assert_eq!(message, "Ayrshare answered 403 Forbidden: key [redacted] is not valid");
    }
}
