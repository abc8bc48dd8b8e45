//! The value of `Retry-After`: seconds or an HTTP date.

#![no_main]

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::net::retry_after;

fuzz_target!(|data: &[u8]| {
    let now: Timestamp = "2026-11-23T06:00:00Z".parse().expect("a time");
    if let Some((seconds, _)) = data.split_first_chunk::<4>() {
        let seconds = u64::from(u32::from_le_bytes(*seconds));
        let expected = Some(Duration::from_secs(seconds));
        assert_eq!(retry_after(&format!(" {seconds} "), now), expected);
        let later = now + SignedDuration::try_from_secs_f64(seconds as f64).expect("a duration");
        let printer = DateTimePrinter::new();
        assert_eq!(retry_after(&printer.timestamp_to_rfc9110_string(&later).expect("a date"), now), expected);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let wait = retry_after(text, now);
    let is_number = !text.trim().is_empty() && text.trim().bytes().all(|byte| byte.is_ascii_digit());
    match wait {
        Some(wait) if is_number => assert_eq!(wait.as_secs(), text.trim().parse().unwrap_or(u64::MAX)),
        Some(wait) => assert!(wait <= Timestamp::MAX.duration_since(now).unsigned_abs()),
        None => assert!(!is_number),
    }
});
