//! URLs that carry their own expiry.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::scan::Presigned;

fuzz_target!(|data: &[u8]| {
    if let Some((bytes, rest)) = data.split_first_chunk::<9>() {
        written_is_read(bytes, &String::from_utf8_lossy(rest));
    }
    let Ok(url) = std::str::from_utf8(data) else { return };
    let presigned = Presigned::of(url);
    if presigned != Presigned::No {
        assert!(url.contains('?') && url.trim().parse::<url::Url>().is_ok());
    }
    // The fragment is not a part of what was signed. Control characters are ignored at the end of a URL only.
    if !url.contains('#') && !url.contains(char::is_control) && url.trim() == url {
        assert_eq!(Presigned::of(&format!("{url}#fragment")), presigned);
    }
});

/// What a service signs is read, whatever else is in the query.
fn written_is_read(bytes: &[u8; 9], other: &str) {
    let [kind, a, b, c, d, lifetime @ ..] = *bytes;
    let signed_at = Timestamp::from_second(u32::from_le_bytes([a, b, c, d]).into()).expect("a moment");
    let lifetime = i64::from(u32::from_le_bytes(lifetime));
    let end = signed_at + SignedDuration::from_secs(lifetime);
    let (date, unix) = (signed_at.strftime("%Y%m%dT%H%M%SZ"), end.as_second());
    let dated = |name: &str, end: &str| format!("X-{name}-Date={date}&X-{name}-Expires={lifetime}{end}");
    let policy = || {
        let policy = format!(r#"{{"Statement":[{{"Condition":{{"DateLessThan":{{"AWS:EpochTime":{unix}}}}}}}]}}"#);
        STANDARD.encode(policy).replace('+', "-").replace('=', "_").replace('/', "~")
    };
    let query = match kind % 8 {
        0 => dated("Amz", "&X-Amz-Signature=ab"),
        1 => dated("Goog", "&X-Goog-Signature=ab"),
        2 => dated("Oss", "&x-oss-signature=ab"),
        3 => format!("AWSAccessKeyId=AKIA&Expires={unix}&Signature=ab"),
        4 => format!("Expires={unix}&Signature=ab&Key-Pair-Id=K"),
        5 => format!("Policy={}&Signature=ab&Key-Pair-Id=K", policy()),
        6 => format!("sv=2024-11-04&se={end}&sig=ab"),
        _ => {
            let token = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{unix}}}"#));
            let url = format!("https://p.supabase.co/storage/v1/object/sign/a/b.png?token=e30.{token}.ab");
            assert_eq!(Presigned::of(&url), Presigned::Until(end), "{url}");
            return;
        }
    };
    let other: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("response", other).finish();
    let url = format!("https://files.example/a.png?{query}&{other}");
    assert_eq!(Presigned::of(&url), Presigned::Until(end), "{url}");
}
