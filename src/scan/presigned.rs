//! URLs that carry their own expiry: presigned URLs of object stores and CDNs. Pure.
//!
//! The expiry is read, and never computed from anything that is not in the URL. An `Expires` without the parameters that
//! belong to it proves nothing.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, tz};
use serde_json::Value;
use url::Url;

/// The longest policy of `CloudFront` that is decoded.
const MAX_POLICY_BYTES: usize = 8 * 1024;

/// Whether a URL is presigned, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presigned {
    /// It is an ordinary URL.
    No,
    /// It is signed, but does not say until when it is valid.
    Open,
    /// It is valid until this moment, or shorter when the credentials that signed it end earlier.
    Until(Timestamp),
}

impl Presigned {
    /// Reads the signature parameters of a URL.
    #[must_use]
    pub fn of(url: &str) -> Self {
        // Nearly every URL has no query, and parsing it would be for nothing.
        if !url.contains('?') {
            return Self::No;
        }
        let Ok(url) = Url::parse(url.trim()) else { return Self::No };
        let mut query = HashMap::new();
        for (name, value) in url.query_pairs() {
            query.entry(name.to_ascii_lowercase()).or_insert(value.into_owned());
        }
        let has = |name: &str| query.contains_key(name);
        let get = |name: &str| query.get(name).map(String::as_str);
        let unix = |name: &str| get(name).and_then(seconds).and_then(|second| Timestamp::from_second(second).ok());
        let expiry = if has("x-amz-signature") {
            dated(get("x-amz-date"), get("x-amz-expires"))
        } else if has("x-goog-signature") {
            dated(get("x-goog-date"), get("x-goog-expires"))
        } else if has("x-oss-signature") || has("x-oss-expires") {
            dated(get("x-oss-date"), get("x-oss-expires"))
        } else if has("ossaccesskeyid") || has("signature") && ["awsaccesskeyid", "googleaccessid"].into_iter().any(has)
        {
            unix("expires")
        } else if has("signature") && has("key-pair-id") {
            if has("expires") { unix("expires") } else { get("policy").and_then(policy_end) }
        } else if has("sig") && (has("sv") || has("se")) {
            get("se").and_then(azure_end)
        } else if url.path().contains("/storage/v1/") && url.path().contains("/sign/") && has("token") {
            get("token").and_then(jwt_end)
        } else {
            return Self::No;
        };
        expiry.map_or(Self::Open, Self::Until)
    }

    /// Returns the expiry, if there is one.
    #[must_use]
    pub fn expires_at(self) -> Option<Timestamp> {
        match self {
            Self::Until(expires_at) => Some(expires_at),
            Self::No | Self::Open => None,
        }
    }
}

/// Reads the end of a JSON Web Token, as Supabase signs its URLs. The signature cannot be checked without its key.
fn jwt_end(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1).filter(|payload| payload.len() <= MAX_POLICY_BYTES)?;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let payload = GeneralPurpose::new(&alphabet::URL_SAFE, config).decode(payload).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    // A `NumericDate` may have a fraction (RFC 7519, section 2).
    let end = SignedDuration::try_from_secs_f64(payload.get("exp")?.as_f64()?).ok()?;
    Timestamp::from_duration(end).ok()
}

