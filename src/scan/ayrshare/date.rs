//! Parses the dates in Ayrshare's responses, which have many formats.

use std::borrow::Cow;
use std::fmt;

use jiff::fmt::{rfc2822, temporal::Pieces};
use jiff::{SignedDuration, Timestamp, civil, tz};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A date in a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Date {
    /// A valid date.
    At(Timestamp),
    /// No date: the field is missing, null or empty, or holds a placeholder like `1970-01-01`.
    #[default]
    Absent,
    /// A value that cannot be interpreted as a date. It must never be treated as a missing one.
    Unreadable,
}

/// A date of a file. Most are only compared with another one, so a text is parsed only when it is needed.
#[derive(Clone, Copy, Debug)]
pub enum UnparsedDate<'a> {
    /// The text of the date.
    Text(&'a str),
    /// A date that was parsed.
    Parsed(Date),
}

impl Default for UnparsedDate<'_> {
    fn default() -> Self {
        Self::Parsed(Date::Absent)
    }
}

impl UnparsedDate<'_> {
    /// Parses the date.
    #[must_use]
    pub fn parse(self) -> Date {
        match self {
            Self::Text(text) => Date::parse(text),
            Self::Parsed(date) => date,
        }
    }

    /// Returns whether this date is after `other`, which parses as `at`.
    #[must_use]
    pub fn is_after(self, other: Self, at: Timestamp) -> bool {
        if let (Self::Text(one), Self::Text(other)) = (self, other)
            && is_usual(one)
            && is_usual(other)
            && one <= other
        {
            return false;
        }
        self.parse().moment().is_some_and(|moment| at < moment)
    }
}

/// Returns whether a date has the documented form, in which texts have the order of the dates.
fn is_usual(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000Z";
    let has_form = |(byte, form): (u8, u8)| byte == form || form == b'0' && byte.is_ascii_digit();
    text.len() == FORM.len() && text.bytes().zip(FORM.iter().copied()).all(has_form)
}

/// The fast path: parses a date in the documented form, which nearly every date has.
fn parse_usual(text: &str) -> Option<Timestamp> {
    let text = is_usual(text).then_some(text)?;
    let at = |start: usize, end: usize| {
        text[start..end].bytes().fold(0, |number, digit| number * 10 + i16::from(digit - b'0'))
    };
    let two = |start: usize| i8::try_from(at(start, start + 2)).ok();
    let date = civil::Date::new(at(0, 4), two(5)?, two(8)?).ok()?;
    let time = civil::Time::new(two(11)?, two(14)?, two(17)?, i32::from(at(20, 23)) * 1_000_000).ok()?;
    tz::Offset::UTC.to_timestamp(date.to_datetime(time)).ok()
}

/// Numbers from here on are milliseconds. As seconds, they would be in the year 5138 or later.
const FIRST_IN_MILLISECONDS: f64 = 1e11;
/// The longest text that is parsed. The longest documented form has 31 characters.
const MAX_TEXT_BYTES: usize = 100;
/// 2000-01-01T00:00:00Z. Earlier dates are placeholders, because Ayrshare did not exist.
const FIRST_SECOND: i64 = 946_684_800;

