//! Removes secrets from text.
//!
//! An error text of a service may repeat the key or the webhook URL that the request contained, also encoded, escaped, or
//! broken into lines. So secrets and text are compared in a normal form, which [`Normalized`] defines. Base64 and
//! hexadecimal are no character encodings, so they are additional patterns: base64 in its three alignments.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::model::text::{byte_prefix, one_line, shorten};

/// The text that replaces a secret.
const REDACTED: &str = "[redacted]";
/// How many bytes of an outside text [`Redactor::quote`] reads.
///
/// A secret that this limit cuts in two is not recognized. So the limit is far above the length of any quotation, which
/// then ends before that secret.
const MAX_QUOTE_INPUT_BYTES: usize = 16 * 1024;
/// The minimum length of a secret in its normal form, in bytes. Removing shorter ones would remove parts of ordinary words.
const MIN_SECRET_BYTES: usize = 4;
/// The minimum length of a base64 pattern, for the same reason.
const MIN_BASE64_BYTES: usize = 8;

/// Removes the secrets of a configuration from text. Clones share their secrets.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Secrets>>);

#[derive(Default)]
struct Secrets {
    secrets: BTreeSet<String>,
    /// What to search for, sorted. It is built when it is first needed.
    patterns: OnceLock<Vec<Box<[u8]>>>,
}

impl Redactor {
    /// Creates a redactor for these secrets.
    ///
    /// Secrets of fewer than 4 bytes are ignored, because removing them would remove parts of ordinary words.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let redactor = Self::default();
        redactor.learn(secrets);
        redactor
    }

    /// Adds secrets to this redactor and all its clones.
    pub fn learn(&self, secrets: impl IntoIterator<Item = String>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.secrets.len();
        known.secrets.extend(secrets.into_iter().filter(|secret| MIN_SECRET_BYTES <= secret.len()));
        if before < known.secrets.len() {
            known.patterns = OnceLock::new();
        }
    }

    /// Adds the secrets of `other` to this redactor and all its clones.
    pub fn add(&self, other: &Self) {
        let others = other.0.read().unwrap_or_else(PoisonError::into_inner).secrets.clone();
        self.learn(others);
    }

    /// Replaces every secret in `text` with `[redacted]`. Where one secret contains another, the longer one is replaced.
    ///
    /// Recognizes a secret in any of these forms, and in some combinations of them: in other letter case, without its
    /// dashes, with white space in it, percent-encoded, escaped as JSON or HTML, in hexadecimal, and as a part of base64.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let patterns = known.patterns.get_or_init(|| patterns(&known.secrets));
        let text = text.as_bytes();
        let normalized = Normalized::of(text);
        let (mut redacted, mut copied, mut index) = (Vec::with_capacity(text.len()), 0, 0);
        while index < normalized.bytes.len() {
            let length = longest_match(patterns, &normalized.bytes[index..]);
            if 0 < length {
                let (first, last) = (&normalized.sources[index], &normalized.sources[index + length - 1]);
                redacted.extend_from_slice(&text[copied..first.start]);
                redacted.extend_from_slice(REDACTED.as_bytes());
                copied = last.end;
            }
            index += length.max(1);
        }
        redacted.extend_from_slice(&text[copied..]);
        // Secrets start and end at characters, so this replaces nothing.
        String::from_utf8_lossy(&redacted).into_owned()
    }

    /// Prepares outside text for a message: one line without secrets, of at most `max` UTF-16 code units.
    #[must_use]
    pub fn quote(&self, outside: &str, max: usize) -> String {
        shorten(&self.redact(&one_line(byte_prefix(outside, MAX_QUOTE_INPUT_BYTES))), max).into_owned()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Redactor({} secrets)", known.secrets.len())
    }
}