/// Parses digits and nothing else.
fn seconds(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Adds a lifetime in seconds to a date like `20261126T230608Z`.
fn dated(date: Option<&str>, lifetime: Option<&str>) -> Option<Timestamp> {
    let signed_at = DateTime::strptime("%Y%m%dT%H%M%SZ", date?).ok()?;
    let signed_at = tz::Offset::UTC.to_timestamp(signed_at).ok()?;
    signed_at.checked_add(SignedDuration::from_secs(seconds(lifetime?)?)).ok()
}

/// Reads the end of a custom policy of `CloudFront`, which is base64 with `+=/` written as `-_~`.
fn policy_end(policy: &str) -> Option<Timestamp> {
    if MAX_POLICY_BYTES < policy.len() {
        return None;
    }
    let policy: String = policy
        .chars()
        .map(|byte| match byte {
            '-' => '+',
            '_' => '=',
            '~' => '/',
            other => other,
        })
        .collect();
    let alphabet = Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").ok()?;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let policy = GeneralPurpose::new(&alphabet, config).decode(policy).ok()?;
    let policy: Value = serde_json::from_slice(&policy).ok()?;
    let end = policy.pointer("/Statement/0/Condition/DateLessThan/AWS:EpochTime")?;
    Timestamp::from_second(end.as_i64()?).ok()
}

/// Parses the end of a shared access signature: a date, or a moment in UTC with or without seconds.
fn azure_end(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let civil = text.strip_suffix('Z').unwrap_or(text);
    let civil: DateTime = civil.parse().ok()?;
    tz::Offset::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn until(moment: &str) -> Presigned {
        Presigned::Until(moment.parse().expect("a time"))
    }

    #[test]
    fn the_expiry_of_each_kind_is_read() {
        // 2026-11-27T00:00:00Z.
        let end = until("2026-11-27T00:00:00Z");
        let policy = base64::engine::general_purpose::STANDARD
            .encode(r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":1795737600}}}]}"#)
            .replace('+', "-")
            .replace('=', "_")
            .replace('/', "~");
        let queries = [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261126T230000Z&X-Amz-Expires=3600&X-Amz-Signature=ab"
                .to_owned(),
            "X-Amz-Date=20261126T230000Z&X-Amz-Expires=3600&X-Amz-Security-Token=t&X-Amz-Signature=ab".to_owned(),
            "x-amz-date=20261126T230000Z&x-amz-expires=3600&x-amz-signature=ab".to_owned(),
            "AWSAccessKeyId=AKIA&Expires=1795737600&Signature=a%2Bb".to_owned(),
            "Expires=1795737600&Signature=ab&Key-Pair-Id=K1".to_owned(),
            format!("Policy={policy}&Signature=ab&Key-Pair-Id=K1"),
            "X-Goog-Date=20261126T000000Z&X-Goog-Expires=86400&X-Goog-Signature=ab".to_owned(),
            "GoogleAccessId=a@b&Expires=1795737600&Signature=ab".to_owned(),
            "sv=2024-11-04&se=2026-11-27T00%3A00%3A00Z&sr=b&sp=r&sig=ab".to_owned(),
            "sv=2024-11-04&se=2026-11-27T00:00Z&sig=ab".to_owned(),
            "sv=2024-11-04&se=2026-11-27&sig=ab".to_owned(),
            "OSSAccessKeyId=a&Expires=1795737600&Signature=ab".to_owned(),
            "x-oss-date=20261126T000000Z&x-oss-expires=86400&x-oss-signature=ab".to_owned(),
            "x-oss-date=20261126T000000Z&x-oss-expires=86400".to_owned(),
        ];
        for query in queries {
            assert_eq!(Presigned::of(&format!("https://files.example.com/a.png?{query}#x")), end, "{query}");
        }
    }

    #[test]
    fn an_expiry_without_its_companions_proves_nothing() {
        for query in [
            "",
            "Expires=1795737600",
            "Expires=1795737600&Signature=ab",
            "Expires=1795737600&Key-Pair-Id=K1",
            "X-Amz-Date=20261126T230000Z&X-Amz-Expires=3600",
            "se=2026-11-27T00:00:00Z",
            "token=abc&alt=media",
            "sig=ab",
        ] {
            assert_eq!(Presigned::of(&format!("https://files.example.com/a.png?{query}")), Presigned::No, "{query}");
        }
        assert_eq!(Presigned::of("not a url?Expires=1"), Presigned::No);
    }

    #[test]
    fn the_end_of_a_supabase_link_is_read() {
        let payload = |json: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
        let url = |path: &str, token: &str| Presigned::of(&format!("https://x.supabase.co{path}?token={token}"));
        let token = format!("aGVhZA.{}.c2ln", payload(r#"{"url":"b/1.jpg","iat":1,"exp":1795608000}"#));
        let until = Presigned::Until(Timestamp::from_second(1_795_608_000).expect("a time"));
        assert_eq!(url("/storage/v1/object/sign/b/1.jpg", &token), until);
        assert_eq!(url("/storage/v1/render/image/sign/b/1.jpg", &token), until);
        assert_eq!(url("/storage/v1/object/sign/b/1.jpg", "no-token"), Presigned::Open);
        let token = format!("aGVhZA.{}.c2ln", payload(r#"{"exp":1795608000.5}"#));
        let until_half = Presigned::Until("2026-11-25T12:00:00.5Z".parse().expect("a time"));
        assert_eq!(url("/storage/v1/object/sign/b/1.jpg", &token), until_half);
        // Other tokens say nothing about an end.
        assert_eq!(url("/v0/b/app/o/1.jpg", &token), Presigned::No);
    }

    #[test]
    fn a_signed_url_whose_expiry_cannot_be_read_is_open() {
        for query in [
            "X-Amz-Signature=ab",
            "X-Amz-Date=yesterday&X-Amz-Expires=3600&X-Amz-Signature=ab",
            "X-Amz-Date=20261126T230000Z&X-Amz-Expires=-1&X-Amz-Signature=ab",
            "X-Amz-Date=20261126T230000Z&X-Amz-Expires=99999999999999999999&X-Amz-Signature=ab",
            "X-Amz-Date=20261126T230000Z&X-Amz-Expires=9223372036854775807&X-Amz-Signature=ab",
            "sv=2024-11-04&sig=ab",
            "Policy=!!&Signature=ab&Key-Pair-Id=K1",
            "Expires=soon&Signature=ab&Key-Pair-Id=K1",
        ] {
            assert_eq!(Presigned::of(&format!("https://files.example.com/a.png?{query}")), Presigned::Open, "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_url_makes_the_parser_panic(query in "(X-Amz-Date|X-Amz-Expires|X-Amz-Signature|Expires|Signature|Key-Pair-Id|Policy|se|sig|=|&|[0-9TZ]{1,20}|\\PC){0,12}") {
            let _ = Presigned::of(&format!("https://files.example.com/a?{query}"));
        }
    }

    #[test]
    fn a_policy_is_read_up_to_a_limit() {
        let url = |json_bytes: usize| {
            let policy = r#"{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1795737600}}}]}"#;
            let policy = base64::engine::general_purpose::STANDARD.encode(format!("{policy:json_bytes$}"));
            format!("https://files.example.com/a.png?Policy={policy}&Signature=ab&Key-Pair-Id=K1")
        };
        // 6 KiB are 8 in base64.
        assert_eq!(Presigned::of(&url(6 * 1024)), until("2026-11-27T00:00:00Z"));
        assert_eq!(Presigned::of(&url(6 * 1024 + 3)), Presigned::Open);
    }

    #[test]
    fn a_policy_is_written_with_other_characters_than_base64() {
        let policy = r#"{"a":"???>>>","Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1795737600}}}]} "#;
        let policy = base64::engine::general_purpose::STANDARD.encode(policy);
        assert!(['+', '/', '='].iter().all(|special| policy.contains(*special)), "{policy}");
        let policy = policy.replace('+', "-").replace('=', "_").replace('/', "~");
        let url = format!("https://files.example.com/a.png?Policy={policy}&Signature=ab&Key-Pair-Id=K1");
        assert_eq!(Presigned::of(&url), until("2026-11-27T00:00:00Z"));
    }

    #[test]
    fn a_public_file_of_supabase_has_no_end() {
        assert_eq!(Presigned::of("https://a.supabase.co/storage/v1/object/public/b.png?token=x"), Presigned::No);
    }
}
