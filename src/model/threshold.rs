//! Durations in the notation of the configuration, and thresholds.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Parses a duration like `90m` or `14d`: a whole number above 0 and one of the units s, m, h, d and w.
///
/// A day is always 24 hours.
///
/// # Errors
///
/// Returns an error for any other form, for zero, and for more than 10,000 years.
///
/// # Examples
///
/// ```
/// use media_expiry_alerts::model::threshold::parse_duration;
///
/// assert_eq!(parse_duration("90m").unwrap().as_secs(), 5_400);
/// assert!(parse_duration("banana").is_err());
/// assert!(parse_duration("0d").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(crate::model::text::shorten(&crate::model::text::one_line(text), 40).into_owned());
    let unit = text.chars().next_back().ok_or_else(error)?;
    let unit_s: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return Err(error()),
    };
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_s)).ok_or_else(error)?;
    if seconds == 0 || MAX_S < seconds {
        return Err(error());
    }
    Ok(Duration::from_secs(seconds))
}

/// Ten thousand years. No supported date is further off, and adding this to a time cannot overflow.
const MAX_S: u64 = 10_000 * 366 * 24 * 60 * 60;

/// A text that is not a valid duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` {reason}", reason = Self::REASON)]
pub struct DurationError(String);

impl DurationError {
    /// The error without the text, for texts that may be secrets.
    pub const REASON: &str =
        "is not a duration; write a whole number above 0 and a unit (s, m, h, d or w), like `90m` or `14d`";
}

/// How long before its expiry an item is announced.
///
/// A threshold is shown as the configuration writes it (`7d`, `168h`). Two thresholds of the same length are equal.
#[derive(Clone, Debug)]
pub struct Threshold {
    label: Arc<str>,
    span: Duration,
}

impl Threshold {
    /// Parses a threshold in the notation of [`parse_duration`].
    ///
    /// # Errors
    ///
    /// Returns an error when the text is not a valid duration.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        Ok(Self { span: parse_duration(text)?, label: text.into() })
    }

    /// Returns the length of the threshold.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.span
    }

    /// Returns the threshold as the configuration writes it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns whether an item that expires in `remaining` has entered this threshold: `remaining <= threshold`.
    #[must_use]
    pub fn is_entered(&self, remaining: SignedDuration) -> bool {
        SignedDuration::try_from(self.span).is_ok_and(|span| remaining <= span)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl PartialEq for Threshold {
    fn eq(&self, other: &Self) -> bool {
        self.span == other.span
    }
}

impl Eq for Threshold {}

impl PartialOrd for Threshold {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Threshold {
    fn cmp(&self, other: &Self) -> Ordering {
        self.span.cmp(&other.span)
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.label)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// One or more thresholds of different lengths, shortest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(Vec<Threshold>);

impl Thresholds {
    /// Sorts thresholds and removes duplicates. Returns `None` when there are none.
    #[must_use]
    pub fn new(thresholds: impl IntoIterator<Item = Threshold>) -> Option<Self> {
        let mut thresholds: Vec<_> = thresholds.into_iter().collect();
        thresholds.sort();
        thresholds.dedup();
        (!thresholds.is_empty()).then_some(Self(thresholds))
    }

    /// Returns the shortest threshold that an item which expires in `remaining` has entered.
    #[must_use]
    pub fn entered(&self, remaining: SignedDuration) -> Option<&Threshold> {
        self.0.iter().find(|threshold| threshold.is_entered(remaining))
    }

    /// Returns how long the longest threshold is.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, Threshold::span)
    }

    /// Iterates over the thresholds, shortest first.
    pub fn iter(&self) -> impl Iterator<Item = &Threshold> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_duration_accepts_a_number_above_0_and_a_unit() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse_duration(text).ok().map(|duration| duration.as_secs()), expected, "{text}");
        };
        check("1s", Some(1));
        check("90m", Some(5_400));
        check("72h", Some(259_200));
        check("14d", Some(1_209_600));
        check("2w", Some(1_209_600));
        check("36500d", Some(3_153_600_000));
        check("3660000d", Some(316_224_000_000));
        check("3660001d", None);
        for wrong in
            ["", "d", "0d", "-1d", "+1d", "1.5d", "1 d", " 1d", "1d ", "7D", "1d2h", "banana", "7", "१d", "1日"]
        {
            check(wrong, None);
        }
        check("99999999999999999999d", None);
        check("9999999999999w", None);
    }

    #[test]
    fn the_shortest_threshold_entered_is_exact_to_the_millisecond() {
        let thresholds = Thresholds::new(["7d", "1d", "3d"].map(|text| Threshold::parse(text).expect("a duration")))
            .expect("three thresholds");
        let day_ms = 86_400_000;
        let check = |remaining_ms: i64, expected: Option<&str>| {
            let remaining = SignedDuration::from_millis(remaining_ms);
            assert_eq!(thresholds.entered(remaining).map(Threshold::label), expected, "{remaining_ms} ms");
        };
        check(7 * day_ms + 1, None);
        check(7 * day_ms, Some("7d"));
        check(3 * day_ms + 1, Some("7d"));
        check(3 * day_ms, Some("3d"));
        check(day_ms, Some("1d"));
        check(0, Some("1d"));
    }
}