/// Returns the normal forms of the secrets and of their base64, sorted.
fn patterns(secrets: &BTreeSet<String>) -> Vec<Box<[u8]>> {
    let mut patterns = Vec::new();
    for secret in secrets {
        patterns.push((MIN_SECRET_BYTES, Normalized::of(secret.as_bytes())));
        patterns.push((MIN_BASE64_BYTES, Normalized::of(hex::encode(secret).as_bytes())));
        for offset in 0..3 {
            let encoded = STANDARD_NO_PAD.encode([&[0; 2][..offset], secret.as_bytes()].concat());
            // The first and the last character may also encode bits of what stands before and after the secret.
            let complete = (8 * offset).div_ceil(6)..8 * (offset + secret.len()) / 6;
            let encoded = encoded.get(complete).unwrap_or_default();
            patterns.push((MIN_BASE64_BYTES, Normalized::of(encoded.as_bytes())));
        }
    }
    let mut patterns: Vec<_> = patterns
        .into_iter()
        .filter(|(min_bytes, pattern)| *min_bytes <= pattern.bytes.len())
        .map(|(_, pattern)| pattern.bytes.into_boxed_slice())
        .collect();
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

/// Returns the length of the longest pattern that `text` starts with, or 0.
fn longest_match(patterns: &[Box<[u8]>], text: &[u8]) -> usize {
    let Some(start) = text.get(..MIN_SECRET_BYTES) else { return 0 };
    let first = patterns.partition_point(|pattern| &pattern[..MIN_SECRET_BYTES] < start);
    let candidates = patterns[first..].iter().take_while(|pattern| pattern.starts_with(start));
    candidates.filter(|pattern| text.starts_with(pattern)).map(|pattern| pattern.len()).max().unwrap_or(0)
}

/// A text in a form that is the same for all spellings of a secret.
///
/// Percent-encoding, `\uXXXX` and the entities of HTML are decoded. White space, `-`, `+`, and backslashes with the letter
/// of an escaped white space are left out, and `_` becomes `/`, which also makes both alphabets of base64 equal. Letters of
/// ASCII become lower-case.
#[derive(Default)]
struct Normalized {
    bytes: Vec<u8>,
    /// For each byte, the part of the text that it stands for.
    sources: Vec<Range<usize>>,
}

impl Normalized {
    fn of(text: &[u8]) -> Self {
        let mut normalized = Self::default();
        let mut index = 0;
        while index < text.len() {
            let (byte, length) = decoded(&text[index..]).unwrap_or((text[index], 1));
            let source = index..index + length;
            index = source.end;
            let byte = match byte.to_ascii_lowercase() {
                b'-' | b'+' | b'\\' => continue,
                byte if byte.is_ascii_whitespace() => continue,
                b'_' => b'/',
                byte => byte,
            };
            normalized.bytes.push(byte);
            normalized.sources.push(source);
        }
        normalized
    }
}

/// Decodes the escape sequence that `text` starts with. Returns its value and its length.
fn decoded(text: &[u8]) -> Option<(u8, usize)> {
    const ENTITIES: [(&[u8], u8); 5] =
        [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    let number = |digits: &[u8], radix| u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    match text {
        [b'%', high, low, ..] => Some((number(&[*high, *low], 16)?, 3)),
        [b'\\', b'n' | b'r' | b't', ..] => Some((b' ', 2)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((number(&[*high, *low], 16)?, 6)),
        [b'&', b'#', rest @ ..] => {
            let length = rest.iter().take(5).position(|byte| *byte == b';')?;
            let value = match &rest[..length] {
                [b'x' | b'X', digits @ ..] => number(digits, 16),
                digits => number(digits, 10),
            };
            Some((value?, length + 3))
        }
        [b'&', ..] => ENTITIES.iter().find(|(name, _)| text.starts_with(name)).map(|(name, byte)| (*byte, name.len())),
        _ => None,
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

        let both = Redactor::new(["ijkl".into(), "abcd".into()]);
        let clone = both.clone();
        both.add(&redactor);
        assert_eq!(both.redact("abcd-efgh abcd ijkl"), "[redacted] [redacted] [redacted]");
        assert_eq!(format!("{both:?}"), "Redactor(3 secrets)");
        assert_eq!(clone.redact("abcd-efgh"), "[redacted]", "a clone learns too");
        both.learn(["mnop".to_owned()]);
        assert_eq!(clone.redact("mnop abcd"), "[redacted] [redacted]");
    }

    #[test]
    fn quote_never_leaves_a_part_of_a_secret() {
        let redactor = Redactor::new(["7TVRLEZ-24A43C0".to_owned()]);
        for before in 0..60 {
            let quote = redactor.quote(&format!("{}7TVRLEZ-24A43C0", "x".repeat(before)), 40);
            assert!(!quote.contains("7TV"), "{quote}");
        }
    }

    #[test]
    fn a_secret_is_recognized_in_every_encoding() {
        const KEY: &str = "7TVRLEZ-24A43C0-NQT2BCR-Q93D2R8";
        const URL: &str = "https://example.com/a_b?c=d&e=\"Käse\"/+f";
        let redactor = Redactor::new([KEY.to_owned(), URL.to_owned()]);
        let base64 = |before: &str, secret: &str| {
            let standard = STANDARD_NO_PAD.encode(format!("{before}{secret} and more"));
            let url_safe = standard.replace('+', "-").replace('/', "_");
            [standard, url_safe]
        };
        let mut encoded = vec![
            hex::encode(KEY),
            hex::encode_upper(KEY),
            KEY.replace('-', ""),
            KEY.to_lowercase(),
            KEY.replace('-', "").to_lowercase(),
            KEY.replace('-', "%2d"),
            KEY.replace('-', " -\r\n "),
            KEY.replace('-', "\\n"),
            KEY.replacen("7TV", "7 T\nV", 1),
            KEY.replace('-', "\t"),
            percent_encoding::utf8_percent_encode(URL, percent_encoding::NON_ALPHANUMERIC).to_string(),
            percent_encoding::utf8_percent_encode(URL, percent_encoding::NON_ALPHANUMERIC).to_string().to_lowercase(),
            serde_json::to_string(URL).expect("JSON").trim_matches('"').to_owned(),
            URL.replace('/', "\\/").replace('"', "\\\""),
            URL.replace('&', "\\u0026").replace('"', "\\u0022"),
            URL.replace('&', "&amp;").replace('"', "&quot;"),
            URL.replace('&', "&#38;").replace('"', "&#34;").replace('/', "&#x2F;"),
        ];
        encoded.extend(["", "a", "ab", "abc"].iter().flat_map(|before| base64(before, KEY)));
        encoded.extend(["", "a", "ab", "abc"].iter().flat_map(|before| base64(before, URL)));
        for encoded in encoded {
            let redacted = redactor.redact(&format!("täxt <{encoded}> téxt"));
            assert!(redacted.contains(REDACTED), "{encoded}: {redacted}");
            assert!(redacted.starts_with("täxt <") && redacted.ends_with("> téxt"), "{redacted}");
            // What encodes the bytes before and after the secret remains.
            assert!(redacted.len() < 70, "{encoded}: {redacted}");
        }
    }

    #[test]
    fn text_without_a_secret_stays_as_it_is() {
        let redactor = Redactor::new(["7TVRLEZ-24A43C0".to_owned()]);
        for text in
            ["", "%", "%zz %4", "&#; &# &#xzz; &amp; &#99999;", "\\u00 \\", "7TVRLEZ-24A43C", "東京 – ok", "a\nb"]
        {
            assert_eq!(redactor.redact(text), text);
        }
    }
}
