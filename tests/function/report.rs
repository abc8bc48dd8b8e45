//! The formats of the report, and the links to it in digests.

use base64::Engine as _;
use media_expiry_alerts::demo::stand_ins::{Call, Reply, scheduled_post};
use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::{ACME_KEY, CAFE_KEY, Function, World, file, in_hours, scheduled, slack_text};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const SECRET: &str = "correct-horse-battery-staple-0123";

async fn world() -> World {
    let mut world = World::with_gallery(&[file("office.png", 5)]).await;
    world.ayrshare.gallery(Some(ACME_KEY), &[file("acme.png", 48), file("=1+1.png", 50)]);
    world.config["http"] = json!({"report_url": "https://reports.example/prod", "link_secret": SECRET});
    world.config["channels"][0]["profiles"] = json!(["Acme Coffee"]);
    world
}

/// The path of the report link in the last Slack message.
async fn link(function: &Function) -> String {
    function.answer(&scheduled()).await;
    let text = slack_text(&function.slack_message());
    let (_, link) = text.split_once("<https://reports.example/prod").expect("a link");
    link.split_once('|').expect("an end").0.to_owned()
}

async fn get(function: &Function, target: &str, headers: &[(&str, &str)]) -> Value {
    let mut event = request(&format!("GET {target}")).v2();
    for (name, value) in headers {
        event["headers"][name] = (*value).into();
    }
    function.answer(&event).await
}

fn text(answer: &Value) -> &str {
    answer["body"].as_str().expect("a body")
}

#[tokio::test]
async fn times_are_in_the_zone_of_the_channel_or_of_the_alerts() {
    let mut world = world().await;
    let mut acme = file("acme.png", -1);
    acme["timeCreated"] = "2025-07-30T20:23:49Z".into();
    acme["expiresAt"] = "2025-09-05T22:00:48Z".into();
    world.ayrshare.gallery(Some(ACME_KEY), &[acme]);
    world.config["alerts"]["timezone"] = json!("Europe/Berlin");
    world.config["channels"][0]["timezone"] = json!("Asia/Tokyo");
    // Lambda's own setting is not that of the readers.
    world.variables.insert("TZ".into(), "America/New_York".into());
    let function = world.start().await;

    let link = link(&function).await;
    let (tokyo, berlin) = ("Sat 6 Sep 2025, 07:00 JST", "Sat 6 Sep 2025, 00:00 CEST");
    let slack = function.slack_message().to_string();
    assert!(slack.contains(&format!("<!date^1757109648^{{date_short}} at {{time}}|{tokyo}>")), "{slack}");
    assert!(text(&get(&function, &link, &[("accept", BROWSER)]).await).contains(tokyo));

    let mail = function.publication().message;
    assert!(mail.contains(berlin), "{mail}");
    assert!(text(&get(&function, "/report", &[("accept", BROWSER)]).await).contains(berlin));
    let csv = get(&function, "/report", &[("accept", "text/csv")]).await;
    assert!(text(&csv).contains("2025-09-05T22:00:48Z"), "{csv}");
    function.end().await;
}

#[tokio::test]
async fn the_accept_header_selects_the_format() {
    let function = world().await.start().await;
    for (accept, content_type, begins) in [
        (BROWSER, "text/html", "<!DOCTYPE html>"),
        ("text/csv", "text/csv", "\u{FEFF}profile,state,"),
        ("text/calendar", "text/calendar", "BEGIN:VCALENDAR\r\n"),
        ("*/*", "application/json", "{"),
    ] {
        let answer = get(&function, "/report", &[("accept", accept)]).await;
        assert!(answer["headers"]["content-type"].as_str().is_some_and(|found| found.starts_with(content_type)));
        assert!(text(&answer).starts_with(begins), "{accept}: {}", text(&answer));
        for name in ["office", "acme", "1+1"] {
            assert!(text(&answer).contains(name), "{accept}: {name}");
        }

        let tag = answer["headers"]["etag"].as_str().expect("a tag");
        let again = get(&function, "/report", &[("accept", accept), ("if-none-match", tag)]).await;
        assert_eq!((&again["statusCode"], text(&again)), (&json!(304), ""), "{accept}");

        let head = function.answer(&request("HEAD /report").accept(accept).v2()).await;
        assert_eq!((&head["statusCode"], text(&head)), (&json!(200), ""), "{accept}");
        for header in ["content-type", "vary", "cache-control"] {
            assert_eq!(head["headers"][header], answer["headers"][header], "{accept}: {header}");
        }
        let packed = get(&function, "/report", &[("accept", accept), ("accept-encoding", "gzip")]).await;
        assert_eq!(
            (&packed["headers"]["content-encoding"], &packed["isBase64Encoded"]),
            (&json!("gzip"), &json!(true))
        );
        let bytes = base64::engine::general_purpose::STANDARD.decode(text(&packed)).expect("base64");
        assert!(bytes.starts_with(&[0x1f, 0x8b]));
    }
    function.end().await;
}

