//! Email addresses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Host;

/// The longest address, in bytes (RFC 5321).
const MAX_ADDRESS_BYTES: usize = 254;
/// The longest part before the `@`, in bytes.
const MAX_LOCAL_BYTES: usize = 64;
/// The longest display name, in characters.
const MAX_NAME_CHARS: usize = 100;
/// The most bytes of a name in one encoded word, whose length RFC 2047 limits to 75 characters.
const MAX_ENCODED_BYTES: usize = 42;

/// An email address with an optional display name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    name: Option<String>,
    address: String,
}

impl Mailbox {
    /// Parses `maria@example.com` or `Media alerts <alerts@example.com>`.
    ///
    /// The part before the `@` must be ASCII, because Amazon SES accepts no other. A domain in another script is converted.
    ///
    /// # Errors
    ///
    /// Returns the reason when `text` is not such an address. It does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "is not an email address, like `maria@example.com` or `Maria <maria@example.com>`";
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"').trim(), address.trim()),
            None => ("", text),
        };
        if text.chars().any(char::is_control) || name.contains(['<', '>']) {
            return Err(EXPECTED);
        }
        if MAX_NAME_CHARS < name.chars().count() {
            return Err("has a display name of more than 100 characters");
        }
        let (local, domain) = address.rsplit_once('@').ok_or(EXPECTED)?;
        if !is_local_part(local) {
            return Err(
                "is not an email address that Amazon SES accepts: the part before the `@` must be ASCII letters, \
                        digits and `.!#$%&'*+/=?^_`{|}~-`",
            );
        }
        let address = match Host::parse(domain) {
            Ok(Host::Domain(domain)) if is_domain(&domain) => format!("{local}@{domain}"),
            _ => return Err(EXPECTED),
        };
        if MAX_ADDRESS_BYTES < address.len() {
            return Err("is longer than an email address can be");
        }
        Ok(Self { name: (!name.is_empty()).then(|| name.to_owned()), address })
    }

    /// Returns the address alone.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the mailbox for a header: ASCII, with the display name quoted or encoded (RFC 5322, RFC 2047).
    #[must_use]
    pub fn header(&self) -> String {
        match &self.name {
            None => self.address.clone(),
            Some(name) if name.is_ascii() => {
                format!("\"{}\" <{}>", name.replace('\\', "\\\\").replace('"', "\\\""), self.address)
            }
            Some(name) => format!("{} <{}>", encoded(name), self.address),
        }
    }
}

fn is_local_part(local: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
    };
    local.len() <= MAX_LOCAL_BYTES && local.split('.').all(is_atom)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

/// Encodes a name as one or more words of RFC 2047, each with whole characters.
fn encoded(name: &str) -> String {
    let mut words = vec![String::new()];
    for character in name.chars() {
        let is_full = |word: &String| MAX_ENCODED_BYTES < word.len() + character.len_utf8();
        if words.last().is_none_or(is_full) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    let words: Vec<_> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_name() {
        let header = |text: &str| Mailbox::parse(text).map(|mailbox| mailbox.header());
        assert_eq!(header("maria@example.com"), Ok("maria@example.com".to_owned()));
        assert_eq!(header(" <o'neil+x@sub.Example.com> "), Ok("o'neil+x@sub.example.com".to_owned()));
        assert_eq!(header("Media alerts <a@example.com>"), Ok("\"Media alerts\" <a@example.com>".to_owned()));
        assert_eq!(header("\"Alerts, Inc.\" <a@example.com>"), Ok("\"Alerts, Inc.\" <a@example.com>".to_owned()));
        assert_eq!(header("Müller <a@bücher.de>"), Ok("=?UTF-8?B?TcO8bGxlcg==?= <a@xn--bcher-kva.de>".to_owned()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "maria",
            "maria@",
            "@example.com",
            "a b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a@localhost",
            "a@[127.0.0.1]",
            "a@1.2.3.4",
            "a@example..com",
            "a@-x.com",
            "ä@example.com",
            "a@example.com, b@example.com",
            "x\n<a@example.com>",
            "<a@example.com",
            "a@exa mple.com",
            "a@example.com\r\nBcc: b@example.com",
        ] {
            assert!(Mailbox::parse(text).is_err(), "{text:?}");
        }
        assert!(Mailbox::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_long_name_is_several_words_of_whole_characters() {
        let header = Mailbox { name: Some("東京".repeat(30)), address: "a@example.com".to_owned() }.header();
        assert!(header.split(' ').all(|word| word.len() <= 75), "{header}");
        let decoded: String = header
            .split(' ')
            .filter_map(|word| word.strip_prefix("=?UTF-8?B?")?.strip_suffix("?="))
            .map(|word| String::from_utf8(STANDARD.decode(word).expect("base64")).expect("UTF-8"))
            .collect();
        assert_eq!(decoded, "東京".repeat(30));
    }
}
