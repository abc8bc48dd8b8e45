//! Formats times, counts and outside text for people.
//!
//! Every function here is pure. The caller computes how far off a moment is, so nothing here reads a clock.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use icu_normalizer::ComposingNormalizerBorrowed;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;

/// Formats how far off a moment is: `in 2 days`, `in 45 minutes`, `3 hours ago`.
///
/// The number is rounded down, so that the text never promises more time than is left. Before that, the time is rounded
/// to the nearest minute, or to the nearest hour from two days on: 47 hours, 59 minutes and 58 seconds are `in 2 days`.
#[must_use]
pub fn distance(remaining: SignedDuration) -> String {
    let past = remaining.is_negative();
    let seconds = i64::try_from(remaining.unsigned_abs().as_secs()).unwrap_or(i64::MAX);
    let precision_s = if seconds < 2 * DAY_S { MINUTE_S } else { HOUR_S };
    let seconds = seconds.saturating_add(precision_s / 2) / precision_s * precision_s;
    let amount = if seconds < MINUTE_S {
        "less than a minute".to_owned()
    } else if seconds < 2 * HOUR_S {
        count(seconds / MINUTE_S, "minute")
    } else if seconds < 2 * DAY_S {
        count(seconds / HOUR_S, "hour")
    } else {
        count(seconds / DAY_S, "day")
    };
    if past { format!("{amount} ago") } else { format!("in {amount}") }
}

/// Formats a duration in the largest unit of which it is a whole multiple: `3 days`, `36 hours`, `90 minutes`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    for (unit_s, name) in [(DAY_S, "day"), (HOUR_S, "hour"), (MINUTE_S, "minute")] {
        if seconds % unit_s == 0 {
            return count(seconds / unit_s, name);
        }
    }
    count(seconds, "second")
}

/// Formats a moment exactly, in UTC: `2026-11-25 06:00 UTC`, with seconds unless they are zero.
#[must_use]
pub fn utc(moment: Timestamp) -> String {
    let format =
        if moment.as_second().rem_euclid(MINUTE_S) == 0 { "%Y-%m-%d %H:%M UTC" } else { "%Y-%m-%d %H:%M:%S UTC" };
    moment.strftime(format).to_string()
}

/// Formats a number and a noun: `1 file`, `1,204 files`.
///
/// Pass the noun in the singular. Its plural must end in `s`.
#[must_use]
pub fn count<N: TryInto<i64>>(number: N, noun: &str) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// Formats a count with commas: `1,234`.
#[must_use]
pub fn number(count: usize) -> String {
    thousands(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Formats a number with a comma between the thousands: `1,204`.
#[must_use]
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Joins names for a sentence: `A`, `A and B`, `A, B and C`.
///
/// When there are more than `max` names, the last place holds the number of those left out: `A, B and 7 more`.
#[must_use]
pub fn list<S: AsRef<str>>(names: &[S], max: usize) -> String {
    let shown = if names.len() <= max { names.len() } else { max.saturating_sub(1) };
    let mut parts: Vec<Cow<'_, str>> = names[..shown].iter().map(|name| Cow::Borrowed(name.as_ref())).collect();
    if shown < names.len() {
        parts.push(format!("{} more", names.len() - shown).into());
    }
    match parts.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Composes characters as Unicode NFC does. An accent may be a character of its own, as in the file names of macOS, and
/// looks no different.
#[must_use]
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) }
}

/// Makes outside text safe to show on one line.
///
/// Each run of white space, line breaks included, becomes one space. Control characters, marks that change the writing
/// direction and zero-width characters are removed, because they could change how the text around them looks.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_whitespace() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !is_invisible(character) {
            line.push(character);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Removes the same characters as [`one_line`], but leaves spaces and tabs as they are.
///
/// Carriage returns and line feeds are control characters, so they are removed too.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars().filter(|character| *character == '\t' || !is_invisible(*character)).collect()
}