#[tokio::test]
async fn a_digest_links_to_a_page_with_only_the_profiles_of_its_channel() {
    let function = world().await.start().await;
    let link = link(&function).await;
    let mail = function.publication().message;
    assert!(mail.lines().any(|line| line.starts_with("https://reports.example/prod/r/")), "{mail}");

    for query in ["", "?profile=Head%20office", "?profile=Acme%20Coffee&within=30d&format=json", "?channels=ops-email"]
    {
        let mut event = request(&format!("GET {link}{query}")).unauthorized().v2();
        event["headers"]["accept"] = BROWSER.into();
        let answer = function.answer(&event).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert!(text(&answer).contains("acme.png"), "{query}");
        check_that_other_profiles_are_hidden(&answer, query);
    }
    function.end().await;
}

/// The path of the calendar that the page behind a link offers.
async fn calendar(function: &Function, link: &str) -> String {
    let page = get(function, link, &[("accept", BROWSER)]).await;
    let (_, address) = text(&page).split_once("href=\"webcal://reports.example/prod").expect("a subscription");
    let (path, _) = address.split_once('"').expect("an end");
    assert!(
        text(&page).contains(&format!("href=\"https://reports.example/prod{path}\"")),
        "the plain address is there"
    );
    path.to_owned()
}

/// What a subscribed calendar program gets: `UID`, `DTSTART` and `SUMMARY` of each entry.
async fn entries(function: &Function, calendar: &str) -> Vec<[String; 3]> {
    let mut event = request(&format!("GET {calendar}")).unauthorized().v2();
    event["headers"] = json!({});
    let answer = function.answer(&event).await;
    assert_eq!(
        (&answer["statusCode"], &answer["headers"]["content-type"]),
        (&json!(200), &json!("text/calendar; charset=utf-8"))
    );
    assert!(text(&answer).contains("REFRESH-INTERVAL;VALUE=DURATION:PT6H\r\nX-PUBLISHED-TTL:PT6H\r\n"));
    check_that_other_profiles_are_hidden(&answer, "the calendar");
    let unfolded = text(&answer).replace("\r\n ", "");
    let value = |entry: &str, name: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(name)).expect("a property");
        line.trim_start_matches(':').to_owned()
    };
    let entries = unfolded.split("BEGIN:VEVENT").skip(1);
    entries.map(|entry| ["UID", "DTSTART", "SUMMARY"].map(|name| value(entry, name))).collect()
}

#[tokio::test]
async fn a_subscribed_calendar_follows_the_gallery() {
    let function = world().await.start().await;
    let link = link(&function).await;
    let calendar = calendar(&function, &link).await;
    let before = entries(&function, &calendar).await;
    assert_eq!(before.len(), 2);

    function.ayrshare.gallery(Some(ACME_KEY), &[file("acme.png", 24)]);
    function.answer(&scheduled()).await;
    let after = entries(&function, &calendar).await;
    let [[uid, start, summary]] = after.as_slice() else { panic!("one entry, not {after:?}") };
    let same = before.iter().find(|entry| entry[0] == *uid).expect("the entry has kept its id");
    assert_eq!(summary, "Expires: acme.png (Acme Coffee)");
    assert!(start < &same[1], "{start} is earlier than {}", same[1]);
    function.end().await;
}

#[tokio::test]
async fn a_calendar_token_opens_nothing_else_and_head_never_scans() {
    let before = world().await.start().await;
    let link = link(&before).await;
    let calendar = calendar(&before, &link).await;
    before.end().await;

    let function = world().await.start().await;
    let head = function.answer(&request(&format!("HEAD {calendar}")).unauthorized().v2()).await;
    assert_eq!((&head["statusCode"], text(&head)), (&json!(200), ""));
    assert_eq!(head["headers"]["content-type"], "text/calendar; charset=utf-8");
    assert_eq!(function.ayrshare.requests(Some(ACME_KEY), Call::Media), 0);
    let token = calendar.trim_end_matches(".ics");
    for target in [token.to_owned(), format!("{link}.ics"), format!("{token}/report"), format!("{calendar}/handled")] {
        let answer = get(&function, &target, &[]).await;
        assert_eq!(answer["statusCode"], 404, "{target}: {answer}");
    }
    function.end().await;
}

#[tokio::test]
async fn a_calendar_ends_with_its_own_lifetime() {
    let mut world = world().await;
    world.config["http"]["calendar_ttl"] = "1s".into();
    let function = world.start().await;
    let link = link(&function).await;
    let calendar = calendar(&function, &link).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(get(&function, &calendar, &[]).await["statusCode"], 410);
    assert_eq!(get(&function, &link, &[]).await["statusCode"], 200);
    function.end().await;
}