impl Date {
    /// Parses a date in text: RFC 3339 with or without a zone, a date without a time, RFC 2822, or digits. Without a zone,
    /// it is in UTC.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Absent;
        }
        if MAX_TEXT_BYTES < text.len() {
            return Self::Unreadable;
        }
        if let Some(moment) = parse_usual(text).or_else(|| text.parse().ok()) {
            return Self::At(moment).or_placeholder();
        }
        let text = &*without_excess_digits(text);
        if let Ok(moment) = text.parse() {
            return Self::At(moment).or_placeholder();
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map_or(Self::Unreadable, Self::from_number);
        }
        let is_zero = |byte: u8| matches!(byte, b'0' | b'-' | b':' | b'.' | b'/' | b' ' | b'T' | b't' | b'Z' | b'z');
        if text.contains('0') && text.bytes().all(is_zero) {
            return Self::Absent;
        }
        parse_without_zone(text)
            .or_else(|| rfc2822::parse(text).ok().map(|moment| moment.timestamp()))
            .map_or(Self::Unreadable, Self::At)
            .or_placeholder()
    }

    /// Interprets a number as Unix seconds, or as milliseconds if it is too large for seconds.
    fn from_number(number: f64) -> Self {
        let ms = if number.abs() < FIRST_IN_MILLISECONDS { number * 1_000.0 } else { number };
        if !ms.is_finite() || 9.0e15 < ms.abs() {
            return Self::Unreadable;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the number was just bounded")]
        let ms = ms.round() as i64;
        Self::from_duration(SignedDuration::from_millis(ms))
    }

    /// Interprets a time since 1970.
    fn from_duration(since_epoch: SignedDuration) -> Self {
        match Timestamp::from_duration(since_epoch) {
            Ok(moment) => Self::At(moment).or_placeholder(),
            Err(_) if since_epoch.is_negative() => Self::Absent,
            // The last hours of the year 9999 are beyond `Timestamp::MAX`. They are used to mean "never".
            Err(_) if since_epoch.as_secs() <= 253_402_300_799 => Self::At(Timestamp::MAX),
            Err(_) => Self::Unreadable,
        }
    }

    /// Treats a date before the year 2000 as a placeholder for no date.
    fn or_placeholder(self) -> Self {
        match self {
            Self::At(moment) if moment.as_second() < FIRST_SECOND => Self::Absent,
            date => date,
        }
    }

    /// Returns the date if it is valid.
    #[must_use]
    pub fn moment(self) -> Option<Timestamp> {
        match self {
            Self::At(moment) => Some(moment),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

/// Removes the digits of a fraction of a second that are finer than a nanosecond. RFC 3339 allows any number of them.
fn without_excess_digits(text: &str) -> Cow<'_, str> {
    const MAX_DIGITS: usize = 9;
    let Some((whole, fraction)) = text.split_once('.').filter(|(whole, _)| whole.contains(':')) else {
        return text.into();
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= MAX_DIGITS {
        return text.into();
    }
    format!("{whole}.{}{}", &fraction[..MAX_DIGITS], &fraction[digits..]).into()
}

/// Parses a date without a zone as UTC. The last hours of the year 9999 become [`Timestamp::MAX`].
fn parse_without_zone(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    // A zone in brackets is not part of RFC 3339, and ignoring it would be a guess.
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let (date, time) = (pieces.date(), pieces.time());
    let moment = match pieces.offset() {
        None => tz::Offset::UTC.to_timestamp(date.to_datetime(time.unwrap_or_default())).ok(),
        Some(_) => None,
    };
    // The end of the year 9999, which means "never", is beyond `Timestamp::MAX`.
    moment.or_else(|| (date.year() == 9999 && date.month() == 12).then_some(Timestamp::MAX))
}

impl From<Date> for UnparsedDate<'_> {
    fn from(date: Date) -> Self {
        Self::Parsed(date)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        UnparsedDate::deserialize(deserializer).map(UnparsedDate::parse)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for UnparsedDate<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DateVisitor)
    }
}

struct DateVisitor;

impl<'de> Visitor<'de> for DateVisitor {
    type Value = UnparsedDate<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<UnparsedDate<'de>, E> {
        Ok(UnparsedDate::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<UnparsedDate<'de>, E> {
        Ok(Date::parse(text).into())
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds are exact in a float for 285,000 years")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<UnparsedDate<'de>, E> {
        Ok(Date::from_number(number as f64).into())
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds are exact in a float for 285,000 years")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<UnparsedDate<'de>, E> {
        Ok(Date::from_number(number as f64).into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<UnparsedDate<'de>, E> {
        Ok(Date::from_number(number).into())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<UnparsedDate<'de>, E> {
        Ok(Date::Unreadable.into())
    }

    fn visit_unit<E: Error>(self) -> Result<UnparsedDate<'de>, E> {
        Ok(Date::Absent.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UnparsedDate<'de>, A::Error> {
        let mut date = Date::Absent;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            date = Date::Unreadable;
        }
        Ok(date.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UnparsedDate<'de>, A::Error> {
        let mut parts = Parts::default();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "_seconds" | "seconds" => parts.seconds = map.next_value()?,
                "_nanoseconds" | "nanoseconds" => parts.nanoseconds = map.next_value()?,
                "utc" => parts.utc = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    parts.has_others = true;
                }
            }
        }
        Ok(parts.date().into())
    }
}

/// The members of a Firestore timestamp.
#[derive(Default)]
struct Parts {
    seconds: Whole,
    nanoseconds: Whole,
    utc: Date,
    has_others: bool,
}

