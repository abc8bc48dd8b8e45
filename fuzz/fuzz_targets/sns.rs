//! SNS messages as text and as JSON, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::channel::sns::{self, Publication};
use media_expiry_alerts::config::SnsFormat;
use media_expiry_alerts_fuzz::survey::Found;
use media_expiry_alerts_fuzz::text::check_plain_text;
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// The largest message with its attributes.
const MAX_BYTES: usize = 262_144;
/// SNS accepts shorter subjects only.
const TOO_LONG_SUBJECT: usize = 100;
/// With more, SNS drops messages that are delivered raw to a queue.
const MAX_ATTRIBUTES: usize = 10;

fuzz_target!(|found: Found| {
    let format = if found.digest.handled == 1 { SnsFormat::Json } else { SnsFormat::Text };
    let message = found.with_json(|digest, json| sns::render(digest, format, json));
    assert_eq!(message.entries, found.digest.entries.len());
    let publication = Publication::deserialize(&message.body).expect("a publication");
    check(&publication);
    if format == SnsFormat::Json {
        let result: Map<String, Value> = serde_json::from_str(&publication.message).expect("JSON");
        let items = result["items"].as_array().expect("items").len();
        let left_out = result.get("items_left_out").and_then(Value::as_u64).unwrap_or_default();
        assert_eq!(items as u64 + left_out, found.survey().items.len() as u64);
    } else {
        check_plain_text(&publication.message);
    }
});

fn check(publication: &Publication) {
    let Publication { subject, message, attributes } = publication;
    let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
    assert!(!subject.starts_with(' ') && subject.bytes().all(is_printable), "{subject:?}");
    assert!((1..TOO_LONG_SUBJECT).contains(&subject.len()), "{subject:?}");
    assert!(!message.is_empty());
    assert!(attributes.len() <= MAX_ATTRIBUTES);
    let mut bytes = message.len();
    for (name, attribute) in attributes {
        assert!(!attribute.string_value.is_empty(), "{name}");
        match attribute.data_type.as_str() {
            "String" => {}
            "String.Array" => assert!(serde_json::from_str::<Vec<String>>(&attribute.string_value).is_ok(), "{name}"),
            "Number" => assert!(attribute.string_value.parse::<u64>().is_ok(), "{name}"),
            other => panic!("{name} has the type {other}"),
        }
        bytes += name.len() + attribute.data_type.len() + attribute.string_value.len();
    }
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
}
