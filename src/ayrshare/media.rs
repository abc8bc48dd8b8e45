//! The shape of `GET /media`: a bare array of objects, of which every field may be missing or null.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::model::Media;

/// The longest text that a field may hold; a longer one counts as missing, so that one file never fills a message.
const MOST_TEXT_BYTES: usize = 16 * 1024;

/// Reads a gallery file by file.
///
/// A field of another type than the documented one counts as missing, so that one odd field never costs the gallery;
/// an expiry that cannot be read makes that one file undated.
///
/// # Errors
///
/// Fails when the body is no JSON array of objects, or is only a part of one.
pub fn read(body: &[u8], each: impl FnMut(Media)) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    deserializer.deserialize_seq(Gallery(each))?;
    deserializer.end()
}

struct Gallery<F>(F);

impl<'de, F: FnMut(Media)> Visitor<'de> for Gallery<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of media")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(media) = seq.next_element::<WireMedia>()? {
            (self.0)(media.into());
        }
        Ok(())
    }
}

#[derive(Default)]
struct WireMedia {
    id: Text,
    time_created: Text,
    size: Text,
    url: Text,
    file_name: Text,
    expires_at: Text,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Id,
    TimeCreated,
    Size,
    Url,
    FileName,
    ExpiresAt,
    #[serde(other)]
    Unknown,
}

// Not derived: a derived struct would also be read from an array, and would refuse a field that comes twice.
impl<'de> Deserialize<'de> for WireMedia {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WireMediaVisitor)
    }
}

struct WireMediaVisitor;

impl<'de> Visitor<'de> for WireMediaVisitor {
    type Value = WireMedia;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of one file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireMedia, A::Error> {
        let mut media = WireMedia::default();
        while let Some(field) = map.next_key()? {
            let place = match field {
                Field::Id => &mut media.id,
                Field::TimeCreated => &mut media.time_created,
                Field::Size => &mut media.size,
                Field::Url => &mut media.url,
                Field::FileName => &mut media.file_name,
                Field::ExpiresAt => &mut media.expires_at,
                Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = map.next_value()?;
        }
        Ok(media)
    }
}

impl From<WireMedia> for Media {
    fn from(wire: WireMedia) -> Self {
        Self {
            id: wire.id.0,
            file_name: wire.file_name.0,
            url: wire.url.0,
            size_bytes: wire.size.0.and_then(|size| size.trim().parse().ok()),
            created_at: moment(wire.time_created),
            expires_at: moment(wire.expires_at),
        }
    }
}

fn moment(text: Text) -> Option<Timestamp> {
    super::moment(&text.0?)
}

/// A string or a number as text; whatever is empty, null or of another type is missing.
#[derive(Default)]
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        let is_there = !text.trim().is_empty() && text.len() <= MOST_TEXT_BYTES;
        Ok(Text(is_there.then(|| text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(body: &str) -> Result<Vec<Media>, String> {
        let mut gallery = Vec::new();
        read(body.as_bytes(), |media| gallery.push(media)).map_err(|error| error.to_string())?;
        Ok(gallery)
    }

    #[test]
    fn the_documented_fields_are_read() {
        let body = r#"[{"id":"5553a26a-cffb-4a31-bd89-dee296d35648-jpeg","timeCreated":"2025-07-30T20:23:49.774Z",
            "size":"223340","url":"https://images.ayrshare.com/a/5553a26a.jpeg","fileName":"test1.jpeg",
            "description":"Test1","expiresAt":"2025-09-05T22:00:48.000Z","new":{"a":[1]}}]"#;
        let media = Media {
            id: Some("5553a26a-cffb-4a31-bd89-dee296d35648-jpeg".into()),
            file_name: Some("test1.jpeg".into()),
            url: Some("https://images.ayrshare.com/a/5553a26a.jpeg".into()),
            size_bytes: Some(223_340),
            created_at: Some("2025-07-30T20:23:49.774Z".parse().expect("a time")),
            expires_at: Some("2025-09-05T22:00:48Z".parse().expect("a time")),
        };
        assert_eq!(all(body), Ok(vec![media]));
    }

    #[test]
    fn what_is_missing_empty_or_of_another_type_is_missing() {
        for odd in [
            "{}",
            r#"{"id":null,"fileName":"","url":" ","size":null,"expiresAt":null}"#,
            r#"{"id":true,"fileName":[1,[2]],"url":{"a":{}},"size":-1,"expiresAt":{"_seconds":1},"timeCreated":1.5}"#,
            r#"{"size":"many","expiresAt":"soon","timeCreated":"2025-13-01T00:00:00Z"}"#,
        ] {
            assert_eq!(all(&format!("[{odd}]")), Ok(vec![Media::default()]), "{odd}");
        }
        assert_eq!(all(r#"[{"size":7}]"#).map(|gallery| gallery[0].size_bytes), Ok(Some(7)));
    }

    #[test]
    fn the_same_instant_in_another_spelling_is_the_same() {
        let expires_at = |text: &str| all(&format!(r#"[{{"expiresAt":"{text}"}}]"#)).map(|all| all[0].expires_at);
        assert_eq!(expires_at("2026-11-25T08:00:00+02:00"), expires_at("2026-11-25T06:00:00.000Z"));
    }

    #[test]
    fn half_a_body_or_another_shape_is_an_error() {
        for wrong in ["", "[", r#"[{"id":"1"}"#, "[{}] x", "null", "\"a\"", "[1]", "[null]", "[[]]", "<html>"] {
            assert!(all(wrong).is_err(), "{wrong}");
        }
        assert_eq!(all("[]"), Ok(vec![]));
    }
}
