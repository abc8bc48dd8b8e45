//! The response with a report: its format, its caching headers and its compression.

use std::collections::HashSet;

use super::accept;
use super::request::Request;
use super::response::{MAX_RESPONSE_BYTES, Response, status_code};
use crate::net::MAX_RETRIES;
use crate::report::{Format, PageNeeds, Question};
use crate::run::result::RunResult;

/// The largest body of a report. The rest of the response is for the headers.
const MAX_REPORT_BYTES: usize = MAX_RESPONSE_BYTES - 16 * 1024;

/// How to respond with a report.
#[derive(Debug)]
pub struct ReportResponse {
    /// Whether the report must not come from an earlier snapshot.
    pub is_live: bool,
    format: Format,
    question: Question,
    accepts_gzip: bool,
    if_none_match: Option<String>,
}

impl ReportResponse {
    /// Takes what the headers of `request` say about the response.
    pub(super) fn new(request: &Request, format: Format, question: Question, is_live: bool) -> Self {
        let accepts_gzip = request.accepts_base64 && accept::gzip(request.header("accept-encoding"));
        let if_none_match = request.header("if-none-match").map(ToOwned::to_owned);
        Self { is_live, format, question, accepts_gzip, if_none_match }
    }

    /// How often a failed request to Ayrshare may be repeated for this report.
    ///
    /// Anybody who has a link can open it often, and Ayrshare suspends a profile that it has rejected too often.
    #[must_use]
    pub fn max_retries(&self) -> usize {
        if self.question.is_signed { 0 } else { MAX_RETRIES }
    }

    /// Creates the response to `HEAD`, which needs no snapshot.
    #[must_use]
    pub fn head(&self) -> Response {
        let mut response = if self.format == Format::Html {
            Response::page(200, String::new(), &PageNeeds::default())
        } else {
            Response::new(200, self.format.content_type(), String::new())
        };
        response.headers.insert("vary", "Accept, Accept-Encoding".to_owned());
        response.headers.insert("cache-control", "private, no-cache".to_owned());
        response
    }

    /// Renders the report of `result`. The response is 304 if the client has the same report already.
    pub(super) fn respond(&self, result: &RunResult) -> Response {
        let status_code = status_code(result);
        // Behind a link, the names of other profiles are ignored.
        let known: HashSet<_> = result.survey.known().map(|(name, _)| name.as_str()).collect();
        let mut question = self.question.clone();
        question.profiles.retain(|name| known.contains(name.as_str()));
        let rendered = result.report(self.format, &question, MAX_REPORT_BYTES, escaped_bytes);
        let mut response = if self.format == Format::Html {
            Response::page(status_code, rendered.body, &rendered.needs)
        } else {
            Response::new(status_code, self.format.content_type(), rendered.body)
        };
        response.headers.insert("vary", "Accept, Accept-Encoding".to_owned());
        if 0 < rendered.left_out {
            response.headers.insert("x-left-out", rendered.left_out.to_string());
        }
        if matches!(self.format, Format::Csv | Format::Ics) {
            let (day, name) = (result.survey.now.strftime("%Y-%m-%d"), self.format.name());
            let disposition = format!("attachment; filename=\"media-expiry-{day}.{name}\"");
            response.headers.insert("content-disposition", disposition);
            // A table has no place to say what could not be checked.
            response.headers.insert("x-report-status", result.status.as_str().to_owned());
        }
        if status_code == 200 {
            // The tag is weak, because two runs that found the same still have different ids.
            let tag = format!("W/\"{}\"", rendered.fingerprint);
            let is_known = accept::is_known(self.if_none_match.as_deref(), &tag);
            response.headers.insert("cache-control", "private, no-cache".to_owned());
            response.headers.insert("etag", tag);
            if is_known {
                response.headers.remove("content-type");
                response.headers.remove("content-disposition");
                return Response { status_code: 304, ..response }.without_body();
            }
        }
        if self.accepts_gzip { response.compressed() } else { response }
    }
}

/// Returns the length of a text as a string in JSON, without its quotes.
pub(super) fn escaped_bytes(text: &str) -> usize {
    let more = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.bytes().map(|byte| 1 + more(byte)).sum()
}