impl Parts {
    fn date(&self) -> Date {
        let nanoseconds = match self.nanoseconds {
            Whole::Number(number) => i32::try_from(number).ok().filter(|number| (0..1_000_000_000).contains(number)),
            Whole::Absent => Some(0),
            Whole::Unreadable => None,
        };
        let date = match (self.seconds, nanoseconds) {
            (Whole::Number(seconds), Some(nanoseconds)) => {
                Date::from_duration(SignedDuration::new(seconds, nanoseconds))
            }
            (Whole::Absent, Some(0)) if !self.has_others => Date::Absent,
            _ => Date::Unreadable,
        };
        match (date, self.utc) {
            (Date::At(_), _) | (_, Date::Absent) => date,
            (_, utc) => utc,
        }
    }
}

/// A whole number, as a JSON number or as digits in a string.
#[derive(Clone, Copy, Debug, Default)]
enum Whole {
    Number(i64),
    #[default]
    Absent,
    Unreadable,
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Null => Self::Absent,
            serde_json::Value::Number(number) => number.as_i64().map_or(Self::Unreadable, Self::Number),
            serde_json::Value::String(text) if text.trim().is_empty() => Self::Absent,
            serde_json::Value::String(text) => text.trim().parse().map_or(Self::Unreadable, Self::Number),
            _ => Self::Unreadable,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(json: &str) -> Date {
        serde_json::from_str(json).expect("JSON")
    }

    fn at(moment: &str) -> Date {
        Date::At(moment.parse().expect("a time"))
    }

