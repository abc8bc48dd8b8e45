//! Keeps secrets out of what is said: outside text may repeat a key or a webhook URL that it was sent.

use std::fmt;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::model::text::{byte_prefix, one_line, shorten};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Bytes of outside text that are looked at for a quotation: far more than is quoted, so that a secret that is cut in
/// half at its end is not within the quotation.
const MAX_BYTES: usize = 16 * 1024;

/// Knows every secret of a configuration, and takes them out of text.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
    /// Finds all of them at once; made when something is redacted for the first time.
    finder: OnceLock<Option<AhoCorasick>>,
}

impl Redactor {
    /// Takes the secrets; those too short to be one are passed over, or every other word would be.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| 4 <= secret.len()).collect();
        secrets.sort();
        secrets.dedup();
        Self { secrets, finder: OnceLock::new() }
    }

    /// Takes out the secrets of `other` as well.
    pub fn add(&mut self, other: &Self) {
        *self = Self::new(self.secrets.iter().chain(&other.secrets).cloned());
    }

    /// `text` with every secret replaced by `[redacted]`, the longest where one is a part of another. Text in which the
    /// secrets cannot be looked for is not shown at all.
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

    /// Outside text for a message: one line without a secret, of at most `most` characters.
    #[must_use]
    pub fn quote(&self, outside: &str, most: usize) -> String {
        shorten(&self.redact(&one_line(byte_prefix(outside, MAX_BYTES))), most).into_owned()
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
    fn secrets_are_taken_out_the_longest_first() {
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
    fn no_cut_leaves_a_part_of_a_secret() {
        let redactor = Redactor::new(["7TVRLEZ-24A43C0".to_owned()]);
        for before in 0..60 {
            let quote = redactor.quote(&format!("{}7TVRLEZ-24A43C0", "x".repeat(before)), 40);
            assert!(!quote.contains("7TV"), "{quote}");
        }
    }
}
