//! Requests and the answers to them.

use std::io::Read as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use jiff::SignedDuration;

use super::report::escaped_bytes;
use super::request::Request;
use super::response::{MAX_RESPONSE_BYTES, Response};
use super::routes::{bad_request, route};
use crate::config::Config;
use crate::digest::announce::Announced;
use crate::digest::fixtures::{now, survey, survey_of};
use crate::ledger::{Key, Record};
use crate::model::text::json;
use crate::model::{Copies, KeptCopy, Status};
use crate::net::environment::Environment;
use crate::report::link::Links;
use crate::run::command::Action;
use crate::run::result::RunResult;
use crate::run::result::tests::result;
use crate::run::roster::Roster;
use crate::scan::survey::Survey;

const DOCUMENT: &str = r#"
    ayrshare = {api_key = "KEY"}
    http = {report_url = "https://reports.example", link_secret = "0123456789abcdef0123456789abcdef", link_ttl = "7d"}
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
        query: pairs(query),
        headers: pairs(headers).into_iter().collect(),
        body: None,
        is_authorized: true,
        accepts_base64: true,
    }
}

fn answer(request: &Request, result: &RunResult) -> Response {
    route(request, &config(), now()).expect("a route").respond(result)
}

fn rejection(request: &Request) -> Response {
    let config = config();
    route(request, &config, now())
        .and_then(|route| route.command.plan(&config, &Roster::configured(&config)).map(drop).map_err(bad_request))
        .expect_err("a rejection")
}

