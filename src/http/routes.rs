//! The routes: parses and authorizes requests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded;

use super::accept;
use super::report::ReportResponse;
use super::request::Request;
use super::response::Response;
use crate::config::{Config, StoreConfig};
use crate::model::text::{list, one_line, shorten};
use crate::report::link::{CALENDAR_SUFFIX, LinkError, LinkKind, Links};
use crate::report::{Format, Question};
use crate::run::command::{Action, Command, InvalidCommand, within};
use crate::run::mark::Mark;
use crate::run::result::RunResult;

/// The fields of the form that marks a file.
const MARK_FIELDS: [&str; 3] = ["profile", "id", "handled"];
/// The media type of forms.
const FORM_TYPE: &str = "application/x-www-form-urlencoded";
/// The largest body of a form.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// The largest body of a command.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What a request asks for: a run, and how to respond with its result.
#[derive(Debug)]
pub struct Route {
    /// The run.
    pub command: Command,
    /// `None` responds with the result as JSON.
    pub report: Option<ReportResponse>,
    /// The file to mark instead of responding with the report.
    pub mark: Option<MarkRequest>,
    /// The copy to send the browser to instead of responding with the report.
    pub copy: Option<CopyRequest>,
}

/// A form that marks a file which the report shows as handled.
#[derive(Debug)]
pub struct MarkRequest {
    /// What to mark.
    pub mark: Mark,
    /// The channel for which it is marked.
    pub channel: String,
    /// The address of the page with the form.
    page: String,
}

impl MarkRequest {
    /// Creates the response once the mark is recorded: the browser returns to the page.
    #[must_use]
    pub fn respond(&self) -> Response {
        Response::see_other(self.page.clone())
    }
}

/// A link to the copy of a file that the report shows.
#[derive(Debug)]
pub struct CopyRequest {
    /// The id of the copy.
    pub id: String,
}

impl CopyRequest {
    /// Creates the response: the browser downloads the copy from this URL.
    #[must_use]
    pub fn respond(&self, url: String) -> Response {
        Response::see_other(url)
    }
}

impl Route {
    /// Creates the response with the result of the run.
    #[must_use]
    pub fn respond(&self, result: &RunResult) -> Response {
        match &self.report {
            Some(report) => report.respond(result),
            None => Response::of_run(result),
        }
    }
}

const ROUTES: &str = "There are `GET /report`, `POST /alerts`, `GET /r/{token}`, `GET /r/{token}.ics`, \
                      with `http.allow_handled` `POST /r/{token}/handled` and, with `[rescue]` and a store in S3, \
                      `GET /r/{token}/copies/{id}`.";

/// Returns what a request that came at `now` asks for.
///
/// # Errors
///
/// Returns the response to a request that is invalid or not authorized, or whose route or link does not exist.
pub fn route(request: &Request, config: &Config, now: Timestamp) -> Result<Route, Response> {
    let endpoint = Endpoint::at_end_of(&request.path);
    if let Endpoint::Link(kind, token) = endpoint {
        return match request.method.as_str() {
            "GET" | "HEAD" => signed_report(kind, token, request, config, now)
                .map_err(|error| Response::of_link_error(error, request, config)),
            _ => Err(Response::method_not_allowed("GET, HEAD")),
        };
    }
    if let Endpoint::Handled(token) = endpoint {
        return match request.method.as_str() {
            _ if !allows_handled(config) => Err(Response::problem(404, ROUTES)),
            "POST" => handled(token, request, config, now),
            _ => Err(Response::method_not_allowed("POST")),
        };
    }
    if let Endpoint::Copy(token, id) = endpoint {
        return match request.method.as_str() {
            _ if !offers_copies(config) => Err(Response::of_link_error(LinkError::Unknown, request, config)),
            "GET" => {
                let copy = Some(CopyRequest { id: id.to_owned() });
                let route = signed_report(LinkKind::Page, token, request, config, now);
                route
                    .map(|route| Route { copy, ..route })
                    .map_err(|error| Response::of_link_error(error, request, config))
            }
            _ => Err(Response::method_not_allowed("GET")),
        };
    }
    if config.http.require_authorizer && !request.is_authorized {
        let detail = "No authorizer of the gateway has identified the caller. Put an authorizer (IAM, JWT or Lambda) in \
                      front of this route, or set `http.require_authorizer = false`.";
        return Err(Response::problem(401, detail));
    }
    match (endpoint, request.method.as_str()) {
        (Endpoint::Report, "GET" | "HEAD") => report(request, config),
        (Endpoint::Report, _) => Err(Response::method_not_allowed("GET, HEAD")),
        (Endpoint::Alerts, "POST") => Ok(Route { command: alerts(request)?, report: None, mark: None, copy: None }),
        (Endpoint::Alerts, _) => Err(Response::method_not_allowed("POST")),
        _ => Err(Response::problem(404, ROUTES)),
    }
}

