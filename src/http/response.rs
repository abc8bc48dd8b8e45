//! Responses that do not depend on a report: errors, and the result of a run.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::{Value, json};

use super::accept;
use super::request::Request;
use crate::config::{Config, InvalidConfiguration};
use crate::model::Status;
use crate::model::text::json;
use crate::report::link::{LinkError, Links};
use crate::report::{Format, PageNeeds, html};
use crate::run::result::RunResult;

/// The largest response that Lambda accepts from a function.
pub const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;

/// A response in the format that both payload versions accept.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, String>,
    /// The body: text, or base64 if it is compressed.
    pub body: String,
    /// Whether the body is base64.
    pub is_base64_encoded: bool,
}

impl Response {
    /// Creates a response with the headers that every response has.
    pub(super) fn new(status_code: u16, content_type: &str, body: String) -> Self {
        let headers = BTreeMap::from([
            ("cache-control", "private, no-store".to_owned()),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'".to_owned()),
            ("content-type", content_type.to_owned()),
            ("referrer-policy", "no-referrer".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            ("x-frame-options", "DENY".to_owned()),
        ]);
        Self { status_code, headers, body, is_base64_encoded: false }
    }

    /// Creates an HTML page that is allowed only what it needs.
    pub(super) fn page(status_code: u16, body: String, needs: &PageNeeds) -> Self {
        let mut page = Self::new(status_code, Format::Html.content_type(), body);
        page.headers.insert("content-security-policy", html::content_security_policy(needs));
        page.headers.insert("x-robots-tag", "noindex".to_owned());
        page
    }

    /// Creates the response to an invalid link. It contains no details.
    ///
    /// It is a page, because people follow links. Clients that do not accept HTML get a problem document; so do clients
    /// that accept anything, if the configuration has no links.
    pub(super) fn of_link_error(error: LinkError, request: &Request, config: &Config) -> Self {
        let is_page = is_page(request, config);
        match error {
            LinkError::Expired if is_page => Self::page(410, html::expired_link(), &PageNeeds::default()),
            LinkError::Expired => Self::problem(410, "This link has expired. The next alert contains a new one."),
            LinkError::Unknown if is_page => Self::page(404, html::unknown_link(), &PageNeeds::default()),
            LinkError::Unknown => Self::problem(404, "There is no such report."),
        }
    }

    /// Creates the response to a form about a file that the page does not show.
    pub(super) fn of_missing_file(request: &Request, config: &Config) -> Self {
        if is_page(request, config) {
            return Self::page(404, html::missing_file(), &PageNeeds::default());
        }
        Self::problem(404, "The report does not show this file.")
    }

    /// Returns the response to `HEAD`: the response to `GET` without its body.
    #[must_use]
    pub fn without_body(self) -> Self {
        Self { body: String::new(), is_base64_encoded: false, ..self }
    }

    /// Returns the text for a log line. A page is not logged.
    #[must_use]
    pub fn reason(&self) -> &str {
        if self.body.starts_with('{') { &self.body } else { "with a page" }
    }

    /// Compresses the body with gzip.
    pub(super) fn compressed(mut self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail. If it did, the response would be sent uncompressed.
        if let Ok(bytes) = encoder.write_all(self.body.as_bytes()).and_then(|()| encoder.finish()) {
            self.body = STANDARD.encode(bytes);
            self.is_base64_encoded = true;
            self.headers.insert("content-encoding", "gzip".to_owned());
        }
        self
    }

    /// Creates a problem document (RFC 9457).
    #[must_use]
    pub fn problem(status_code: u16, detail: &str) -> Self {
        Self::problem_with(status_code, detail, &Value::Null)
    }

    fn problem_with(status_code: u16, detail: &str, errors: &Value) -> Self {
        let title = http::StatusCode::from_u16(status_code).ok().and_then(|status| status.canonical_reason());
        let mut problem = json!({"type": "about:blank", "title": title, "status": status_code, "detail": detail});
        if !errors.is_null() {
            problem["errors"] = errors.clone();
        }
        Self::new(status_code, "application/problem+json", problem.to_string())
    }

    /// Creates the response that sends a browser to another page.
    pub(super) fn see_other(location: String) -> Self {
        let mut response = Self::new(303, Format::Html.content_type(), String::new());
        response.headers.insert("location", location);
        response
    }

    /// Creates the response to a method that the route does not support.
    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        let mut response = Self::problem(405, &format!("This route takes {allowed}."));
        response.headers.insert("allow", allowed.to_owned());
        response
    }

    /// Creates the response to every request while the configuration is invalid. It contains the errors only if an
    /// authorizer has identified the caller.
    #[must_use]
    pub fn of_invalid_configuration(request: &Request, invalid: &InvalidConfiguration) -> Self {
        let errors = if request.is_authorized { json!(invalid.faults) } else { Value::Null };
        Self::problem_with(500, "The configuration is invalid. The function's log has all errors.", &errors)
    }

    /// Creates the response after a run: 200, 502 if it failed, or 409 if another run was in progress.
    #[must_use]
    pub fn of_run(result: &RunResult) -> Self {
        if result.is_busy() {
            return Self::problem(409, "Another run is in progress. Try again in a few minutes.");
        }
        let status_code = status_code(result);
        let with_body = |max_bytes| Self::new(status_code, "application/json", result.to_json_within(max_bytes).text);
        let response = with_body(MAX_RESPONSE_BYTES * 4 / 5);
        // The body is a string in the JSON of the response. Escaping its quotes can at most double its size.
        if json(&response).len() <= MAX_RESPONSE_BYTES { response } else { with_body(MAX_RESPONSE_BYTES / 2 - 4096) }
    }
}

/// Returns whether the response to a link that has a problem is a page.
fn is_page(request: &Request, config: &Config) -> bool {
    let accept = request.header("accept");
    accept::format(accept) == Some(Format::Html)
        || accept::accepts(accept, Format::Html) && Links::of(&config.http).is_some()
}

/// Returns the HTTP status for the result of a run.
pub(super) fn status_code(result: &RunResult) -> u16 {
    if result.status == Status::Failed { 502 } else { 200 }
}