    #[test]
    fn every_documented_format_is_parsed() {
        let noon = at("2026-11-25T12:00:00Z");
        for spelling in [
            r#""2026-11-25T12:00:00Z""#,
            r#""2026-11-25T12:00:00.000Z""#,
            r#"" 2026-11-25t14:00:00+02:00 ""#,
            r#""2026-11-25T12:00:00""#,
            r#""2026-11-25 12:00:00""#,
            r#""Wed, 25 Nov 2026 12:00:00 GMT""#,
            r#""25 Nov 2026 13:00:00 +0100""#,
            "1795608000",
            "1795608000.0",
            "1795608000000",
            r#""1795608000""#,
            r#""1795608000000""#,
            r#"{"_seconds":1795608000,"_nanoseconds":0}"#,
            r#"{"seconds":"1795608000","nanoseconds":"0"}"#,
            r#"{"_seconds":1795608000}"#,
            r#"{"_seconds":1795608000,"_nanoseconds":null,"utc":"2026-11-25T12:00:00Z"}"#,
            r#"{"_seconds":null,"utc":"2026-11-25T12:00:00Z"}"#,
        ] {
            assert_eq!(date(spelling), noon, "{spelling}");
        }
        assert_eq!(date(r#""2026-11-25""#), at("2026-11-25T00:00:00Z"));
        assert_eq!(date(r#"{"seconds":1795608000,"nanoseconds":5000000}"#), at("2026-11-25T12:00:00.005Z"));
        assert_eq!(date("99999999999"), at("5138-11-16T09:46:39Z"));
        assert_eq!(date("100000000000"), Date::Absent, "milliseconds, of 1973");
        assert_eq!(date("946684800"), at("2000-01-01T00:00:00Z"));
    }

    #[test]
    fn an_empty_field_or_a_placeholder_is_absent() {
        for nothing in [
            "null",
            r#""""#,
            r#""  ""#,
            "0",
            "-1",
            "0.0",
            r#""0""#,
            r#""000""#,
            r#""-62135596800""#,
            r#""0000-00-00""#,
            r#""0000-00-00T00:00:00Z""#,
            r#""0000-00-00 00:00:00""#,
            r#""1970-01-01T00:00:00.000Z""#,
            r#""1970-01-01""#,
            r#""0001-01-01T00:00:00Z""#,
            r#""1999-12-31T23:59:59.999Z""#,
            r#""Thu, 01 Jan 1970 00:00:00 GMT""#,
            "-62135596800",
            "-62135596800000",
            "{}",
            "[]",
            r#"{"_seconds":null}"#,
            r#"{"_seconds":null,"_nanoseconds":null}"#,
            r#"{"_seconds":null,"_nanoseconds":0}"#,
            r#"{"seconds":0,"nanoseconds":0}"#,
            r#"{"seconds":"0"}"#,
            r#"{"_seconds":-62135596800,"_nanoseconds":0}"#,
            r#"{"_seconds":0,"utc":null}"#,
        ] {
            assert_eq!(date(nothing), Date::Absent, "{nothing}");
        }
    }

    #[test]
    fn anything_else_is_unreadable_and_not_absent() {
        for odd in [
            r#""soon""#,
            r#""never""#,
            r#""null""#,
            r#""2026-13-01T00:00:00Z""#,
            r#""2026-02-30""#,
            r#""25/11/2026""#,
            r#""12:00:00""#,
            r#""2026-11-25T12:00:00[Europe/Berlin]""#,
            r#""99999999999999999999""#,
            r#""+""#,
            r#""-""#,
            "1e300",
            "9000000000000001",
            "true",
            "false",
            "[1795608000]",
            r#"{"date":"2026-11-25"}"#,
            r#"{"_seconds":"soon"}"#,
            r#"{"_seconds":1795608000,"_nanoseconds":-1}"#,
            r#"{"_seconds":1795608000,"_nanoseconds":"x"}"#,
            r#"{"_seconds":{}}"#,
            r#"{"_seconds":9223372036854775807}"#,
            r#"{"_seconds":null,"utc":"soon"}"#,
        ] {
            assert_eq!(date(odd), Date::Unreadable, "{odd}");
        }
        assert_eq!(Date::parse(&"1".repeat(1_000_000)), Date::Unreadable);
    }

    #[test]
    fn a_fraction_may_have_any_number_of_digits() {
        for text in ["2026-11-23T06:00:00.12345678901234567890Z", "2026-11-23 06:00:00.1234567890123"] {
            let expected = "2026-11-23T06:00:00.123456789Z".parse().expect("a time");
            assert_eq!(Date::parse(text), Date::At(expected), "{text}");
        }
    }

    #[test]
    fn the_end_of_the_year_9999_is_later_than_every_threshold() {
        for never in [
            r#""9999-12-31T23:59:59.999Z""#,
            r#""9999-12-31T23:59:59+00:00""#,
            r#""9999-12-31T23:59:59""#,
            r#""9999-12-31""#,
            "253402300799000",
        ] {
            assert_eq!(date(never), Date::At(Timestamp::MAX), "{never}");
        }
    }

    fn spelling() -> impl Strategy<Value = String> {
        let parts = (2025_i32..2027, 1..13_i32, 1..29_i32, 0..24_i32, 0..60_i32, 0..1_000_i32);
        (parts, 0..6_usize).prop_map(|((year, month, day, hour, second, ms), form)| match form {
            0 => format!("{year}{month:02}{day:02}T{hour:02}0000.00000{ms:03}Z"),
            1 => format!("{year}-{month:02}-{day:02}T{hour:02}:00:{second:02}+14:00"),
            2 => format!("{year}-{month:02}-{day:02}T{hour:02}:00:{second:02}.{ms:03}z"),
            _ => format!("{year}-{month:02}-{day:02}T{hour:02}:00:{second:02}.{ms:03}Z"),
        })
    }

    proptest! {
        #[test]
        fn dates_that_are_compared_as_texts_have_the_order_of_their_moments(one in spelling(), other in spelling()) {
            let [one_date, other_date] = [&one, &other].map(|text| UnparsedDate::Text(text));
            let at = other_date.parse().moment().expect("a date");
            let is_after = one_date.parse().moment().expect("a date") > at;
            prop_assert_eq!(one_date.is_after(other_date, at), is_after);
        }

        #[test]
        fn the_fast_path_gives_the_same_time_as_the_general_parser(
            text in "(19|20|99)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z",
        ) {
            if let Some(moment) = parse_usual(&text) {
                prop_assert_eq!(text.parse().ok(), Some(moment));
            }
        }

        #[test]
        fn the_parser_never_panics(text in "\\PC{0,40}", digits in "-?[0-9]{0,25}") {
            let _ = (Date::parse(&text), Date::parse(&digits));
        }

        #[test]
        fn every_format_gives_the_same_time(second in FIRST_SECOND..99_999_999_999) {
            let moment = Timestamp::from_second(second).expect("a time");
            let expected = Date::At(moment);
            prop_assert_eq!(Date::parse(&moment.to_string()), expected);
            prop_assert_eq!(Date::parse(moment.to_string().trim_end_matches('Z')), expected);
            prop_assert_eq!(date(&second.to_string()), expected);
            prop_assert_eq!(date(&format!("{{\"_seconds\":{second}}}")), expected);
        }
    }
}