/// The route that a path ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint<'a> {
    Report,
    Alerts,
    /// What is behind the link with this token, which has not been verified.
    Link(LinkKind, &'a str),
    /// The form on the page behind the link with this token, which has not been verified.
    Handled(&'a str),
    /// The copy with this id on the page behind the link with this token, which has not been verified.
    Copy(&'a str, &'a str),
    Unknown,
}

/// The length of the shortest possible token, rounded down.
const MIN_TOKEN_CHARS: usize = 60;

impl<'a> Endpoint<'a> {
    /// Finds the route at the end of a path.
    ///
    /// Whatever precedes the route is ignored: a stage, or the base path of a custom domain. Nothing may follow the token
    /// of a link, so a path below a link is not another route.
    fn at_end_of(path: &'a str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let Some((before, last)) = path.rsplit_once('/') else { return Self::Unknown };
        if last == "handled"
            && let Some((before, token)) = before.rsplit_once('/')
            && before.rsplit('/').next() == Some("r")
            && !is_below_link(before)
        {
            return Self::Handled(token);
        }
        if let Some((before, "copies")) = before.rsplit_once('/')
            && let Some((before, token)) = before.rsplit_once('/')
            && before.rsplit('/').next() == Some("r")
            && !is_below_link(before)
        {
            return Self::Copy(token, last);
        }
        if is_below_link(before) {
            return Self::Link(LinkKind::Page, "");
        }
        match last {
            "report" => Self::Report,
            "alerts" => Self::Alerts,
            // A link without its token.
            "r" => Self::Link(LinkKind::Page, ""),
            name if before.rsplit('/').next() == Some("r") => match name.strip_suffix(CALENDAR_SUFFIX) {
                Some(token) => Self::Link(LinkKind::Calendar, token),
                None => Self::Link(LinkKind::Page, name),
            },
            _ => Self::Unknown,
        }
    }
}

/// Returns whether a path contains `/r/` and something that may be a token. A base path can contain a segment `r`, too.
fn is_below_link(path: &str) -> bool {
    let may_be_token = |segment: &str| {
        let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        MIN_TOKEN_CHARS <= segment.len() && segment.bytes().take(MIN_TOKEN_CHARS).all(is_token_byte)
    };
    let segments = path.split('/');
    segments.clone().zip(segments.skip(1)).any(|(segment, next)| segment == "r" && may_be_token(next))
}

fn report(request: &Request, config: &Config) -> Result<Route, Response> {
    let mut command = Command { action: Action::Report, ..Command::default() };
    let mut format = None;
    let mut live = None;
    for (name, value) in &request.query {
        match name.as_str() {
            "within" if command.within.is_none() => command.within = Some(within(value).map_err(bad_request)?),
            "profile" => command.profiles.get_or_insert_default().push(value.clone()),
            "format" if format.is_none() => format = Some(value.as_str()),
            "live" if live.is_none() => {
                let is_live = value.parse().map_err(|_| Response::problem(400, "`live` takes `true` and `false`."))?;
                live = Some(is_live);
            }
            "within" | "format" | "live" => return Err(Response::problem(400, &format!("`{name}` is given twice."))),
            _ => {
                let name = one_line(name);
                let name = shorten(&name, 60);
                let detail = format!(
                    "`{name}` is not a parameter of a report; there are `within`, `profile`, `format` and `live`."
                );
                return Err(Response::problem(400, &detail));
            }
        }
    }
    let format = match format {
        Some(name) => Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Format::ALL.map(|format| format!("`{}`", format.name()));
            Response::problem(400, &format!("`format` takes {}.", list(&names, names.len())))
        })?,
        None => accept::format(request.header("accept")).ok_or_else(|| {
            let types = Format::ALL.map(Format::media_type);
            let types = list(&types, types.len());
            Response::problem(406, &format!("The formats of the report are {types}; name one of them in `Accept`."))
        })?,
    };
    let thresholds = config.channels.iter().flat_map(|channel| channel.thresholds.iter());
    let question = Question {
        horizon: command.within.clone().or_else(|| thresholds.max().cloned()),
        within: command.within.clone(),
        profiles: command.profiles.clone().unwrap_or_default(),
        zone: config.alerts.timezone.clone(),
        ..Question::default()
    };
    let report = ReportResponse::new(request, format, question, live.unwrap_or(false));
    Ok(Route { command, report: Some(report), mark: None, copy: None })
}

