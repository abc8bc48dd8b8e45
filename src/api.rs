//! The HTTP side: routes, who may call them, and answers as API Gateway wants them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::command::{Action, Command, InvalidEvent, within};
use crate::config::{Config, InvalidConfiguration};
use crate::event::Request;
use crate::run_result::{RunResult, Status, json};

/// The largest body that a command may have.
const MOST_BODY_BYTES: usize = 64 * 1024;
/// What Lambda takes of a function's answer.
pub const MOST_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// An answer in the shape that both payload formats take.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, String>,
    /// The body, as text.
    pub body: String,
    /// Always false: every body is text.
    pub is_base64_encoded: bool,
}

impl Response {
    fn new(status_code: u16, content_type: &str, body: String) -> Self {
        let headers = BTreeMap::from([
            ("cache-control", "private, no-store".to_owned()),
            ("content-type", content_type.to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ]);
        Self { status_code, headers, body, is_base64_encoded: false }
    }

    /// A refusal, as RFC 9457 writes it.
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

    /// The answer while the configuration is refused. Only a caller that an authorizer vouched for is told why.
    #[must_use]
    pub fn of_refused_configuration(request: &Request, invalid: &InvalidConfiguration) -> Self {
        let errors = if request.is_authorized { json!(invalid.faults) } else { Value::Null };
        Self::problem_with(500, "The configuration is refused; the function's log names every fault.", &errors)
    }

    /// The answer after a run: 200, 502 when it failed, or 409 when another one was under way.
    #[must_use]
    pub fn of_run(result: &RunResult) -> Self {
        if result.is_busy() {
            return Self::problem(409, "Another run is under way. It will be over in minutes; try again then.");
        }
        let status_code = if result.status == Status::Failed { 502 } else { 200 };
        let with_body = |most_bytes| Self::new(status_code, "application/json", result.to_json_within(most_bytes));
        let response = with_body(MOST_ANSWER_BYTES * 4 / 5);
        // As text in the answer's own JSON, the body grows by its quotes: at most to twice its size.
        if json(&response).len() <= MOST_ANSWER_BYTES { response } else { with_body(MOST_ANSWER_BYTES / 2 - 4096) }
    }
}

/// What a request asks for: a command to run, or an answer right away.
///
/// # Errors
///
/// The refusal, when it asks for nothing that is there or may be had.
pub fn route(request: &Request, config: &Config) -> Result<Command, Response> {
    let path = route_path(request);
    if path.starts_with("/r/") {
        return Err(match request.method.as_str() {
            "GET" | "HEAD" => Response::problem(404, "There is no such report."),
            _ => method_not_allowed("GET, HEAD"),
        });
    }
    if config.http.require_authorizer && !request.is_authorized {
        let detail = "No authorizer of the gateway vouched for the caller. Put an authorizer (IAM, JWT or Lambda) in \
                      front of this route, or set `http.require_authorizer = false`.";
        return Err(Response::problem(401, detail));
    }
    match (path, request.method.as_str()) {
        ("/report", "GET" | "HEAD") => report(request),
        ("/report", _) => Err(method_not_allowed("GET, HEAD")),
        ("/alerts", "POST") => alerts(request),
        ("/alerts", _) => Err(method_not_allowed("POST")),
        _ => Err(Response::problem(404, "There are `GET /report`, `POST /alerts` and `GET /r/{token}`.")),
    }
}

/// The path without the stage that a REST API, or an HTTP API with a named stage, puts in front of it.
fn route_path(request: &Request) -> &str {
    let known = |path: &str| path == "/report" || path == "/alerts" || path.starts_with("/r/");
    let whole = trim_end(&request.path);
    if known(whole) {
        return whole;
    }
    let within_stage = request
        .stage
        .as_ref()
        .and_then(|stage| whole.strip_prefix('/')?.strip_prefix(stage.as_str()).filter(|path| path.starts_with('/')));
    within_stage.unwrap_or(whole)
}

fn trim_end(path: &str) -> &str {
    path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path)
}

fn method_not_allowed(allowed: &str) -> Response {
    let mut response = Response::problem(405, &format!("This route takes {allowed}."));
    response.headers.insert("allow", allowed.to_owned());
    response
}

fn report(request: &Request) -> Result<Command, Response> {
    let mut command = Command { action: Action::Report, ..Command::default() };
    let mut format = None;
    for (name, value) in &request.query {
        match name.as_str() {
            "within" if command.within.is_none() => command.within = Some(within(value).map_err(bad_request)?),
            "profile" => command.profiles.get_or_insert_default().push(value.clone()),
            "format" if format.is_none() => format = Some(value.as_str()),
            "within" | "format" => return Err(Response::problem(400, &format!("`{name}` is given twice."))),
            _ => {
                let name = crate::words::shorten(&crate::words::one_line(name), 60).into_owned();
                let detail =
                    format!("`{name}` is no parameter of a report; there are `within`, `profile` and `format`.");
                return Err(Response::problem(400, &detail));
            }
        }
    }
    match format {
        None if accepts_json(request) => Ok(command),
        Some("json") => Ok(command),
        Some("html" | "csv" | "ics") | None => Err(Response::problem(
            406,
            "The report is given as JSON: ask with `format=json` or `Accept: application/json`.",
        )),
        Some(_) => Err(Response::problem(400, "`format` takes `json`.")),
    }
}

/// Whether the `Accept` header leaves room for JSON.
fn accepts_json(request: &Request) -> bool {
    let Some(accept) = request.headers.get("accept") else { return true };
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts
            .any(|part| part.strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()).is_some_and(|q| q <= 0.0));
        matches!(media_type.as_str(), "application/json" | "application/*" | "*/*" | "") && !refused
    })
}

fn alerts(request: &Request) -> Result<Command, Response> {
    let Some(body) = &request.body else { return Err(Response::problem(400, "The body is no valid base64.")) };
    if MOST_BODY_BYTES < body.len() {
        return Err(Response::problem(413, &format!("A command has at most {MOST_BODY_BYTES} bytes.")));
    }
    if body.trim_ascii().is_empty() {
        return Ok(Command::default());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Command::parse(&object).map_err(bad_request),
        _ => Err(Response::problem(400, "The body is no JSON object; send a command like `{\"action\": \"alert\"}`.")),
    }
}

/// The answer to a command that cannot be served.
#[must_use]
pub fn bad_request(InvalidEvent(reason): InvalidEvent) -> Response {
    Response::problem(400, &reason)
}