#[test]
fn each_format_has_its_content_type_and_safe_headers() {
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
fn pictures_are_only_loaded_from_the_hosts_of_the_files() {
    let html = request("/report", &[("format", "html")], &[]);
    let mut found = result(survey());
    let policy = |result: &RunResult| answer(&html, result).headers["content-security-policy"].clone();
    assert!(policy(&found).contains("; img-src https://images.ayrshare.com; style-src 'sha256-"));
    Arc::make_mut(&mut found.survey).items.clear();
    Arc::make_mut(&mut found.survey).posts_at_risk.clear();
    assert!(policy(&found).contains("; img-src 'none'; "));
    found = result(survey_of(3));
    for (item, host) in Arc::make_mut(&mut found.survey).items.iter_mut().zip(["a;script-src", "*", "a.example:8443"]) {
        Arc::make_mut(item).media.url = Some(format!("https://{host}/x.png"));
    }
    assert!(policy(&found).contains("; img-src https://a.example:8443; "), "{}", policy(&found));
    found = result(survey_of(60));
    for (index, item) in Arc::make_mut(&mut found.survey).items.iter_mut().enumerate() {
        Arc::make_mut(item).media.url = Some(format!("https://host-{index}.example/a.png"));
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
fn gzip_is_used_if_the_client_and_the_gateway_support_it() {
    let gzip = request("/report", &[("format", "html")], &[("accept-encoding", "gzip, br")]);
    let plain = answer(&request("/report", &[("format", "html")], &[]), &result(survey()));
    let packed = answer(&gzip, &result(survey()));
    assert_eq!((packed.headers["content-encoding"].as_str(), packed.is_base64_encoded), ("gzip", true));
    assert_eq!(packed.headers["etag"], plain.headers["etag"]);
    let mut body = String::new();
    let bytes = STANDARD.decode(&packed.body).expect("base64");
    GzDecoder::new(bytes.as_slice()).read_to_string(&mut body).expect("gzip");
    assert_eq!(body, plain.body);
    // It is unknown whether a REST API decodes base64.
    let rest = Request { accepts_base64: false, ..gzip };
    assert!(!answer(&rest, &result(survey())).is_base64_encoded);
}

#[test]
fn a_response_never_exceeds_lambdas_limit() {
    let mut found = result(survey_of(4_000));
    let url = format!("https://images.ayrshare.com/{}{}.png", "\"".repeat(300), "a".repeat(900));
    for item in &mut Arc::make_mut(&mut found.survey).items {
        Arc::make_mut(item).media.url = Some(url.clone());
    }
    for format in ["json", "html", "csv", "ics"] {
        let response = answer(&request("/report", &[("format", format)], &[]), &found);
        let bytes = json(&response).len();
        assert!(bytes <= MAX_RESPONSE_BYTES && MAX_RESPONSE_BYTES * 4 / 5 < bytes, "{format}: {bytes} bytes");
        assert!(0 < response.headers["x-left-out"].parse::<usize>().expect("a number"));
    }
    let text = "\"\\\n\r\t\u{1}é/\u{7f}";
    assert_eq!(escaped_bytes(text), json(&text).len() - 2);
}

#[test]
fn invalid_requests_are_rejected_with_a_reason() {
    let check = |query: &[(&str, &str)], accept: &str, status: u16, expected: &str| {
        let rejection = rejection(&request("/report", query, &[("accept", accept)]));
        assert_eq!(rejection.status_code, status, "{query:?}");
        assert_eq!(rejection.headers["content-type"], "application/problem+json");
        assert!(rejection.body.contains(expected), "{query:?}: {}", rejection.body);
    };
    check(&[("within", "0d")], "*/*", 400, "is not a duration");
    check(&[("within", "banana")], "text/html", 400, "is not a duration");
    check(&[("within", "1d"), ("within", "2d")], "*/*", 400, "given twice");
    check(&[("profile", "Nobody")], "*/*", 400, "there is no profile `Nobody`");
    check(&[("format", "xml")], "*/*", 400, "`format` takes `json`, `html`, `csv` and `ics`");
    check(&[("since", "1d")], "*/*", 400, "`since` is not a parameter");
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

/// The path of the calendar of a channel, made now.
fn calendar(channel: usize) -> String {
    let config = config();
    let links = Links::of(&config.http).expect("links");
    let calendar = links.make_calendar(&config.channels[channel], now()).expect("a calendar");
    calendar.url.strip_prefix("https://reports.example").expect("a path").to_owned()
}

#[test]
fn a_calendar_program_needs_no_header() {
    let config = config();
    for (path, headers) in [
        (calendar(0), &[][..]),
        (format!("/prod{}", calendar(0)), &[("accept", "text/html")]),
        (format!("/media/v2{}/", calendar(0)), &[("accept", "image/png")]),
    ] {
        let request = Request { is_authorized: false, ..request(&path, &[("profile", "Acme Coffee")], headers) };
        let route = route(&request, &config, now() + SignedDuration::from_hours(364 * 24)).expect("a route");
        let roster = Roster::configured(&config);
        let selected = route.command.select(&config, roster.known()).expect("names");
        assert_eq!(selected.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["Head office", "Café 東京"]);
        assert_eq!(route.report.as_ref().map(|report| (report.is_live, report.max_retries())), Some((false, 0)));
        let response = route.respond(&result(survey()));
        assert_eq!((response.status_code, response.is_base64_encoded), (200, false));
        assert_eq!(response.headers["content-type"], "text/calendar; charset=utf-8");
        assert_eq!(response.headers["cache-control"], "private, no-cache");
        assert!(response.body.starts_with("BEGIN:VCALENDAR\r\n") && response.body.contains("\r\nUID:"));
        let head = route.report.expect("a report").head();
        assert_eq!((head.status_code, head.headers["content-type"].as_str()), (200, "text/calendar; charset=utf-8"));
    }
}

#[test]
fn a_calendar_and_a_page_do_not_open_each_other() {
    let at = |path: &str, hours: i64| {
        let request = Request { is_authorized: false, ..request(path, &[], &[]) };
        let found = route(&request, &config(), now() + SignedDuration::from_hours(hours));
        found.map_or_else(|response| response.status_code, |_| 200)
    };
    let (calendar, page) = (calendar(0), link(0));
    assert_eq!(at(&calendar, 365 * 24), 410);
    for wrong in [
        format!("{page}.ics"),
        calendar.replace(".ics", ""),
        calendar.replace(".ics", ".ICS"),
        format!("{calendar}.ics"),
        format!("{calendar}/report"),
        format!("{calendar}/handled"),
        "/r/.ics".to_owned(),
    ] {
        assert_eq!(at(&wrong, 0), 404, "{wrong}");
    }
    let post = Request { method: "POST".into(), ..request(&calendar, &[], &[]) };
    assert_eq!(rejection(&post).status_code, 405);
}

#[test]
fn the_page_behind_a_link_offers_its_calendar() {
    let page = |config: &Config, path: &str, query: &[(&str, &str)], minutes: i64| {
        let later = now() + SignedDuration::from_mins(minutes);
        route(&request(path, query, &[]), config, later).expect("a route").respond(&result(survey()))
    };
    let config = config();
    let behind_link = page(&config, &link(0), &[], 0);
    let calendar = format!("https://reports.example{}", calendar(0));
    assert!(behind_link.body.contains(&format!("href=\"{calendar}\"")), "{}", behind_link.body);
    assert!(behind_link.body.contains(&format!("href=\"{}\"", calendar.replace("https:", "webcal:"))));
    assert!(behind_link.body.contains("It works for 365 days"));
    // Its token is a new one each time, but the page is the same.
    let later = page(&config, &link(0), &[], 1);
    assert!(!later.body.contains(&calendar) && later.body.contains("webcal://reports.example/r/"));
    assert_eq!(later.headers["etag"], behind_link.headers["etag"]);
    // A login protects the other page, so it does not give out an address that needs none.
    assert!(!page(&config, "/report", &[("format", "html")], 0).body.contains("webcal:"));
}

/// The configuration with marks, and with a ledger unless `ledger` is false.
fn config_with_marks(ledger: bool) -> Config {
    let ledger = if ledger { "ledger = {type = \"file\", path = \"/nowhere/ledger.json\"}\n" } else { "" };
    let document = DOCUMENT.replace("link_ttl = \"7d\"", "link_ttl = \"7d\", allow_handled = true");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let environment = Environment::of::<&str, &str>([]);
    runtime.block_on(Config::read(&format!("{ledger}{document}"), &environment)).expect("a configuration")
}

fn config_with_copies(store: &str) -> Config {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let document = format!("store = {{url = \"{store}\"}}\nrescue = {{}}\n{DOCUMENT}");
    runtime.block_on(Config::read(&document, &Environment::of::<&str, &str>([]))).expect("a configuration")
}

/// A survey in which a copy of its first file is kept.
fn survey_with_copy() -> Survey {
    let mut survey = survey();
    let item = Arc::clone(&survey.items[0]);
    let mut copies = Copies::on();
    let copy = KeptCopy::new(item.profile.clone(), "copies/Head office/a.png".to_owned(), 223_340, false);
    copies.add(item.profile.clone(), item.media.identity(), Arc::new(copy));
    survey.copies = Arc::new(copies);
    survey
}

#[test]
fn a_page_links_the_copies_that_can_be_downloaded() {
    let page = |config: &Config, path: &str| {
        route(&request(path, &[], &[]), config, now()).expect("a route").respond(&result(survey_with_copy())).body
    };
    let token = link(0).replace("/r/", "");
    let bucket = config_with_copies("s3://kept");
    let shown = page(&bucket, &link(0));
    let (_, rest) = shown.split_once(&format!("href=\"{token}/copies/")).expect("a link");
    let id = rest.split_once('"').expect("an end").0;
    assert_eq!(id.len(), 32);
    assert!(page(&bucket, &format!("{}/", link(0))).contains(&format!("href=\"copies/{id}\"")));
    for path in [format!("{}/copies/{id}", link(0)), format!("/prod/v1{}/copies/{id}/", link(0))] {
        let route = route(&request(&path, &[], &[]), &bucket, now()).expect("a route");
        assert_eq!(route.copy.map(|copy| copy.id).as_deref(), Some(id));
        assert_eq!(route.command.channels, Some(vec!["office".to_owned()]));
    }

    // There is no download of a copy in a folder, nor without copies.
    let folder = config_with_copies("kept");
    let shown = page(&folder, &link(0));
    assert!(shown.contains("A copy is kept") && !shown.contains("Download the copy"));
    for config in [&folder, &config()] {
        let rejected = route(&request(&format!("{}/copies/{id}", link(0)), &[], &[]), config, now());
        assert_eq!(rejected.expect_err("an error").status_code, 404);
    }
}

#[test]
fn a_copy_needs_a_link_that_is_valid() {
    let config = config_with_copies("s3://kept");
    let rejected = |method: &str, path: &str, days: i64| {
        let request = Request { method: method.into(), ..request(path, &[], &[]) };
        let response = route(&request, &config, now() + SignedDuration::from_hours(24 * days)).expect_err("an error");
        response.status_code
    };
    let (page, calendar) = (link(0), calendar(0));
    assert_eq!(rejected("GET", &format!("{page}/copies/0123"), 8), 410);
    assert_eq!(rejected("GET", &format!("{page}x/copies/0123"), 0), 404);
    assert_eq!(rejected("GET", &format!("{}/copies/0123", calendar.trim_end_matches(".ics")), 0), 404);
    assert_eq!(rejected("GET", &format!("{page}/copies/0123/more"), 0), 404);
    assert_eq!(rejected("GET", &format!("{page}/copies/"), 0), 404);
    assert_eq!(rejected("POST", &format!("{page}/copies/0123"), 0), 405);
    assert_eq!(rejected("HEAD", &format!("{page}/copies/0123"), 0), 405);
}

fn form(path: &str, query: &[(&str, &str)], body: &str) -> Request {
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let body = Some(body.as_bytes().to_vec());
    Request { method: "POST".into(), is_authorized: false, body, ..request(path, query, &headers) }
}

const MARK: &str = "profile=Caf%C3%A9+%E6%9D%B1%E4%BA%AC&id=a%26b&handled=yes";

#[test]
fn a_form_marks_a_file_and_leads_back_to_the_page() {
    let config = config_with_marks(true);
    let handled = format!("{}/handled", link(0));
    for (base, end) in [("", ""), ("/prod", ""), ("/media/v2", "/")] {
        let asked = form(&format!("{base}{handled}{end}"), &[("profile", "Café 東京"), ("x", "y")], MARK);
        let route = route(&asked, &config, now()).expect("a route");
        let form = route.mark.expect("a mark");
        assert_eq!((form.channel.as_str(), form.mark.profile.as_str()), ("office", "Café 東京"));
        assert_eq!((form.mark.id.as_str(), form.mark.is_handled), ("a&b", true));
        assert_eq!(route.command.channels, Some(vec!["office".to_owned()]));
        let response = form.respond();
        let page = format!("https://reports.example{}?profile=Caf%C3%A9+%E6%9D%B1%E4%BA%AC", link(0));
        assert_eq!((response.status_code, &response.headers["location"]), (303, &page));
        assert_eq!(response.headers["cache-control"], "private, no-store");
    }
    let undo = form(&handled, &[], &MARK.replace("yes", "no"));
    assert!(!route(&undo, &config, now()).expect("a route").mark.expect("a mark").mark.is_handled);
    // A client need not send the type, and may send more fields.
    let mut bare = form(&handled, &[], &format!("{MARK}&more=1&more=2"));
    bare.headers.clear();
    assert!(route(&bare, &config, now()).is_ok());
}

#[test]
fn an_invalid_form_is_rejected() {
    let config = config_with_marks(true);
    let handled = format!("{}/handled", link(0));
    let status = |request: &Request| route(request, &config, now()).map_or_else(|no| no.status_code, |_| 200);
    for body in [
        "",
        "profile=A&id=b",
        "profile=A&handled=yes",
        "id=b&handled=yes",
        "profile=A&id=b&handled=",
        "profile=A&id=b&handled=YES",
        "profile=A&id=b&handled=yes&handled=yes",
        "profile=A&profile=B&id=b&handled=yes",
        r#"{"profile": "A", "id": "b", "handled": "yes"}"#,
    ] {
        assert_eq!(status(&form(&handled, &[], body)), 400, "{body}");
    }
    assert_eq!(status(&Request { body: None, ..form(&handled, &[], "") }), 400);
    let mut json = form(&handled, &[], MARK);
    json.headers.insert("content-type".into(), "application/json".into());
    assert_eq!(status(&json), 400);
    assert_eq!(status(&form(&handled, &[], &format!("{MARK}&x={}", "a".repeat(70_000)))), 413);
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        assert_eq!(status(&Request { method: method.into(), ..form(&handled, &[], MARK) }), 405, "{method}");
    }
    for wrong in
        ["/r/x/handled", "/handled", &calendar(0).replace(".ics", "/handled"), &format!("{}/handled", calendar(0))]
    {
        assert_eq!(status(&Request { is_authorized: true, ..form(wrong, &[], MARK) }), 404, "{wrong}");
    }
    let late = route(&form(&handled, &[], MARK), &config, now() + SignedDuration::from_hours(24 * 7));
    assert_eq!(late.expect_err("an error").status_code, 410);
}

#[test]
fn marks_are_off_unless_the_configuration_allows_them_and_has_a_ledger() {
    let handled = format!("{}/handled", link(0));
    for config in [config(), config_with_marks(false)] {
        let rejected = route(&form(&handled, &[], MARK), &config, now()).expect_err("an error");
        assert_eq!(rejected.status_code, 404);
        let page = route(&request(&link(0), &[], &[]), &config, now()).expect("a route").respond(&result(survey()));
        assert!(!page.body.contains("<form") && page.headers["content-security-policy"].contains("form-action 'none'"));
    }
}

#[test]
fn the_page_has_a_form_for_each_file_if_it_is_known_what_is_marked() {
    let config = config_with_marks(true);
    let mut found = result(survey());
    let page = |path: &str, query: &[(&str, &str)], found: &RunResult| {
        route(&request(path, query, &[]), &config, now()).expect("a route").respond(found)
    };
    // Without the ledger it is not known what is marked.
    assert!(!page(&link(0), &[], &found).body.contains("<form"));
    let item = Arc::clone(&found.survey.items[0]);
    let mark = (Key::of_handled(&item.profile, &item.media), Record::handled(now(), item.media.expires_at));
    found.announced = Some(Announced {
        channels: [("office".to_owned(), [mark].into_iter().collect())].into(),
        thresholds: config.channels[0].thresholds.clone(),
    });
    let marked = page(&link(0), &[], &found);
    let token = link(0).replace("/r/", "");
    assert!(marked.headers["content-security-policy"].contains("; form-action 'self'; "));
    assert_eq!(marked.body.matches("<form class=\"mark\" method=\"post\"").count(), found.survey.items.len());
    assert_eq!(marked.body.matches("name=\"handled\" value=\"no\"").count(), 1);
    assert!(marked.body.contains(&format!("action=\"{token}/handled#file-0\"")), "{}", marked.body);
    assert!(marked.body.contains("id=\"file-0\""));
    let narrowed = page(&format!("{}/", link(0)), &[("profile", "Head office")], &found);
    assert!(narrowed.body.contains("action=\"handled?profile=Head+office#file-0\""), "{}", narrowed.body);
    // Reports for which a login is needed have no forms, and the calendar has none either.
    assert!(!page("/report", &[("format", "html")], &found).body.contains("<form"));
    let json = answer(&request("/report", &[], &[]), &found).body;
    assert!(json.contains("\"handled\":[\"office\"]") && json.contains("\"handled\":[]"), "{json}");
}

#[test]
fn parameters_of_a_link_cannot_extend_it_beyond_its_channel() {
    let all = ["Head office", "Café 東京"].as_slice();
    let one = &["Café 東京"][..];
    for (query, profiles, within) in [
        (&[][..], all, None),
        (&[("profile", "Café 東京"), ("within", "2d")], one, Some("2d")),
        (&[("profile", "Acme Coffee")], all, None),
        (&[("profile", "Acme Coffee"), ("profile", "Café 東京")], one, None),
        (&[("profile", ""), ("within", "0"), ("format", "json"), ("x", "y"), ("channels", "all")], all, None),
    ] {
        let mut request = request(&link(0), query, &[("accept", "application/json")]);
        request.is_authorized = false;
        let config = config();
        let route = route(&request, &config, now()).expect("a route");
        let roster = Roster::configured(&config);
        let selected = route.command.select(&config, roster.known()).expect("names");
        assert_eq!(selected.iter().map(|name| name.as_str()).collect::<Vec<_>>(), profiles, "{query:?}");
        assert_eq!(route.command.channels, Some(vec!["office".to_owned()]));
        assert_eq!((route.command.action, route.command.dry_run), (Action::Report, false));
        assert_eq!(route.command.within.as_ref().map(crate::model::threshold::Threshold::label), within);
        let page = route.respond(&result(survey()));
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert!(!page.body.contains("format="), "a link has no other formats");
    }
}

#[test]
fn the_response_to_an_invalid_link_contains_no_details() {
    let link = link(0);
    let at = |path: &str, hours: i64| {
        let request = Request { is_authorized: false, ..request(path, &[], &[]) };
        route(&request, &config(), now() + SignedDuration::from_hours(hours)).expect_err("a rejection")
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
        ("application/json, text/html;q=0.1", "text/html; charset=utf-8"),
        ("application/json", "application/problem+json"),
        ("text/html;q=0, */*", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
    ] {
        let rejection = rejection(&request("/r/x", &[], &[("accept", accept)]));
        assert_eq!(
            (rejection.status_code, rejection.headers["content-type"].as_str()),
            (404, content_type),
            "{accept}"
        );
    }
    let post = Request { method: "POST".into(), ..request(&link, &[], &[]) };
    assert_eq!(rejection(&post).status_code, 405);
}

#[test]
fn whatever_precedes_a_route_is_ignored() {
    let link = link(0);
    for base in ["", "/prod", "/media/v2", "/r", "/report", "//", "/a%2Fb"] {
        for (path, status) in
            [("/report", 200), ("/report/", 200), (&link, 200), ("/r/some-token", 404), ("/other", 404)]
        {
            let request = request(&format!("{base}{path}"), &[], &[]);
            let found = route(&request, &config(), now()).map_or_else(|response| response.status_code, |_| 200);
            assert_eq!(found, status, "{base}{path}");
        }
    }
    for path in ["/reports", "/xreport", "/report/x", "/r", "/r/", "report", "", "/prod%2Freport", "/Report"] {
        assert_eq!(rejection(&request(path, &[], &[])).status_code, 404, "{path}");
    }
    for below in ["/report", "/../report", "/r/x", "/alerts", "/more", "/a/report"] {
        let below = rejection(&request(&format!("/prod{link}{below}"), &[], &[("accept", "text/html")]));
        assert_eq!((below.status_code, below.headers["content-type"].as_str()), (404, "text/html; charset=utf-8"));
    }
}