/// The page or the calendar behind a signed link, in the one format that the link has.
///
/// The query can only narrow what the link shows. Everything else in it is ignored, because an error could tell what
/// exists.
fn signed_report(
    kind: LinkKind,
    token: &str,
    request: &Request,
    config: &Config,
    now: Timestamp,
) -> Result<Route, LinkError> {
    let links = Links::of(&config.http).ok_or(LinkError::Unknown)?;
    let channel = links.open(kind, token, &config.channels, now)?;
    let (format, calendar) = match kind {
        LinkKind::Page => (Format::Html, links.make_calendar(channel, now)),
        LinkKind::Calendar => (Format::Ics, None),
    };
    let values = |name: &'static str| request.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value);
    let asked: Vec<_> = values("profile").cloned().collect();
    let widest = channel.thresholds.iter().max();
    let within = values("within").find_map(|text| within(text).ok());
    let within = within.map(|within| widest.map_or(within.clone(), |widest| within.min(widest.clone())));
    let command = Command {
        action: Action::Report,
        within: within.clone(),
        profiles: (!asked.is_empty()).then(|| asked.clone()),
        channels: Some(vec![channel.name.clone()]),
        dry_run: false,
        is_limited_to_channels: true,
    };
    let question = Question {
        horizon: within.clone().or_else(|| widest.cloned()),
        within,
        profiles: asked,
        zone: channel.timezone.clone(),
        is_signed: true,
        calendar,
        mark_action: allows_handled(config).then(|| mark_action(token, request)),
        copies: offers_copies(config).then(|| below_page("copies", token, request)),
    };
    let report = ReportResponse::new(request, format, question, false);
    Ok(Route { command, report: Some(report), mark: None, copy: None })
}

/// Whether whoever has a link may mark files as handled. The marks are in the ledger.
fn allows_handled(config: &Config) -> bool {
    config.http.allow_handled && config.ledger.is_some()
}

/// Whether copies of files can be downloaded.
fn offers_copies(config: &Config) -> bool {
    config.rescue.is_some() && matches!(config.store, Some(StoreConfig::S3 { .. }))
}

/// Returns where a page sends its forms.
fn mark_action(token: &str, request: &Request) -> String {
    below_page("handled", token, request) + &profiles_query(request)
}

/// Returns the URL of a path below a page. It is relative, so that it works behind a stage or a base path.
fn below_page(path: &str, token: &str, request: &Request) -> String {
    if request.path.ends_with('/') { path.to_owned() } else { format!("{token}/{path}") }
}

