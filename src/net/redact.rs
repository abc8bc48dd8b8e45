//! Removes secrets from text.
//!
//! An error text of a service may repeat the key or the webhook URL that the request contained.

use std::fmt;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::model::text::{byte_prefix, one_line, shorten};

/// The text that replaces a secret.
const REDACTED: &str = "[redacted]";
/// How many bytes of an outside text [`Redactor::quote`] reads.
///
/// A secret that this limit cuts in two is not recognized. So the limit is far above the length of any quotation, which
/// then ends before that secret.
const MAX_QUOTE_INPUT_BYTES: usize = 16 * 1024;

/// Removes the secrets of a configuration from text.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
    /// Finds all secrets in one pass. It is built when it is first needed.
    finder: OnceLock<Option<AhoCorasick>>,
}

impl Redactor {
    /// Creates a redactor for these secrets.
    ///
    /// Secrets of fewer than 4 bytes are ignored, because removing them would remove parts of ordinary words.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| 4 <= secret.len()).collect();
        secrets.sort();
        secrets.dedup();
        Self { secrets, finder: OnceLock::new() }
    }

    /// Adds the secrets of `other` to this redactor.
    pub fn add(&mut self, other: &Self) {
        *self = Self::new(self.secrets.iter().chain(&other.secrets).cloned());
    }

    /// Replaces every secret in `text` with `[redacted]`. Where one secret contains another, the longer one is replaced.
    ///
    /// If the search for the secrets cannot be set up, the whole text is replaced.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let finder = self
            .finder
            .get_or_init(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&self.secrets).ok());
        let Some(finder) = finder else { return REDACTED.to_owned() };
        let mut redacted = String::with_capacity(text.len());
        finder.replace_all_with(text, &mut redacted, |_, _, redacted| {
            redacted.push_str(REDACTED);
            true
        });
        redacted
    }

    /// Prepares outside text for a message: one line without secrets, of at most `max` UTF-16 code units.
    #[must_use]
    pub fn quote(&self, outside: &str, max: usize) -> String {
        shorten(&self.redact(&one_line(byte_prefix(outside, MAX_QUOTE_INPUT_BYTES))), max).into_owned()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redact_replaces_the_longest_secret() {
        let redactor = Redactor::new(["abcd".into(), "abcd-efgh".into(), "xy".into(), String::new()]);
        assert_eq!(redactor.redact("abcd-efgh abcd xy"), "[redacted] [redacted] xy");
        assert_eq!(format!("{redactor:?}"), "Redactor(2 secrets)");
        assert_eq!(Redactor::default().redact("abcd"), "abcd");

        let mut both = Redactor::new(["ijkl".into(), "abcd".into()]);
        both.add(&redactor);
        assert_eq!(both.redact("abcd-efgh abcd ijkl"), "[redacted] [redacted] [redacted]");
        assert_eq!(format!("{both:?}"), "Redactor(3 secrets)");
    }

    #[test]
    fn quote_never_leaves_a_part_of_a_secret() {
        let redactor = Redactor::new(["7TVRLEZ-24A43C0".to_owned()]);
        for before in 0..60 {
            let quote = redactor.quote(&format!("{}7TVRLEZ-24A43C0", "x".repeat(before)), 40);
            assert!(!quote.contains("7TV"), "{quote}");
        }
    }
}
