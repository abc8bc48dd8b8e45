//! Sending one request and reading its response.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};

use super::Deadline;

/// A response that was read completely.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// How long the service asks to wait before another attempt, from `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The kind of error, where a service of AWS says it in a header.
    pub aws_error: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the first 16 KiB of the body as text.
    ///
    /// The text may contain secrets. Pass it through [`Redactor::quote`](super::redact::Redactor::quote) before showing it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(16 * 1024)]).trim().to_owned()
    }

    /// Returns whether another attempt may succeed: for status 429 and every 5xx, and for a throttled call of AWS, which
    /// often has status 400.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let is_throttled = self.aws_error.as_deref().is_some_and(|error| error.contains("Throttl"));
        self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error() || is_throttled
    }
}

/// Why a request got no complete [`Answer`].
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No connection could be opened, so nothing was sent.
    #[error("no connection: {0}")]
    Connect(String),
    /// The timeout passed before the response was complete. The service may have received the request.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection failed before the response was complete. The service may have received the request.
    #[error("the connection failed: {0}")]
    Broken(String),
    /// The response is larger than the limit of the caller.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// The deadline of the run passed first.
    #[error("the run had no time left")]
    OutOfTime,
}

/// Sends a request once and reads the response.
///
/// # Errors
///
/// Returns an error when there is no complete response within `timeout` and by the deadline, or when its body is larger
/// than `max_bytes`. The error never contains the URL, which may be a secret.
pub async fn send(
    request: RequestBuilder,
    timeout: Duration,
    deadline: Deadline,
    max_bytes: usize,
) -> Result<Answer, NetError> {
    send_streaming(request, timeout, deadline, max_bytes, |_, _| false).await
}

/// Sends a request like [`send`], and passes each chunk of the body to `on_chunk` as it arrives.
///
/// A chunk for which `on_chunk` returns true is not stored in the [`Answer`].
///
/// # Errors
///
/// Returns the same errors as [`send`].
pub async fn send_streaming(
    request: RequestBuilder,
    timeout: Duration,
    deadline: Deadline,
    max_bytes: usize,
    mut on_chunk: impl FnMut(StatusCode, &[u8]) -> bool,
) -> Result<Answer, NetError> {
    let exchange = async {
        let mut response = request.timeout(timeout).send().await.map_err(|error| net_error(error, timeout))?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| parse_retry_after(value.to_str().ok()?));
        let aws_error = aws_error(&response);
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        let mut left = max_bytes;
        while let Some(chunk) = response.chunk().await.map_err(|error| net_error(error, timeout))? {
            left = left.checked_sub(chunk.len()).ok_or(NetError::TooLarge(max_bytes))?;
            if !on_chunk(status, &chunk) {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Answer { status, retry_after, aws_error, headers, body })
    };
    deadline.bound(exchange).await.unwrap_or(Err(NetError::OutOfTime))
}

/// Sends a request once, and reads as much of the body as arrives.
///
/// For a receiver whose status is the whole answer: a body that is too large or breaks off does not change what the
/// status says.
///
/// # Errors
///
/// Returns an error when there is no status within `timeout` and by the deadline.
pub async fn send_for_status(
    request: RequestBuilder,
    timeout: Duration,
    deadline: Deadline,
    max_bytes: usize,
) -> Result<Answer, NetError> {
    let head = deadline.bound(request.timeout(timeout).send()).await.ok_or(NetError::OutOfTime)?;
    let mut response = head.map_err(|error| net_error(error, timeout))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| parse_retry_after(value.to_str().ok()?));
    let aws_error = aws_error(&response);
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let left = max_bytes - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(left)]);
            if left <= chunk.len() {
                break;
            }
        }
    };
    // Without the rest of the body, the status still counts.
    let _ = deadline.bound(read).await;
    Ok(Answer { status, retry_after, aws_error, headers, body })
}

/// Returns the kind of error from the header of an answer of AWS, for example `MessageRejected` from
/// `MessageRejected:http://…`.
fn aws_error(response: &Response) -> Option<String> {
    let kind = response.headers().get("x-amzn-errortype")?.to_str().ok()?;
    let kind = kind.split(':').next()?.rsplit('#').next()?;
    kind.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| kind.to_owned())
}

fn net_error(error: reqwest::Error, timeout: Duration) -> NetError {
    let error = error.without_url();
    // The causes do not contain the URL either.
    let text = with_causes(&error);
    if error.is_connect() {
        NetError::Connect(text)
    } else if error.is_timeout() {
        NetError::TimedOut(timeout)
    } else {
        NetError::Broken(text)
    }
}

/// Formats an error with all its causes. The last one is the most specific, like "connection refused".
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Parses the value of `Retry-After`, which is a number of seconds or an HTTP date.
pub(crate) fn parse_retry_after(value: &str) -> Option<Duration> {
    retry_after(value, Timestamp::now())
}

/// Parses the value of `Retry-After` in a response that came at `now`.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let moment = rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-11-23T06:00:00Z".parse().expect("a time");
        let check = |value: &str, expected: Option<u64>| {
            assert_eq!(retry_after(value, now), expected.map(Duration::from_secs), "{value}");
        };
        check("7", Some(7));
        check(" 7 ", Some(7));
        check("Mon, 23 Nov 2026 06:01:00 GMT", Some(60));
        check("Mon, 23 Nov 2026 05:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
        check("", None);
        check("99999999999999999999", Some(u64::MAX));
    }
}