fn check_that_other_profiles_are_hidden(answer: &Value, asked: &str) {
    for foreign in ["office.png", "Head office", "office-post", "cafe", "Café", "ops-email"] {
        assert!(!answer.to_string().contains(foreign), "{foreign} is shown for {asked}: {answer}");
    }
}

#[tokio::test]
async fn a_changed_link_never_shows_more() {
    let world = world().await;
    world.ayrshare.gallery(Some(CAFE_KEY), &[file("cafe.png", 5)]);
    // The run must read the other profile, whose file this one uses, but must not show it.
    let (office, acme) = (file("office.png", 5), file("acme.png", 48));
    let post = |id, file: &Value| scheduled_post(id, id, &["x"], std::slice::from_ref(&file), in_hours(72));
    world.ayrshare.posts(None, &[post("office-post", &office)]);
    world.ayrshare.posts(Some(ACME_KEY), &[post("acme-post", &acme), post("borrowed", &office)]);
    let function = world.start().await;
    let link = link(&function).await;

    let queries = [
        "?profile=Head%20office",
        "?profile=Acme%20Coffee&profile=Head%20office",
        "?profile=*&profiles=Head%20office&profiles[]=Head+office",
        "?within=100w",
        "?within=0",
        "?format=json",
        "?format=csv",
        "?format=ics&profile=Head%20office",
        "?channel=ops-email&channels=ops-email&action=alert&dry_run=false",
        "?token=x&%70rofile=Head%20office",
        "?&&=&%00=%00&a=b;profile=Head%20office",
    ];
    let suffixes = ["/report", "/../report", "/..%2F..%2Freport", "%2F..%2Freport", ";profile=Head%20office", ".json"];
    // A trailing slash is ignored.
    let targets = queries.iter().map(|query| (format!("{link}{query}"), true));
    let targets = targets.chain([(format!("{link}/?profile=Head%20office"), true)]);
    let targets = targets.chain(suffixes.iter().map(|suffix| (format!("{link}{suffix}?profile=Head%20office"), false)));
    // The targets take turns with the gateways. All combinations would exceed Ayrshare's rate limit.
    for (index, (target, is_link)) in targets.enumerate() {
        for accept in [BROWSER, ["application/json", "text/csv", "text/calendar"][index % 3]] {
            let asked = request(&format!("GET {target}")).accept(accept).unauthorized();
            let answer = function.answer(&[asked.v2(), asked.function_url(), asked.v1()][index % 3]).await;
            check_that_other_profiles_are_hidden(&answer, &target);
            assert_eq!(answer["statusCode"], if is_link { 200 } else { 404 }, "{target}: {answer}");
            assert_eq!(text(&answer).contains("acme.png"), is_link, "{target}");
        }
    }
    // A link accepts no command in the body, and no method that changes anything.
    for method in ["POST", "PUT", "DELETE"] {
        let asked = request(&format!("{method} {link}")).body(r#"{"profiles": ["Head office"]}"#).unauthorized();
        let answer = function.answer(&asked.v2()).await;
        check_that_other_profiles_are_hidden(&answer, method);
        assert_eq!(answer["statusCode"], 405, "{answer}");
    }
    assert_eq!(function.slack.messages().len(), 1, "only the digest with the link was sent");
    function.end().await;
}

#[tokio::test]
async fn the_page_names_what_could_not_be_checked() {
    let before = world().await.start().await;
    let link = link(&before).await;
    before.end().await;
    // A new process, which has no earlier scan to answer from.
    let function = world().await.start().await;
    function.ayrshare.media(Some(ACME_KEY), Reply::json(403, &json!({"status": "error", "code": 31})));
    let answer = get(&function, &link, &[]).await;
    assert_eq!(
        (&answer["statusCode"], &answer["headers"]["cache-control"]),
        (&json!(502), &json!("private, no-store"))
    );
    assert!(text(&answer).contains("Could not be checked") && !text(&answer).contains("All clear"));
    function.end().await;
}

#[tokio::test]
async fn an_invalid_link_gets_a_page_without_details() {
    let function = world().await.start().await;
    let link = link(&function).await;
    let half = &link[..link.len() / 2];
    for target in ["/r/some-token", half, &format!("{link}AAAA"), &format!("{link}/more")] {
        let answer = get(&function, target, &[("accept", BROWSER)]).await;
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["content-type"]),
            (&json!(404), &json!("text/html; charset=utf-8"))
        );
        for name in ["acme", "Acme", "office", "team", "reports.example"] {
            assert!(!text(&answer).contains(name), "{name} is in the answer to {target}");
        }
    }
    function.end().await;
}
