//! The channel email, through Amazon SES.

use std::time::{Duration, Instant};

use media_expiry_alerts::demo::stand_ins::{Mail, Reply, SesStandIn};
use serde_json::{Value, json};

use crate::support::{Function, InvocationDeadline, World, file, scheduled, undated};

/// A world whose only channel is email.
async fn world(files: &[Value]) -> World {
    let mut world = World::with_gallery(files).await;
    world.config["channels"] = json!([]);
    world.add_email();
    world
}

fn mail(function: &Function) -> Mail {
    let mails = function.ses.mails();
    let [mail] = &mails[..] else { panic!("{} mails arrived", mails.len()) };
    mail.clone()
}

/// Sends one alert to a channel that answers like this. Returns the error and the number of mails that were sent.
async fn refused(reply: Reply) -> (String, usize) {
    let world = world(&[file("today.png", 5)]).await;
    world.ses.reply_always(reply);
    let function = world.start().await;
    let (kind, message) = function.error(&scheduled()).await;
    assert_eq!(kind, "RunFailed");
    let attempts = function.ses.attempts();
    function.end().await;
    (message, attempts)
}

#[tokio::test]
async fn a_digest_is_one_mail_to_all_recipients_and_is_recorded() {
    let mut world = world(&[file("today <1>.png", 5), undated("logo.png")]).await;
    world.add_ledger();
    let function = world.start().await;
    let result = function.answer(&scheduled()).await;
    assert_eq!((&result["status"], &result["channels"][0]["outcome"]), (&json!("ok"), &json!("delivered")));
    let mail = mail(&function);
    assert_eq!(mail.from, "\"Media alerts\" <alerts@example.com>");
    assert_eq!(mail.to, ["maria@example.com", "=?UTF-8?B?Wm/Dqw==?= <zoe@example.com>"]);
    assert!(mail.subject.contains("1 expires within 1 day"), "{}", mail.subject);
    assert!(mail.html.contains("today &lt;1&gt;.png") && mail.html.contains("logo.png"), "{}", mail.html);
    assert!(mail.text.contains("today <1>.png") && mail.text.contains("logo.png"), "{}", mail.text);

    let result = function.answer(&scheduled()).await;
    assert_eq!(result["channels"][0]["outcome"], "nothing-due");
    assert_eq!(function.ses.attempts(), 1, "what was confirmed is not sent again");
    function.end().await;
}

#[tokio::test]
async fn a_mail_has_the_time_zone_and_the_note_of_its_channel() {
    let mut world = world(&[file("today.png", 5)]).await;
    world.config["alerts"]["timezone"] = json!("Europe/Berlin");
    world.config["channels"][0]["timezone"] = json!("Asia/Tokyo");
    world.config["channels"][0]["note"] = json!("Runbook: wiki <media>");
    let function = world.start().await;
    function.answer(&scheduled()).await;
    let mail = mail(&function);
    assert!(mail.html.contains(" JST") && mail.text.contains(" JST"), "{}", mail.text);
    assert!(mail.html.contains("Runbook: wiki &lt;media&gt;") && mail.text.contains("Runbook: wiki <media>"));
    function.end().await;
}

#[tokio::test]
async fn a_mail_may_show_no_pictures() {
    let mut world = world(&[file("today.png", 5)]).await;
    world.config["channels"][0]["pictures"] = json!(false);
    let function = world.start().await;
    function.answer(&scheduled()).await;
    assert!(!mail(&function).html.contains("<img"));
    function.end().await;
}

#[tokio::test]
async fn a_large_digest_is_one_mail_that_counts_the_rest() {
    let files: Vec<_> =
        (0..1_500_i64).map(|index| file(&format!("{index} \"<b>&{}.png", "é".repeat(80)), 1 + index % 160)).collect();
    let function = world(&files).await.start().await;
    assert_eq!(function.answer(&scheduled()).await["channels"][0]["announced"], 1_500);
    let mail = mail(&function);
    assert!(mail.html.len() < 90_000 && mail.html.contains("more that there is no room for here"));
    function.end().await;
}

#[tokio::test]
async fn a_test_mail_is_marked_and_a_check_asks_for_the_sender() {
    let function = world(&[file("today.png", 5)]).await.start().await;
    let result = function.answer(&json!({"action": "check"})).await;
    assert_eq!(result["channels"][0]["outcome"], "reachable");
    assert_eq!(function.ses.attempts(), 0);
    assert_eq!(function.answer(&json!({"action": "test"})).await["status"], "ok");
    let mail = mail(&function);
    assert!(mail.subject.starts_with("[TEST]") && mail.html.contains("[TEST]") && mail.text.starts_with("[TEST]"));
    function.end().await;
}

#[tokio::test]
async fn a_check_finds_a_sender_that_is_not_verified() {
    let mut world = world(&[]).await;
    world.config["channels"][0]["from"] = json!("alerts@unverified.example");
    let function = world.start().await;
    let (_, message) = function.error(&json!({"action": "check"})).await;
    assert!(message.contains("clients (alerts@unverified.example is not verified in SES; verify it"), "{message}");
    function.end().await;
}

