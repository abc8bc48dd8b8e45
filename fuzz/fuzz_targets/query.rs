//! The query string of `GET /report` and its headers, one on each line: the query, `Accept`, `Accept-Encoding`,
//! `If-None-Match`.

#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::http::request::Request;
use media_expiry_alerts::http::{self, accept};
use media_expiry_alerts::report::Format;
use media_expiry_alerts_fuzz::config::CONFIG;
use serde_json::{Map, Value, json};

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(4, '\n');
    let query = lines.next().unwrap_or_default();
    let headers = [lines.next(), lines.next(), lines.next()];
    let [accept, encoding, known] = headers;
    negotiate(accept, encoding, known);

    let named = ["accept", "accept-encoding", "if-none-match"].into_iter().zip(headers);
    let headers: Map<String, Value> = named.filter_map(|(name, value)| Some((name.into(), value?.into()))).collect();
    let Value::Object(event) = json!({
        "rawPath": "/prod/report",
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {"http": {"method": "GET"}, "authorizer": {"iam": {}}},
    }) else {
        return;
    };
    let request = Request::parse(event).expect("a request");
    let now: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
    match http::route(&request, &CONFIG, now) {
        Ok(route) => {
            let asked: Vec<_> =
                request.query.iter().filter(|(name, _)| name == "profile").map(|(_, value)| value.as_str()).collect();
            assert_eq!(route.command.profiles.as_deref().unwrap_or_default(), asked);
            let report = route.report.expect("a report");
            assert_eq!(report.head().status_code, 200);
        }
        Err(response) => {
            assert!(matches!(response.status_code, 400 | 406), "{}", response.status_code);
            assert!(response.body.len() < 2_000, "a body of {} bytes", response.body.len());
            serde_json::from_str::<Map<String, Value>>(&response.body).expect("a problem");
        }
    }
});

fn negotiate(accept: Option<&str>, encoding: Option<&str>, known: Option<&str>) {
    let format = accept::format(accept);
    assert_eq!(format.is_some(), Format::ALL.into_iter().any(|format| accept::accepts(accept, format)));
    assert!(format.is_none_or(|format| accept::accepts(accept, format)));
    let _ = accept::gzip(encoding);
    if let Some(known) = known.filter(|known| !known.contains(',')) {
        assert!(accept::is_known(Some(known), known));
    }
}
