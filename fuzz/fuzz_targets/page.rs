//! The page, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::report::html::content_security_policy;
use media_expiry_alerts::report::{Format, Question};
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
    // A page without any file has about 50 KB.
    let max_bytes = if digest.handled == 1 { 100_000 } else { 5_000_000 };
    let rendered = found.result.report(Format::Html, &question, max_bytes, str::len);
    markup::check(&rendered.body);
    assert!(rendered.body.len() <= max_bytes || digest.handled == 1, "{} bytes", rendered.body.len());
    let survey = found.survey();
    assert!(rendered.left_out <= survey.items.len() + survey.posts_at_risk.len() + survey.failed().len());
    if max_bytes == 5_000_000 {
        assert_eq!(rendered.left_out, 0);
    }

    let policy = content_security_policy(&rendered.needs);
    assert!(policy.is_ascii() && !policy.contains(char::is_control));
    let pictures = policy.split("; ").find_map(|directive| directive.strip_prefix("img-src ")).expect("a directive");
    for source in pictures.split(' ').filter(|source| !matches!(*source, "'none'" | "https:")) {
        let host = source.strip_prefix("https://").expect("https");
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        assert!(host.bytes().all(is_host_byte), "{source}");
    }
});