#[tokio::test]
async fn a_dry_run_returns_the_mail() {
    let function = world(&[file("today.png", 5)]).await.start().await;
    let result = function.answer(&json!({"dry_run": true})).await;
    let payload = &result["channels"][0]["payloads"][0];
    for part in ["subject", "html", "text"] {
        assert!(payload[part].as_str().is_some_and(|text| !text.is_empty()), "{part}");
    }
    assert_eq!(function.ses.attempts(), 0);
    function.end().await;
}

#[tokio::test]
async fn a_busy_ses_is_asked_again_after_the_time_that_it_names() {
    let world = world(&[file("today.png", 5)]).await;
    let busy = SesStandIn::error(429, "TooManyRequestsException", "Too many requests").with_header("retry-after", "1");
    world.ses.reply_first([busy]);
    let function = world.start().await;
    let began = Instant::now();
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    assert!(Duration::from_secs(1) <= began.elapsed());
    assert_eq!((function.ses.attempts(), function.ses.mails().len()), (2, 1));
    function.end().await;
}

#[tokio::test]
async fn permanent_errors_say_what_helps_and_are_not_retried() {
    let unverified =
        "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: ";
    // A message has room for the beginning of a reason, so the advice comes before a long text of SES.
    let unverified = format!("{unverified}{}", "someone@example.com, ".repeat(40));
    for (kind, message, advice) in [
        (
            "MessageRejected",
            unverified.as_str(),
            "verify alerts@example.com in SES; while the account is in the sandbox",
        ),
        ("MailFromDomainNotVerifiedException", "The MAIL FROM domain is not verified", "verify the MAIL FROM domain"),
        ("SendingPausedException", "Sending is paused", "its reputation dashboard says why"),
        ("AccessDeniedException", "User is not authorized", "the role of the function needs `ses:SendEmail`"),
        ("LimitExceededException", "Daily quota exceeded", "a quota of SES is used up"),
    ] {
        let (error, attempts) = refused(SesStandIn::error(400, kind, message)).await;
        assert!(error.contains(&format!("SES answered 400 Bad Request ({kind}); ")), "{error}");
        assert!(error.contains(advice), "{error}");
        assert_eq!(attempts, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_sender_that_is_not_verified_is_refused_by_ses() {
    let mut world = world(&[file("today.png", 5)]).await;
    world.config["channels"][0]["from"] = json!("alerts@unverified.example");
    let function = world.start().await;
    let (_, message) = function.error(&scheduled()).await;
    assert!(message.contains("verify alerts@unverified.example in SES"), "{message}");
    function.end().await;
}

#[tokio::test]
async fn credentials_that_ses_repeats_are_redacted() {
    let world = world(&[file("today.png", 5)]).await;
    let token = world.variables["AWS_SESSION_TOKEN"].clone();
    world.ses.reply_always(SesStandIn::error(403, "AccessDeniedException", &format!("the token {token} has expired")));
    let function = world.start().await;
    let (_, message) = function.error(&scheduled()).await;
    assert!(message.contains("[redacted]"), "{message}");
    // The end of the test fails if a secret is in an answer or in the log.
    function.end().await;
}

#[tokio::test]
async fn a_slow_answer_is_no_reason_to_send_again() {
    let world = world(&[file("today.png", 5)]).await;
    world.ses.reply_always(Reply::text(200, "").after(Duration::from_secs(40)));
    let function = world.start().await;
    let deadline = InvocationDeadline::In(Duration::from_secs(20));
    let outcome = function.invoke_until(&scheduled(), deadline).await;
    let (kind, _) = outcome.expect_error();
    assert_eq!((kind.as_str(), function.ses.attempts()), ("RunFailed", 1));
    function.end().await;
}

#[tokio::test]
async fn the_region_of_a_channel_is_in_the_signature() {
    let mut world = world(&[file("today.png", 5)]).await;
    world.config["channels"][0]["region"] = json!("us-west-2");
    world.ses = SesStandIn::start("us-west-2", &["example.com"]).await.expect("a port");
    world.variables.insert("AWS_ENDPOINT_URL_SESV2".to_owned(), world.ses.origin());
    let function = world.start().await;
    assert_eq!(function.answer(&scheduled()).await["status"], "ok");
    function.end().await;
}

#[tokio::test]
async fn a_link_in_a_mail_opens_the_report() {
    let mut world = world(&[file("today.png", 5)]).await;
    world.config["http"] =
        json!({"report_url": "https://reports.example.com/x", "link_secret": "0123456789abcdef0123456789abcdef"});
    let function = world.start().await;
    function.answer(&scheduled()).await;
    let mail = mail(&function);
    let link = "https://reports.example.com/x/r/";
    assert!(mail.html.contains(&format!("href=\"{link}")) && mail.text.contains(link), "{}", mail.text);
    function.end().await;
}