fn is_invisible(character: char) -> bool {
    // U+200D stays, because it joins several emoji into one picture.
    character.is_control()
        || matches!(character, '\u{061C}' | '\u{200B}' | '\u{200C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// Returns the length of `text` in UTF-16 code units.
///
/// Services count characters differently. No common way counts more than this one, so a text within a limit by this
/// count is within it for every service.
#[must_use]
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Shortens `text` to at most `max` UTF-16 code units.
///
/// A text that is cut ends in `…`, which counts towards `max`. No character is split.
#[must_use]
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    if units(text) <= max {
        return Cow::Borrowed(text);
    }
    let mut room = max.saturating_sub(1);
    let mut end = 0;
    for (index, character) in text.char_indices() {
        let Some(left) = room.checked_sub(character.len_utf16()) else { break };
        room = left;
        end = index + character.len_utf8();
    }
    Cow::Owned(format!("{}…", text[..end].trim_end()))
}

/// Returns the longest prefix of `text` that has at most `max` bytes and does not split a character.
#[must_use]
pub fn byte_prefix(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The value as JSON. The types of this crate can always be written as JSON.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The value as JSON, unless that is longer than `max_bytes`: no more than that is ever held.
pub fn json_within(value: &impl Serialize, max_bytes: usize) -> Option<String> {
    let mut bounded = Bounded { bytes: Vec::new(), max_bytes };
    serde_json::to_writer(&mut bounded, value).ok()?;
    String::from_utf8(bounded.bytes).ok()
}

/// A writer that fails before it holds more than `max_bytes`.
struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.max_bytes < self.bytes.len() + bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_uses_the_unit_that_people_would_use() {
        let check = |seconds: i64, expected: &str| {
            assert_eq!(distance(SignedDuration::from_secs(seconds)), expected, "{seconds} s");
        };
        check(0, "in less than a minute");
        check(29, "in less than a minute");
        check(60, "in 1 minute");
        check(119 * 60, "in 119 minutes");
        check(2 * HOUR_S, "in 2 hours");
        check(3 * HOUR_S - 60, "in 2 hours");
        check(2 * DAY_S - 1, "in 2 days");
        check(2 * DAY_S - 60, "in 47 hours");
        check(7 * DAY_S - 5, "in 7 days");
        check(3 * DAY_S - 2 * HOUR_S, "in 2 days");
        check(-3 * HOUR_S, "3 hours ago");
        check(i64::MAX, "in 106751991167300 days".replace("106751991167300", "106,751,991,167,300").as_str());
    }

    #[test]
    fn duration_uses_the_largest_whole_unit() {
        assert_eq!(duration(Duration::from_hours(24)), "1 day");
        assert_eq!(duration(Duration::from_hours(14 * 24)), "14 days");
        assert_eq!(duration(Duration::from_hours(36)), "36 hours");
        assert_eq!(duration(Duration::from_mins(90)), "90 minutes");
        assert_eq!(duration(Duration::from_secs(61)), "61 seconds");
    }

    #[test]
    fn utc_is_exact_to_the_second() {
        assert_eq!(utc("2026-11-25T06:00:00Z".parse().expect("a time")), "2026-11-25 06:00 UTC");
        assert_eq!(utc("2025-09-05T22:00:48.000Z".parse().expect("a time")), "2025-09-05 22:00:48 UTC");
    }

    #[test]
    fn list_counts_the_names_left_out() {
        assert_eq!(list(&["A", "B", "C"], 3), "A, B and C");
        assert_eq!(list(&["A", "B", "C", "D"], 3), "A, B and 2 more");
        assert_eq!(list::<&str>(&[], 3), "");
    }

    #[test]
    fn outside_text_stays_on_its_line_without_invisible_characters() {
        assert_eq!(one_line("  a\r\n\tb\u{202E}c\u{0007} \u{FEFF} "), "a bc");
        assert_eq!(one_line("夏の 📸"), "夏の 📸");
        assert_eq!(one_line("a\u{061C}b"), "ab");
        assert_eq!(visible("a\u{061C}\tb"), "a\tb");
    }

    #[test]
    fn shorten_counts_the_ellipsis_and_never_splits_a_character() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abcde…");
        assert_eq!(shorten("📸📸📸", 5), "📸📸…");
        assert_eq!(shorten("abc", 0), "…");
        assert_eq!(byte_prefix("aé", 2), "a");
    }

    #[test]
    fn only_a_number_below_zero_has_a_sign() {
        assert_eq!([0, -1_204].map(thousands), ["0", "-1,204"]);
    }

    #[test]
    fn json_within_a_limit_is_complete_or_nothing() {
        assert_eq!(json_within(&"abc", 5).as_deref(), Some(r#""abc""#));
        assert_eq!(json_within(&"abc", 4), None);
    }
}
