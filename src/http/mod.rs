//! The HTTP side: routes, who may call them, and answers as API Gateway wants them.

pub mod accept;
pub mod request;

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Config, InvalidConfiguration};
use crate::http::request::Request;
use crate::model::ProfileName;
use crate::model::Status;
use crate::model::text::json;
use crate::report::link::{LinkError, Links};
use crate::report::{Format, Question, html};
use crate::run::command::{Action, Command, InvalidEvent, within};
use crate::run::result::RunResult;

/// The largest body that a command may have.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// What Lambda takes of a function's answer.
pub const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;
/// What the body of a report may take of that: the rest is for its headers.
const MAX_REPORT_BYTES: usize = MAX_ANSWER_BYTES - 16 * 1024;

/// An answer in the shape that both payload formats take.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, String>,
    /// The body: text, or base64 where it is compressed.
    pub body: String,
    /// Whether it is base64.
    pub is_base64_encoded: bool,
}

impl Response {
    fn new(status_code: u16, content_type: &str, body: String) -> Self {
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

    fn page(status_code: u16, body: String) -> Self {
        let mut page = Self::new(status_code, Format::Html.content_type(), body);
        page.headers.insert("content-security-policy", html::content_security_policy(&[]));
        page.headers.insert("x-robots-tag", "noindex".to_owned());
        page
    }

    /// Says that a link opens nothing, and nothing else: as a page, because people follow links. Programs that take no
    /// page get a problem, and so does whoever asks where no links are made at all.
    fn of_link_error(error: LinkError, request: &Request, config: &Config) -> Self {
        let accept = header(request, "accept");
        let is_browser = accept::format(accept) == Some(Format::Html);
        let takes_page = is_browser || accept.is_none_or(|accept| accept.contains("*/*"));
        let is_page = is_browser || takes_page && Links::of(&config.http).is_some();
        match error {
            LinkError::Expired if is_page => Self::page(410, html::expired_link()),
            LinkError::Expired => Self::problem(410, "This link has expired; the next alert brings a new one."),
            LinkError::Unknown if is_page => Self::page(404, html::unknown_link()),
            LinkError::Unknown => Self::problem(404, "There is no such report."),
        }
    }

    /// The answer to `HEAD`: that to `GET`, without its body.
    #[must_use]
    pub fn without_body(self) -> Self {
        Self { body: String::new(), is_base64_encoded: false, ..self }
    }

    /// The answer in the words of a log line; a page is not one.
    #[must_use]
    pub fn reason(&self) -> &str {
        if self.body.starts_with('{') { &self.body } else { "with a page" }
    }

    fn compressed(mut self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail; if it did, the answer would go out as it is.
        if let Ok(bytes) = encoder.write_all(self.body.as_bytes()).and_then(|()| encoder.finish()) {
            self.body = STANDARD.encode(bytes);
            self.is_base64_encoded = true;
            self.headers.insert("content-encoding", "gzip".to_owned());
        }
        self
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
        let status_code = status_code(result);
        let with_body = |max_bytes| Self::new(status_code, "application/json", result.to_json_within(max_bytes).text);
        let response = with_body(MAX_ANSWER_BYTES * 4 / 5);
        // As text in the answer's own JSON, the body grows by its quotes: at most to twice its size.
        if json(&response).len() <= MAX_ANSWER_BYTES { response } else { with_body(MAX_ANSWER_BYTES / 2 - 4096) }
    }
}

/// What a request asks for: a run, and how to answer with it.
#[derive(Debug)]
pub struct Route {
    /// The run.
    pub command: Command,
    /// `None` for the result as it is.
    report: Option<ReportAnswer>,
}

/// How a report is answered.
#[derive(Debug)]
struct ReportAnswer {
    format: Format,
    question: Question,
    takes_gzip: bool,
    if_none_match: Option<String>,
}

impl Route {
    /// The answer, once the run is over.
    #[must_use]
    pub fn respond(&self, result: &RunResult) -> Response {
        match &self.report {
            Some(report) => report.respond(result),
            None => Response::of_run(result),
        }
    }
}

impl ReportAnswer {
    fn respond(&self, result: &RunResult) -> Response {
        let status_code = status_code(result);
        let rendered = result.report(self.format, &self.question, MAX_REPORT_BYTES, escaped_bytes);
        let mut response = if self.format == Format::Html {
            let mut page = Response::page(status_code, rendered.body);
            let policy = html::content_security_policy(&rendered.picture_origins);
            page.headers.insert("content-security-policy", policy);
            page
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
            // A table cannot say what could not be looked at.
            response.headers.insert("x-report-status", result.status.as_str().to_owned());
        }
        if status_code == 200 {
            // Weak, because two runs that found the same still differ in their ids.
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
        if self.takes_gzip { response.compressed() } else { response }
    }
}

fn status_code(result: &RunResult) -> u16 {
    if result.status == Status::Failed { 502 } else { 200 }
}

/// How long a text is as a string in JSON.
fn escaped_bytes(text: &str) -> usize {
    let more = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.bytes().map(|byte| 1 + more(byte)).sum()
}

/// What a request that came at `now` asks for: a run, or an answer right away.
///
/// # Errors
///
/// The refusal, when it asks for nothing that is there or may be had.
pub fn route(request: &Request, config: &Config, now: Timestamp) -> Result<Route, Response> {
    let path = route_path(request);
    if let Some(token) = path.strip_prefix("/r/") {
        return match request.method.as_str() {
            "GET" | "HEAD" => signed_report(token, request, config, now)
                .map_err(|error| Response::of_link_error(error, request, config)),
            _ => Err(method_not_allowed("GET, HEAD")),
        };
    }
    if config.http.require_authorizer && !request.is_authorized {
        let detail = "No authorizer of the gateway vouched for the caller. Put an authorizer (IAM, JWT or Lambda) in \
                      front of this route, or set `http.require_authorizer = false`.";
        return Err(Response::problem(401, detail));
    }
    match (path, request.method.as_str()) {
        ("/report", "GET" | "HEAD") => report(request, config),
        ("/report", _) => Err(method_not_allowed("GET, HEAD")),
        ("/alerts", "POST") => Ok(Route { command: alerts(request)?, report: None }),
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

fn report(request: &Request, config: &Config) -> Result<Route, Response> {
    let mut command = Command { action: Action::Report, ..Command::default() };
    let mut format = None;
    for (name, value) in &request.query {
        match name.as_str() {
            "within" if command.within.is_none() => command.within = Some(within(value).map_err(bad_request)?),
            "profile" => command.profiles.get_or_insert_default().push(value.clone()),
            "format" if format.is_none() => format = Some(value.as_str()),
            "within" | "format" => return Err(Response::problem(400, &format!("`{name}` is given twice."))),
            _ => {
                let name = crate::model::text::shorten(&crate::model::text::one_line(name), 60).into_owned();
                let detail =
                    format!("`{name}` is no parameter of a report; there are `within`, `profile` and `format`.");
                return Err(Response::problem(400, &detail));
            }
        }
    }
    let format = match format {
        Some(name) => Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Format::ALL.map(|format| format!("`{}`", format.name()));
            Response::problem(400, &format!("`format` takes {}.", crate::model::text::list(&names, names.len())))
        })?,
        None => accept::format(header(request, "accept")).ok_or_else(|| {
            let types = Format::ALL.map(Format::media_type);
            let types = crate::model::text::list(&types, types.len());
            Response::problem(406, &format!("The report is given as {types}; name one of them in `Accept`."))
        })?,
    };
    let thresholds = config.channels.iter().flat_map(|channel| channel.thresholds.iter());
    let question = Question {
        horizon: command.within.clone().or_else(|| thresholds.max().cloned()),
        within: command.within.clone(),
        profiles: command.profiles.clone().unwrap_or_default(),
        is_signed: false,
    };
    Ok(Route { command, report: Some(ReportAnswer::new(request, format, question)) })
}

/// The page behind a signed link. Its query can only choose among what the link shows: whatever else stands there is
/// passed over, for a refusal could tell what there is.
fn signed_report(token: &str, request: &Request, config: &Config, now: Timestamp) -> Result<Route, LinkError> {
    let links = Links::of(&config.http).ok_or(LinkError::Unknown)?;
    let (channel, profiles) = links.open(token, &config.channels, now)?;
    let values = |name: &'static str| request.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value);
    let is_asked_for = |profile: &&&ProfileName| values("profile").any(|name| name == profile.as_str());
    let names = |profiles: &[&ProfileName]| profiles.iter().map(ToString::to_string).collect::<Vec<_>>();
    let asked: Vec<_> = profiles.iter().filter(is_asked_for).copied().collect();
    let within = values("within").find_map(|text| within(text).ok());
    let command = Command {
        action: Action::Report,
        within: within.clone(),
        profiles: Some(names(if asked.is_empty() { &profiles } else { &asked })),
        channels: Some(vec![channel.name.clone()]),
        dry_run: false,
    };
    let question = Question {
        horizon: within.clone().or_else(|| channel.thresholds.iter().max().cloned()),
        within,
        profiles: names(&asked),
        is_signed: true,
    };
    Ok(Route { command, report: Some(ReportAnswer::new(request, Format::Html, question)) })
}

impl ReportAnswer {
    fn new(request: &Request, format: Format, question: Question) -> Self {
        let takes_gzip = request.takes_binary && accept::gzip(header(request, "accept-encoding"));
        let if_none_match = header(request, "if-none-match").map(ToOwned::to_owned);
        Self { format, question, takes_gzip, if_none_match }
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(String::as_str)
}

fn alerts(request: &Request) -> Result<Command, Response> {
    let Some(body) = &request.body else { return Err(Response::problem(400, "The body is no valid base64.")) };
    if MAX_BODY_BYTES < body.len() {
        return Err(Response::problem(413, &format!("A command has at most {MAX_BODY_BYTES} bytes.")));
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use jiff::SignedDuration;

    use super::*;
    use crate::digest::fixtures::{now, survey, survey_of};
    use crate::net::environment::Environment;
    use crate::run::result::tests::result;

    const DOCUMENT: &str = r#"
        ayrshare = {api_key = "KEY"}
        http = {report_url = "https://reports.example", link_secret = "0123456789abcdef", link_ttl = "7d"}
        profiles = [{name = "Head office", primary = true}, {name = "Café 東京", key = "K1"}, {name = "Acme Coffee", key = "K2"}]
        [[channels]]
        name = "office"
        type = "sns"
        topic_arn = "arn:aws:sns:eu-central-1:123456789012:alerts"
        profiles = ["Head office", "Café 東京"]
        thresholds = ["3d"]
        [[channels]]
        name = "all"
        type = "sns"
        topic_arn = "arn:aws:sns:eu-central-1:123456789012:alerts"
        thresholds = ["14d", "1d"]
    "#;

    fn config() -> Config {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let environment = Environment::of::<&str, &str>([]);
        runtime.block_on(Config::read(DOCUMENT, &environment)).expect("a configuration")
    }

    fn request(path: &str, query: &[(&str, &str)], headers: &[(&str, &str)]) -> Request {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Request {
            method: "GET".into(),
            path: path.into(),
            stage: None,
            query: pairs(query),
            headers: pairs(headers).into_iter().collect(),
            body: None,
            is_authorized: true,
            takes_binary: true,
        }
    }

    fn answer(request: &Request, result: &RunResult) -> Response {
        route(request, &config(), now()).expect("a route").respond(result)
    }

    fn refusal(request: &Request) -> Response {
        let config = config();
        route(request, &config, now())
            .and_then(|route| route.command.plan(&config).map(drop).map_err(bad_request))
            .expect_err("a refusal")
    }

    #[test]
    fn each_format_has_its_type_and_its_safe_headers() {
        for (format, expected) in [
            ("json", "application/json"),
            ("html", "text/html; charset=utf-8"),
            ("csv", "text/csv; charset=utf-8; header=present"),
            ("ics", "text/calendar; charset=utf-8"),
        ] {
            let response =
                answer(&request("/report", &[("format", format)], &[("accept", "image/png")]), &result(survey()));
            assert_eq!((response.status_code, response.is_base64_encoded), (200, false));
            assert_eq!(response.headers["content-type"], expected);
            assert_eq!(response.headers["cache-control"], "private, no-cache");
            assert_eq!(response.headers["x-content-type-options"], "nosniff");
            assert_eq!(response.headers["x-frame-options"], "DENY");
            assert_eq!(response.headers["referrer-policy"], "no-referrer");
            assert!(response.headers["content-security-policy"].starts_with("default-src 'none'"));
            assert!(response.headers["etag"].starts_with("W/\""));
        }
    }

    #[test]
    fn pictures_come_from_the_hosts_of_the_files_alone() {
        let html = request("/report", &[("format", "html")], &[]);
        let mut found = result(survey());
        let policy = |result: &RunResult| answer(&html, result).headers["content-security-policy"].clone();
        assert!(policy(&found).contains("; img-src https://images.ayrshare.com; style-src 'sha256-"));
        found.survey.items.clear();
        found.survey.posts_at_risk.clear();
        assert!(policy(&found).contains("; img-src 'none'; "));
        found = result(survey_of(60));
        for (index, item) in found.survey.items.iter_mut().enumerate() {
            std::sync::Arc::make_mut(item).media.url = Some(format!("https://host-{index}.example/a.png"));
        }
        assert!(policy(&found).contains("; img-src https:; "));
    }

    #[test]
    fn an_unchanged_report_is_not_sent_again() {
        let found = result(survey());
        let tag = answer(&request("/report", &[], &[("accept", "text/html")]), &found).headers["etag"].clone();
        let ask = |accept: &str, tag: &str| {
            answer(&request("/report", &[], &[("accept", accept), ("if-none-match", tag)]), &found)
        };
        let known = ask("text/html", &tag);
        assert_eq!((known.status_code, known.body.as_str(), &known.headers["etag"]), (304, "", &tag));
        assert_eq!(ask("text/csv", &tag).status_code, 200);
        assert_eq!(ask("text/html", "\"other\"").status_code, 200);

        let mut failed = found.clone();
        failed.status = Status::Failed;
        let response = answer(&request("/report", &[], &[("if-none-match", "*")]), &failed);
        assert_eq!((response.status_code, response.headers.get("etag")), (502, None));
        assert_eq!(response.headers["cache-control"], "private, no-store");
    }

    #[test]
    fn gzip_is_given_where_it_is_asked_for_and_can_pass() {
        let gzip = request("/report", &[("format", "html")], &[("accept-encoding", "gzip, br")]);
        let plain = answer(&request("/report", &[("format", "html")], &[]), &result(survey()));
        let packed = answer(&gzip, &result(survey()));
        assert_eq!((packed.headers["content-encoding"].as_str(), packed.is_base64_encoded), ("gzip", true));
        assert_eq!(packed.headers["etag"], plain.headers["etag"]);
        let mut body = String::new();
        let bytes = STANDARD.decode(&packed.body).expect("base64");
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut body).expect("gzip");
        assert_eq!(body, plain.body);
        // Behind a REST API nobody can know whether base64 is decoded.
        let rest = Request { takes_binary: false, ..gzip };
        assert!(!answer(&rest, &result(survey())).is_base64_encoded);
    }

    #[test]
    fn an_answer_is_never_larger_than_lambda_takes() {
        let mut found = result(survey_of(4_000));
        let url = format!("https://images.ayrshare.com/{}{}.png", "\"".repeat(300), "a".repeat(900));
        found.survey.items.iter_mut().for_each(|item| std::sync::Arc::make_mut(item).media.url = Some(url.clone()));
        for format in ["json", "html", "csv", "ics"] {
            let response = answer(&request("/report", &[("format", format)], &[]), &found);
            let bytes = json(&response).len();
            assert!(bytes <= MAX_ANSWER_BYTES && MAX_ANSWER_BYTES * 4 / 5 < bytes, "{format}: {bytes} bytes");
            assert!(0 < response.headers["x-left-out"].parse::<usize>().expect("a number"));
        }
        let text = "\"\\\n\r\t\u{1}é/\u{7f}";
        assert_eq!(escaped_bytes(text), json(&text).len() - 2);
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_a_reason() {
        let check = |query: &[(&str, &str)], accept: &str, status: u16, expected: &str| {
            let refusal = refusal(&request("/report", query, &[("accept", accept)]));
            assert_eq!(refusal.status_code, status, "{query:?}");
            assert_eq!(refusal.headers["content-type"], "application/problem+json");
            assert!(refusal.body.contains(expected), "{query:?}: {}", refusal.body);
        };
        check(&[("within", "0d")], "*/*", 400, "is not a duration");
        check(&[("within", "banana")], "text/html", 400, "is not a duration");
        check(&[("within", "1d"), ("within", "2d")], "*/*", 400, "given twice");
        check(&[("profile", "Nobody")], "*/*", 400, "there is no profile `Nobody`");
        check(&[("format", "xml")], "*/*", 400, "`format` takes `json`, `html`, `csv` and `ics`");
        check(&[("since", "1d")], "*/*", 400, "`since` is no parameter");
        check(&[], "image/png", 406, "text/calendar");
        let route = route(&request("/report", &[("within", "36500d")], &[]), &config(), now()).expect("a route");
        assert_eq!(route.command.within.expect("a threshold").label(), "36500d");
    }

    /// A link to the page of a channel, made now.
    fn link(channel: usize) -> String {
        let config = config();
        let link = Links::of(&config.http).expect("links").make(&config.channels[channel], now()).expect("a link");
        link.url.strip_prefix("https://reports.example").expect("a path").to_owned()
    }

    #[test]
    fn a_link_shows_its_channels_profiles_whatever_is_added_to_it() {
        let all = Some(vec!["Head office".to_owned(), "Café 東京".to_owned()]);
        let one = Some(vec!["Café 東京".to_owned()]);
        for (query, profiles, within) in [
            (&[][..], &all, None),
            (&[("profile", "Café 東京"), ("within", "2d")], &one, Some("2d")),
            (&[("profile", "Acme Coffee")], &all, None),
            (&[("profile", "Acme Coffee"), ("profile", "Café 東京")], &one, None),
            (&[("profile", ""), ("within", "0"), ("format", "json"), ("x", "y"), ("channels", "all")], &all, None),
        ] {
            let mut request = request(&link(0), query, &[("accept", "application/json")]);
            request.is_authorized = false;
            let route = route(&request, &config(), now()).expect("a route");
            assert_eq!(&route.command.profiles, profiles, "{query:?}");
            assert_eq!(route.command.channels, Some(vec!["office".to_owned()]));
            assert_eq!((route.command.action, route.command.dry_run), (Action::Report, false));
            assert_eq!(route.command.within.as_ref().map(crate::model::threshold::Threshold::label), within);
            let page = route.respond(&result(survey()));
            assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
            assert!(!page.body.contains("format="), "no other format is behind a link");
        }
    }

    #[test]
    fn a_link_that_opens_nothing_tells_nothing() {
        let link = link(0);
        let at = |path: &str, hours: i64| {
            let request = Request { is_authorized: false, ..request(path, &[], &[]) };
            route(&request, &config(), now() + SignedDuration::from_hours(hours)).expect_err("a refusal")
        };
        let check = |response: &Response, status: u16, title: &str| {
            assert_eq!(response.status_code, status);
            assert!(response.body.contains(&format!("<h1>{title}</h1>")));
            assert_eq!(response.headers["content-type"], "text/html; charset=utf-8");
            assert_eq!(response.headers["cache-control"], "private, no-store");
            for name in ["Head office", "office", "Acme", "Café", "example"] {
                assert!(!response.body.contains(name), "{name}");
            }
        };
        check(&at(&link, 24 * 7), 410, "This link has expired");
        for wrong in ["/r/x", "/r/..%2Freport", &link[..link.len() / 2], &format!("{link}/a"), &format!("{link}A")] {
            check(&at(wrong, 0), 404, "There is no report here");
        }
        for (accept, content_type) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
            ("*/*", "text/html; charset=utf-8"),
            ("application/json", "application/problem+json"),
            ("application/problem+json", "application/problem+json"),
        ] {
            let refusal = refusal(&request("/r/x", &[], &[("accept", accept)]));
            assert_eq!(
                (refusal.status_code, refusal.headers["content-type"].as_str()),
                (404, content_type),
                "{accept}"
            );
        }
        let post = Request { method: "POST".into(), ..request(&link, &[], &[]) };
        assert_eq!(refusal(&post).status_code, 405);
    }
}
