//! Keeps secrets out of what is said: outside text may repeat a key or a webhook URL that it was sent.

use std::fmt;

/// Knows every secret of a configuration, and takes them out of text.
#[derive(Clone, Default)]
pub struct Redactor(Vec<String>);

impl Redactor {
    /// Takes the secrets; those too short to be one are passed over, or every other word would be.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| 4 <= secret.len()).collect();
        // The longest first: one secret may be a part of another.
        secrets.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        secrets.dedup();
        Self(secrets)
    }

    /// Takes out the secrets of `other` as well.
    pub fn add(&mut self, other: &Self) {
        *self = Self::new(self.0.iter().chain(&other.0).cloned());
    }

    /// `text` with every secret replaced by `[redacted]`.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.0.len())
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

        let mut both = Redactor::new(["ijkl".into(), "abcd".into()]);
        both.add(&redactor);
        assert_eq!(both.redact("abcd-efgh abcd ijkl"), "[redacted] [redacted] [redacted]");
        assert_eq!(format!("{both:?}"), "Redactor(3 secrets)");
    }
}
