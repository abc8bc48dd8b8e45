//! The configuration: a document in TOML or JSON.
//!
//! Values that contain the marker stand for secrets. No error may repeat one.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use media_expiry_alerts::config::fuzzing;
use media_expiry_alerts_fuzz::config;
use serde_json::Value;

const MARKER: &str = "hunter2";

fuzz_target!(|text: &str| -> Corpus {
    let Some(parsed) = config::parse(text) else { return Corpus::Reject };
    match parsed {
        Ok(config) => {
            assert!(!config.channels.is_empty());
            assert!(!config.profiles.is_empty() || config.profiles_from.is_some());
            // What is shown of a configuration contains no secret of it.
            let redacted = config.redactor().redact("Ayrshare answered 401: hunter2");
            assert!(redacted.starts_with("Ayrshare"), "{redacted}");
        }
        Err(invalid) => {
            assert!(!invalid.faults.is_empty());
            // A key is named, and so is the target of a reference.
            let is_named = fuzzing::document(text).is_ok_and(|document| is_key_or_reference(&document));
            for fault in &invalid.faults {
                let fault = fault.to_string();
                assert!(is_named || !fault.contains(MARKER), "an error repeats a value: {fault}");
                assert!(!fault.contains('\n'), "more than one line: {fault:?}");
            }
        }
    }
    Corpus::Keep
});

/// Whether the marker is in a key, or in a reference.
fn is_key_or_reference(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("env:") && text.contains(MARKER),
        Value::Array(values) => values.iter().any(is_key_or_reference),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains(MARKER) || is_key_or_reference(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
