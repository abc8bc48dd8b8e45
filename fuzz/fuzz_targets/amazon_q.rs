//! Notifications for Amazon Q Developer, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::channel::amazon_q;
use media_expiry_alerts::model::text::units;
use media_expiry_alerts_fuzz::survey::Found;
use serde_json::Value;

/// Chat applications show about this much of one message.
const MAX_DESCRIPTION: usize = 3_000;
/// What is left of an SNS message with its attributes.
const MAX_BYTES: usize = 190_000;

fuzz_target!(|found: Found| {
    let (body, _) = found.with_json(amazon_q::render);
    assert!(body.len() <= MAX_BYTES, "{} bytes", body.len());
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&body["version"], &body["source"]), (&"1.0".into(), &"custom".into()));
    let content = &body["content"];
    for required in [&body["id"], &content["title"], &content["description"], &body["metadata"]["threadId"]] {
        assert!(required.as_str().is_some_and(|text| !text.trim().is_empty()), "{body:#}");
    }
    let description = content["description"].as_str().expect("a text");
    assert!(units(description) <= MAX_DESCRIPTION, "{} characters", units(description));
    for list in [&content["nextSteps"], &content["keywords"]] {
        assert!(list.as_array().expect("a list").iter().all(|text| text.as_str().is_some_and(|text| !text.is_empty())));
    }
    let context = body["metadata"]["additionalContext"].as_object().expect("an object");
    assert!(context.values().all(Value::is_string));
    escaped(description);
    content["keywords"].as_array().into_iter().flatten().filter_map(Value::as_str).for_each(escaped);
});

/// No text begins a mention: what is not Markdown is an entity.
fn escaped(text: &str) {
    assert!(!text.contains(['<', '>']), "{text}");
    for (index, _) in text.match_indices('&') {
        let entity = &text[index..];
        assert!(["&amp;", "&lt;", "&gt;"].iter().any(|known| entity.starts_with(known)), "{text}");
    }
}
