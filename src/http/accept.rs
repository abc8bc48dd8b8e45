//! Content negotiation by the `Accept`, `Accept-Encoding` and `If-None-Match` headers (RFC 9110). Pure.

use crate::report::Format;

/// Returns the format that an `Accept` header prefers, or `None` if it accepts none of them.
///
/// Of several formats with the same quality, one that is named is preferred to one that a `*` matches. After that the
/// order of [`Format::ALL`] decides.
#[must_use]
pub fn format(accept: Option<&str>) -> Option<Format> {
    let ranges = ranges(accept);
    let mut best: Option<(u16, u8, Format)> = None;
    for format in Format::ALL {
        let Some(range) = deciding(&ranges, format) else { continue };
        let (quality, specificity) = (range.quality, range.specificity());
        if 0 < quality && best.is_none_or(|(most, least, _)| (most, least) < (quality, specificity)) {
            best = Some((quality, specificity, format));
        }
    }
    best.map(|(_, _, format)| format)
}

/// Returns whether an `Accept` header accepts a format, however much it prefers others.
#[must_use]
pub fn accepts(accept: Option<&str>, format: Format) -> bool {
    deciding(&ranges(accept), format).is_some_and(|range| 0 < range.quality)
}

fn ranges(accept: Option<&str>) -> Vec<Range> {
    let accept = accept.map(str::trim).filter(|accept| !accept.is_empty()).unwrap_or("*/*");
    accept.split(',').filter_map(Range::parse).collect()
}

/// The most specific range decides, even if its quality is 0.
fn deciding(ranges: &[Range], format: Format) -> Option<&Range> {
    ranges.iter().filter(|range| range.covers(format)).max_by_key(|range| range.specificity())
}

/// Returns whether an `Accept-Encoding` header accepts gzip.
#[must_use]
pub fn gzip(accept_encoding: Option<&str>) -> bool {
    let mut accepts_any = false;
    for coding in accept_encoding.unwrap_or_default().split(',') {
        let (name, quality) = with_quality(coding);
        match name.as_str() {
            "gzip" | "x-gzip" => return 0 < quality,
            "*" => accepts_any = 0 < quality,
            _ => {}
        }
    }
    accepts_any
}

/// Returns whether an `If-None-Match` header contains this entity tag.
#[must_use]
pub fn is_known(if_none_match: Option<&str>, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match.is_some_and(|known| known.trim() == "*" || known.split(',').any(|known| opaque(known) == opaque(tag)))
}

struct Range {
    kind: String,
    /// In thousandths.
    quality: u16,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (kind, quality) = with_quality(text);
        (!kind.is_empty()).then_some(Self { kind, quality })
    }

    fn covers(&self, format: Format) -> bool {
        let media_type = format.media_type();
        match self.kind.strip_suffix('*') {
            Some("*/" | "") => true,
            Some(prefix) => prefix.ends_with('/') && media_type.starts_with(prefix),
            None => self.kind == media_type,
        }
    }

    fn specificity(&self) -> u8 {
        match self.kind.strip_suffix('*') {
            Some("*/" | "") => 0,
            Some(_) => 1,
            None => 2,
        }
    }
}

/// Returns an element of a list and its `q`, in thousandths. A `q` that is not a number counts as 1, because the element is
/// named.
fn with_quality(element: &str) -> (String, u16) {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(1.0))
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1,000")]
    let thousandths = (quality.filter(|quality| !quality.is_nan()).unwrap_or(1.0).clamp(0.0, 1.0) * 1_000.0) as u16;
    (name, thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_accepted_unless_it_is_ruled_out() {
        let accepts_html = |accept: &str| accepts(Some(accept), Format::Html);
        assert!(accepts(None, Format::Html) && accepts_html("") && accepts_html("*/*"));
        assert!(accepts_html("application/json, text/html;q=0.1") && accepts_html("text/*"));
        assert!(!accepts_html("text/html;q=0, */*") && !accepts_html("application/json"));
    }

    #[test]
    fn the_preferred_format_is_chosen() {
        let check = |accept: &str, expected: Option<Format>| assert_eq!(format(Some(accept)), expected, "{accept}");
        assert_eq!(format(None), Some(Format::Json));
        check("", Some(Format::Json));
        check("*/*", Some(Format::Json));
        check("*", Some(Format::Json));
        check("application/*", Some(Format::Json));
        check("text/*", Some(Format::Html));
        check("text/csv", Some(Format::Csv));
        check("TEXT/Calendar; charset=utf-8", Some(Format::Ics));
        check("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Some(Format::Html));
        check("application/json, text/plain, */*", Some(Format::Json));
        check("text/html, */*", Some(Format::Html));
        check("text/html;q=0.5, text/csv;q=0.7, application/json;q=0.1", Some(Format::Csv));
        check("application/json;q=0, */*;q=0.1", Some(Format::Html));
        check("text/*;q=0.3, text/html;q=0, text/csv;q=0.2", Some(Format::Ics));
        check("text/html ; q=0.001, text/csv;Q=0.0", Some(Format::Html));
        check("text/html;q=banana", Some(Format::Html));
        check("text/html;q=NaN", Some(Format::Html));
        check("text/html;q=-1", None);
        check("application/json;q=0", None);
        check("image/png", None);
        check("image/*, text/plain", None);
        check("json", None);
    }

    #[test]
    fn gzip_is_used_only_if_it_is_accepted() {
        let check = |header: &str, expected: bool| assert_eq!(gzip(Some(header)), expected, "{header}");
        assert!(!gzip(None));
        check("", false);
        check("gzip, deflate, br", true);
        check("br;q=1.0, GZIP;q=0.2", true);
        check("gzip;q=0, *", false);
        check("*", true);
        check("*;q=0", false);
        check("identity", false);
    }

    #[test]
    fn a_known_tag_is_found_in_every_notation() {
        let check = |header: &str, expected: bool| assert_eq!(is_known(Some(header), "W/\"a\""), expected, "{header}");
        assert!(!is_known(None, "W/\"a\""));
        check("W/\"a\"", true);
        check("\"b\", \"a\"", true);
        check("*", true);
        check("\"b\"", false);
        check("a", false);
    }
}
