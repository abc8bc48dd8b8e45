//! The page, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::report::html::{self, content_security_policy};
use media_expiry_alerts::report::{Format, Question, Report};
use media_expiry_alerts_fuzz::markup;
use media_expiry_alerts_fuzz::survey::Found;

fuzz_target!(|found: Found| {
    let digest = &found.digest;
    let is_signed = digest.report_link.is_some();
    let question = Question {
        horizon: digest.horizon.clone(),
        within: None,
        profiles: if digest.handled == 2 { vec![digest.profiles[0].to_string()] } else { Vec::new() },
        zone: digest.zone.clone(),
        is_signed,
        calendar: None,
        mark_action: is_signed.then(|| "token/handled".to_owned()),
        copies: is_signed.then(|| "token/copies".to_owned()),
    };
    let survey = found.survey();
    // Shortening a report takes several times as long as rendering it.
    let (body, needs) = if digest.handled == 1 {
        let rendered = found.result.report(Format::Html, &question, 100_000, str::len);
        let all = survey.items.len() + survey.posts_at_risk.len() + survey.failed().len();
        assert!(rendered.left_out <= all);
        assert!(rendered.body.len() <= 100_000 || rendered.left_out == all, "{} bytes", rendered.body.len());
        (rendered.body, rendered.needs)
    } else {
        html::render(&Report::new(survey, None), &question)
    };
    markup::check(&body);

    let policy = content_security_policy(&needs);
    assert!(policy.is_ascii() && !policy.contains(char::is_control));
    let pictures = policy.split("; ").find_map(|directive| directive.strip_prefix("img-src ")).expect("a directive");
    for source in pictures.split(' ').filter(|source| !matches!(*source, "'none'" | "https:")) {
        let host = source.strip_prefix("https://").expect("https");
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        assert!(host.bytes().all(is_host_byte), "{source}");
    }
});