/// Returns the part of the query that narrows a page to profiles, so that people return to the same page.
fn profiles_query(request: &Request) -> String {
    let profiles = request.query.iter().filter(|(name, _)| name == "profile");
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(profiles).finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

/// A form on the page behind a signed link.
fn handled(token: &str, request: &Request, config: &Config, now: Timestamp) -> Result<Route, Response> {
    let route = signed_report(LinkKind::Page, token, request, config, now)
        .map_err(|error| Response::of_link_error(error, request, config))?;
    let mark = form(request)?;
    let links = Links::of(&config.http).ok_or_else(|| Response::problem(404, ROUTES))?;
    let page = format!("{}{}", links.page_url(token), profiles_query(request));
    let channel = route.command.channels.iter().flatten().next().cloned().unwrap_or_default();
    Ok(Route { mark: Some(MarkRequest { mark, channel, page }), ..route })
}

/// Reads the fields of a form. Other fields than those of the page's form are ignored.
fn form(request: &Request) -> Result<Mark, Response> {
    let bad = |detail: &str| Response::problem(400, detail);
    let body = request.body.as_ref().ok_or_else(|| bad("The body is not valid base64."))?;
    if MAX_FORM_BYTES < body.len() {
        return Err(Response::problem(413, &format!("A form has at most {MAX_FORM_BYTES} bytes.")));
    }
    let content_type = request.header("content-type").map(|value| value.split(';').next().unwrap_or_default().trim());
    if content_type.is_some_and(|value| !value.eq_ignore_ascii_case(FORM_TYPE)) {
        return Err(bad(&format!("The body must be a form of the type {FORM_TYPE}.")));
    }
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        if fields.insert(name.clone(), value).is_some() && MARK_FIELDS.contains(&name.as_ref()) {
            return Err(bad("A field of the form is given twice."));
        }
    }
    let [Some(profile), Some(id), Some(handled)] = MARK_FIELDS.map(|name| fields.get(name)) else {
        return Err(bad("The form needs the fields `profile`, `id` and `handled`."));
    };
    let is_handled = match handled.as_ref() {
        "yes" => true,
        "no" => false,
        _ => return Err(bad("`handled` takes `yes` and `no`.")),
    };
    Ok(Mark { profile: profile.to_string(), id: id.to_string(), is_handled })
}

/// Creates the response to a form about a file that the page does not show, or no longer shows.
#[must_use]
pub fn no_such_file(request: &Request, config: &Config) -> Response {
    Response::of_missing_file(request, config)
}

/// Creates the response to a link to a copy while the store cannot be used.
#[must_use]
pub fn no_copy_now() -> Response {
    Response::problem(502, "The store could not be read. Try again later.")
}

/// Creates the response to a form while no gallery can be read, so that nobody knows whether the file exists.
#[must_use]
pub fn not_read() -> Response {
    Response::problem(502, "No gallery could be read, so nothing has changed. Try again later.")
}

/// Creates the response to a form while the ledger cannot be written.
#[must_use]
pub fn not_recorded() -> Response {
    Response::problem(502, "The ledger could not be written, so nothing has changed. Try again later.")
}

/// Creates the response to a link whose channel has no profiles now.
#[must_use]
pub fn empty_link(request: &Request, config: &Config) -> Response {
    Response::of_link_error(LinkError::Unknown, request, config)
}

fn alerts(request: &Request) -> Result<Command, Response> {
    let Some(body) = &request.body else { return Err(Response::problem(400, "The body is not valid base64.")) };
    if MAX_BODY_BYTES < body.len() {
        return Err(Response::problem(413, &format!("A command has at most {MAX_BODY_BYTES} bytes.")));
    }
    if body.trim_ascii().is_empty() {
        return Ok(Command::default());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Command::parse(&object).map_err(bad_request),
        _ => {
            Err(Response::problem(400, "The body is not a JSON object; send a command like `{\"action\": \"alert\"}`."))
        }
    }
}

/// Creates the response to a command that is invalid.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub fn bad_request(error: InvalidCommand) -> Response {
    Response::problem(400, &error.to_string())
}
