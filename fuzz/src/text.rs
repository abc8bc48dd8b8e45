//! Text from outside that is made from bytes.

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use media_expiry_alerts::model::text::{one_line, shorten, units};

/// Texts with a meaning in some format: markup, formulas, entities, line ends, escapes and invisible characters.
const FRAGMENTS: [&str; 48] = [
    "a.png",
    " ",
    "word ",
    "<!channel>",
    "<@U1>",
    "<!date^1^{date}|x>",
    "@here ",
    "#general ",
    "&",
    "&amp;",
    "<",
    ">",
    "\"",
    "'",
    "|",
    "\\",
    "*",
    "_",
    "~",
    "`",
    ":smile:",
    "[a](https://evil.example)",
    "{{DATE(2026-11-25,SHORT)}}",
    "{",
    "}",
    "<script>alert(1)</script>",
    "\" onerror=\"alert(1)",
    "' onerror='alert(1)",
    "<!--",
    "-->",
    "=1+1",
    "@SUM(1)",
    "＝1",
    ";",
    ",",
    "\t",
    "\n",
    "\r\n",
    "\nEND:VEVENT\nBEGIN:VEVENT\n",
    "\0",
    "\u{202E}",
    "\u{200B}",
    "\u{2028}",
    "\u{FEFF}",
    "é",
    "e\u{301}",
    "👩\u{200D}👩\u{200D}👧",
    "漢字",
];

/// Makes a text of at most `max_units` UTF-16 code units, which may be empty.
pub fn text(u: &mut Unstructured<'_>, max_units: usize) -> Result<String> {
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=4_u8)? {
        let choice = usize::from(u.arbitrary::<u8>()?);
        match FRAGMENTS.get(choice % 64) {
            Some(fragment) => text += fragment,
            None => {
                let length = u.int_in_range(0..=24_u8)?;
                text += &String::from_utf8_lossy(u.bytes(usize::from(length).min(u.len()))?);
            }
        }
        // One choice in four repeats what there is, so that few bytes make a long text.
        if 192 <= choice {
            let times = 1 << u.int_in_range(0..=12_u8)?;
            let room = max_units / text.len().max(1) + 1;
            text = text.repeat(times.min(room));
        }
    }
    Ok(cut(&text, max_units).to_owned())
}

/// Makes a text that is not blank and has no control characters: what the configuration accepts as the name of a profile.
pub fn name(u: &mut Unstructured<'_>, max_chars: usize) -> Result<String> {
    let text = text(u, max_chars)?.replace(char::is_control, "");
    Ok(if one_line(&text).is_empty() { "Acme".to_owned() } else { text })
}

/// Makes a URL, or something that is none.
pub fn url(u: &mut Unstructured<'_>) -> Result<String> {
    const STARTS: [&str; 8] = [
        "https://images.ayrshare.com/acme/",
        "https://files.example/",
        "https://user:password@evil.example/",
        "https://*.example;script-src/",
        "https://[::1]/",
        "http://files.example/",
        "javascript:",
        "",
    ];
    const ENDS: [&str; 8] = [
        ".png",
        ".mp4",
        ".jpeg?X-Amz-Date=20261126T230000Z&X-Amz-Expires=3600&X-Amz-Signature=ab",
        ".gif#<>",
        "?a='\"><b>|c",
        "/",
        ".PNG",
        "",
    ];
    let (start, end) = (u.choose(&STARTS)?, u.choose(&ENDS)?);
    Ok(format!("{start}{}{end}", text(u, 2_000)?))
}

fn cut(text: &str, max_units: usize) -> &str {
    // Most texts are short, and counting takes longer than everything else here.
    if text.len() <= max_units || units(text) <= max_units {
        return text;
    }
    if text.is_ascii() {
        return &text[..max_units];
    }
    let kept = shorten(text, max_units);
    // Without the ellipsis, which is not from outside.
    &text[..kept.len() - '…'.len_utf8()]
}

/// The longest line of a mail (RFC 5322), in bytes.
const MAX_LINE_BYTES: usize = 998;

/// Checks the text of a mail: no line is too long, and nothing in it can change how the text around it looks.
///
/// # Panics
///
/// Panics if that is not so.
pub fn check_plain_text(text: &str) {
    assert!(!text.trim().is_empty() && text.ends_with('\n'));
    for line in text.split('\n') {
        assert!(line.len() <= MAX_LINE_BYTES, "a line of {} bytes", line.len());
        let is_odd = |character: char| character.is_control() || matches!(character, '\u{202A}'..='\u{202E}');
        assert!(!line.contains(is_odd), "{line:?}");
    }
}
