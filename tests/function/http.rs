//! The HTTP routes, through every supported gateway.

use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};

use crate::support::http::{HttpAnswer, HttpRequest, request};
use crate::support::{ACME_KEY, Function, World, file};

async fn world() -> World {
    let world = World::with_gallery(&[file("today.png", 5), file("far.png", 24 * 20)]).await;
    world.ayrshare.gallery(Some(ACME_KEY), &[file("acme.png", 48)]);
    world
}

async fn ask(function: &Function, event: &Value) -> HttpAnswer {
    function.answer(event).await.into()
}

fn names(result: &Value) -> Vec<&str> {
    result["items"].as_array().expect("items").iter().map(|item| item["file_name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn every_gateway_can_get_the_report() {
    let function = world().await.start().await;
    let shapes: [fn(&HttpRequest) -> Value; 3] = [HttpRequest::v2, HttpRequest::v1, HttpRequest::function_url];
    for shape in shapes {
        let answer = ask(&function, &shape(&request("GET /report"))).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"));
        assert_eq!((&answer.body["action"], names(&answer.body)), (&json!("report"), vec!["today.png", "acme.png"]));
        for (header, value) in [("cache-control", "private"), ("x-content-type-options", "nosniff")] {
            assert!(answer.headers[header].as_str().is_some_and(|found| found.starts_with(value)), "{header}");
        }

        let answer = ask(&function, &shape(&request("GET /report?within=30d&format=json"))).await;
        assert_eq!(names(&answer.body), ["today.png", "acme.png", "far.png"]);
        let one = "GET /report?profile=Acme%20Coffee&profile=Caf%C3%A9+%E6%9D%B1%E4%BA%AC";
        let answer = ask(&function, &shape(&request(one))).await;
        assert_eq!((names(&answer.body), &answer.body["profiles"]["configured"]), (vec!["acme.png"], &json!(2)));

        let command = r#"{"action": "alert", "profiles": ["Acme Coffee"], "dry_run": true}"#;
        let answer = ask(&function, &shape(&request("POST /alerts").body(command))).await;
        assert_eq!((answer.status, &answer.body["channels"][0]["outcome"]), (200, &json!("dry-run")));
    }
    assert_eq!((function.slack.attempts(), function.sns.attempts()), (0, 0));
    function.end().await;
}

#[tokio::test]
async fn an_alert_can_be_sent_over_http() {
    let function = world().await.start().await;
    for (body, sent) in [("{}", 1), ("", 2), (r#"{"action":"alert"}"#, 3)] {
        let answer = ask(&function, &request("POST /alerts").body(body).function_url()).await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("ok")));
        assert_eq!((function.slack.messages().len(), function.sns.publications().len()), (sent, sent));
    }
    assert_eq!(function.heartbeat.beats().len(), 3);
    function.end().await;
}

#[tokio::test]
async fn a_rejected_request_gets_a_problem_document() {
    let function = world().await.start().await;
    let large = format!(r#"{{"action": "{}"}}"#, "a".repeat(70_000));
    let mut broken = request("POST /alerts").body("{}").function_url();
    broken["body"] = "%%%".into();
    for (event, status, detail) in [
        (request("GET /report?within=banana").v2(), 400, "within: `banana` is not a duration"),
        (request("GET /report?within=1d&within=2d").v2(), 400, "`within` is given twice"),
        (request("GET /report?profile=Nobody").v1(), 400, "there is no profile `Nobody`"),
        (request("GET /report?foo=1").v2(), 400, "`foo` is not a parameter"),
        (request("GET /report?format=xls").v2(), 400, "`format` takes"),
        (request("POST /alerts").body("[]").v2(), 400, "not a JSON object"),
        (request("POST /alerts").body("{\"a\":").v1(), 400, "not a JSON object"),
        (request("POST /alerts").body(r#"{"action":"delete"}"#).v2(), 400, "action: expected"),
        (request("POST /alerts").body(r#"{"channels":["pager"]}"#).v2(), 400, "there is no channel `pager`"),
        (broken, 400, "base64"),
        (request("GET /report").unauthorized().v2(), 401, "authorizer"),
        (request("GET /report").unauthorized().v1(), 401, "authorizer"),
        (request("POST /alerts").unauthorized().function_url(), 401, "authorizer"),
        (request("GET /").v2(), 404, "`GET /report`"),
        (request("GET /reports").v1(), 404, "`GET /report`"),
        (request("GET /r/some-token").unauthorized().v2(), 404, ""),
        (request("POST /report").v2(), 405, "GET"),
        (request("DELETE /alerts").v1(), 405, "POST"),
        (request("GET /report").accept("image/png").v2(), 406, ""),
        (request("POST /alerts").body(&large).v2(), 413, "65536"),
    ] {
        let answer = ask(&function, &event).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (status, "application/problem+json"), "{event}");
        assert_eq!(answer.body["status"], status);
        assert!(answer.body["title"].is_string() && answer.body["type"].is_string(), "{}", answer.body);
        let found = answer.body["detail"].as_str().expect("a detail");
        assert!(found.contains(detail), "`{detail}` is not in {found}");
        if status == 405 {
            assert!(answer.headers["allow"].is_string());
        }
    }
    assert_eq!((function.slack.attempts(), function.sns.attempts()), (0, 0));
    function.end().await;
}

#[tokio::test]
async fn a_stage_and_a_base_path_are_ignored() {
    let function = world().await.start().await;
    for path in ["/prod/report", "/media/v2/report", "/r/report"] {
        let mut v2 = request("GET /report").v2();
        v2["rawPath"] = path.into();
        assert_eq!(ask(&function, &v2).await.status, 200, "{path}");
    }
    function.end().await;
}

#[tokio::test]
async fn requests_need_no_authorizer_if_none_is_required() {
    let mut world = world().await;
    world.config["http"] = json!({"require_authorizer": false});
    let function = world.start().await;
    assert_eq!(ask(&function, &request("GET /report").unauthorized().v2()).await.status, 200);
    function.end().await;
}

#[tokio::test]
async fn a_failed_run_is_a_502_with_the_run_result() {
    let world = world().await;
    world.slack.reply_always(Reply::text(404, "no_service"));
    let function = world.start().await;
    let answer = ask(&function, &request("POST /alerts").body("{}").v2()).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (502, "application/json"));
    assert_eq!((&answer.body["status"], &answer.body["channels"][0]["outcome"]), (&json!("failed"), &json!("failed")));
    assert_eq!(answer.body["channels"][0]["error"], "Slack answered 404 Not Found: no_service");
    assert_eq!(function.heartbeat.beats(), ["/fail"]);
    assert_eq!(function.end().await.metrics()[0]["RunsCompleted"], 0);
}
