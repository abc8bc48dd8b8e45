//! Dates in Ayrshare's responses, as text and as JSON.

#![no_main]

use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{Timestamp, tz};
use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::scan::ayrshare::fuzzing::{Date, UnparsedDate};

/// Earlier dates are placeholders.
const FIRST_SECOND: i64 = 946_684_800;

fuzz_target!(|data: &[u8]| {
    if let Some((bytes, _)) = data.split_first_chunk::<12>() {
        every_spelling_of_a_moment_is_the_same(bytes);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let date = Date::parse(text);
    check(date);
    // A date is the same as a JSON string.
    let json = serde_json::to_string(text).expect("JSON");
    assert_eq!(serde_json::from_str::<Date>(&json).expect("a date"), date);
    // Whatever jiff parses is that date, unless it is a placeholder.
    if let Ok(moment) = text.trim().parse::<Timestamp>()
        && text.len() <= 100
    {
        assert_eq!(date, expected(moment), "{text}");
    }
    // Any JSON is a date, and the order of two dates does not depend on how they are compared.
    if let Ok(date) = serde_json::from_str::<Date>(text) {
        check(date);
    }
    if let Some((one, other)) = text.split_once('\n') {
        compare(one, other);
    }
});

fn check(date: Date) {
    if let Date::At(moment) = date {
        assert!(FIRST_SECOND <= moment.as_second());
    }
}

fn expected(moment: Timestamp) -> Date {
    if moment.as_second() < FIRST_SECOND { Date::Absent } else { Date::At(moment) }
}

fn every_spelling_of_a_moment_is_the_same(bytes: &[u8; 12]) {
    let [a, b, c, d, e, f, g, h, nanos @ ..] = *bytes;
    let second = i64::from_le_bytes([a, b, c, d, e, f, g, h]) % 253_402_207_201;
    let nanosecond = i32::from_le_bytes(nanos).rem_euclid(1_000_000_000);
    let Ok(moment) = Timestamp::new(second.abs(), nanosecond) else { return };
    let whole = Timestamp::from_second(moment.as_second()).expect("a moment");
    let civil: DateTime = tz::Offset::UTC.to_datetime(moment);
    assert_eq!(Date::parse(&moment.to_string()), expected(moment));
    assert_eq!(Date::parse(&civil.to_string()), expected(moment));
    assert_eq!(Date::parse(&format!("{moment:.9}").replace('Z', "+00:00")), expected(moment));
    if let Ok(text) = DateTimePrinter::new().timestamp_to_string(&moment) {
        assert_eq!(Date::parse(&text), expected(whole), "{text}");
    }
    // As seconds, whatever is below the first number that counts as milliseconds; that number is in the year 5138.
    let number = moment.as_second();
    if number < 100_000_000_000 {
        assert_eq!(Date::parse(&number.to_string()), expected(whole));
    }
    let json = format!(r#"{{"_seconds":{number},"_nanoseconds":{nanosecond}}}"#);
    assert_eq!(serde_json::from_str::<Date>(&json).expect("a date"), expected(moment));
}

fn compare(one: &str, other: &str) {
    let (Ok(one), Ok(other)) =
        (serde_json::from_str::<UnparsedDate<'_>>(one), serde_json::from_str::<UnparsedDate<'_>>(other))
    else {
        return;
    };
    if let Some(at) = other.parse().moment() {
        let is_after = one.parse().moment().is_some_and(|moment| at < moment);
        assert_eq!(one.is_after(other, at), is_after, "{one:?} {other:?}");
    }
}
