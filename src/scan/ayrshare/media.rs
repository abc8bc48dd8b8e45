//! The shape of `GET /media`: a bare array of objects, of which every field may be missing or null.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::date::Date;
use super::list::ListReader;
use crate::model::{File, Media};

/// The longest text that a field may hold; a longer one counts as missing, so that one file never fills a message.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Reads a gallery as it arrives, and keeps no more of it than one file.
#[derive(Debug)]
pub struct Reader(ListReader);

impl Default for Reader {
    fn default() -> Self {
        Self(ListReader::of_array("file"))
    }
}

impl Reader {
    /// Takes the next piece of the body, and hands each file that is complete to `each`.
    ///
    /// Returns false when the body is no array. Then nothing was taken.
    pub fn take(&mut self, piece: &[u8], mut each: impl FnMut(ListedFile<'_>)) -> bool {
        self.0.take(piece, |json: &str| file(json, &mut each))
    }

    /// Checks that the array was complete.
    ///
    /// # Errors
    ///
    /// Returns an error when the body was no JSON array of objects, or only a part of one.
    pub fn end(self, mut each: impl FnMut(ListedFile<'_>)) -> Result<(), String> {
        self.0.end(|json: &str| file(json, &mut each)).map(drop)
    }
}

/// Reads the file that `json` begins with, and returns how long it is; `None` when it is not whole.
///
/// A field of another type than the documented one counts as missing, so that one odd field never costs the gallery.
fn file(json: &str, mut each: impl FnMut(ListedFile<'_>)) -> serde_json::Result<Option<usize>> {
    let mut files = serde_json::Deserializer::from_str(json).into_iter::<WireMedia<'_>>();
    let error = match files.next() {
        Some(Ok(media)) => {
            each(media.into());
            return Ok(Some(files.byte_offset()));
        }
        Some(Err(error)) => error,
        None => return Ok(None),
    };
    if error.is_eof() {
        return Ok(None);
    }
    // Something in it is nothing that the parser takes, half a surrogate pair perhaps. That costs no other field.
    let mut raw = serde_json::Deserializer::from_str(json).into_iter::<&RawValue>();
    match raw.next() {
        Some(Ok(raw)) => each(field_by_field(raw.get()).ok_or(error)?.into()),
        Some(Err(raw)) if raw.is_eof() => return Ok(None),
        _ => return Err(error),
    }
    Ok(Some(raw.byte_offset()))
}

/// Reads the fields of a file one by one; what cannot be read is missing. `None` when it is no object.
fn field_by_field(json: &str) -> Option<WireMedia<'static>> {
    let mended = super::mend_surrogates(json.as_bytes());
    let json = mended.as_deref().unwrap_or(json.as_bytes());
    let fields: HashMap<String, &RawValue> = serde_json::from_slice(json).ok()?;
    let text = |name: &str| {
        let text = serde_json::from_str::<Text<'_>>(fields.get(name)?.get()).ok()?;
        Some(Cow::Owned(text.0?.into_owned()))
    };
    let date = |name: &str| {
        let date = fields.get(name).map(|raw| serde_json::from_str(raw.get()));
        date.map_or(Date::Absent, |date| date.unwrap_or(Date::Unreadable))
    };
    Some(WireMedia {
        id: Text(text("id")),
        time_created: date("timeCreated"),
        size: Text(text("size")),
        url: Text(text("url")),
        file_name: Text(text("fileName")),
        expires_at: date("expiresAt"),
    })
}

#[derive(Default)]
struct WireMedia<'a> {
    id: Text<'a>,
    time_created: Date,
    size: Text<'a>,
    url: Text<'a>,
    file_name: Text<'a>,
    expires_at: Date,
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
impl<'de: 'a, 'a> Deserialize<'de> for WireMedia<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WireMediaVisitor)
    }
}

struct WireMediaVisitor;

impl<'de> Visitor<'de> for WireMediaVisitor {
    type Value = WireMedia<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of one file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireMedia<'de>, A::Error> {
        let mut media = WireMedia::default();
        while let Some(field) = map.next_key()? {
            let text = match field {
                Field::Id => &mut media.id,
                Field::Size => &mut media.size,
                Field::Url => &mut media.url,
                Field::FileName => &mut media.file_name,
                Field::TimeCreated => {
                    media.time_created = map.next_value()?;
                    continue;
                }
                Field::ExpiresAt => {
                    media.expires_at = map.next_value()?;
                    continue;
                }
                Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *text = map.next_value()?;
        }
        Ok(media)
    }
}

/// A file as it is listed. Its size is not parsed before somebody wants to know.
#[derive(Debug)]
pub struct ListedFile<'a> {
    id: Text<'a>,
    created_at: Option<Timestamp>,
    size: Text<'a>,
    url: Text<'a>,
    file_name: Text<'a>,
    expires_at: Date,
}

impl<'a> From<WireMedia<'a>> for ListedFile<'a> {
    fn from(wire: WireMedia<'a>) -> Self {
        let WireMedia { id, time_created, size, url, file_name, expires_at } = wire;
        let created_at = time_created.moment();
        // A file cannot expire before it was uploaded, so such a date is a placeholder.
        let expires_at = match expires_at {
            Date::At(expiry) if created_at.is_some_and(|created_at| expiry < created_at) => Date::Absent,
            date => date,
        };
        Self { id, created_at, size, url, file_name, expires_at }
    }
}

impl File for ListedFile<'_> {
    fn id(&self) -> Option<&str> {
        self.id.0.as_deref()
    }

    fn file_name(&self) -> Option<&str> {
        self.file_name.0.as_deref()
    }

    fn url(&self) -> Option<&str> {
        self.url.0.as_deref()
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.moment()
    }

    fn has_unreadable_expiry(&self) -> bool {
        self.expires_at == Date::Unreadable
    }

    fn into_media(self) -> Media {
        Media {
            created_at: self.created_at,
            size_bytes: self.size.0.and_then(|size| size.trim().parse().ok()),
            id: self.id.0.map(Cow::into_owned),
            file_name: self.file_name.0.map(Cow::into_owned),
            url: self.url.0.map(Cow::into_owned),
            expires_at: self.expires_at.moment(),
        }
    }
}

/// A string or a number as text; whatever is empty, null or of another type is missing.
#[derive(Debug, Default)]
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

fn is_text(text: &str) -> bool {
    !text.chars().all(char::is_whitespace) && text.len() <= MAX_TEXT_BYTES
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(is_text(text).then_some(Cow::Borrowed(text))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(is_text(text).then(|| Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(body: impl AsRef<[u8]>, size: usize) -> Result<Vec<Media>, String> {
        let mut gallery = Vec::new();
        let mut add = |media: ListedFile<'_>| gallery.push(media.into_media());
        let mut reader = Reader::default();
        for piece in body.as_ref().chunks(size) {
            if !reader.take(piece, &mut add) {
                return Err("no array".to_owned());
            }
        }
        reader.end(add)?;
        Ok(gallery)
    }

    /// The files of a body; the same in whatever pieces it arrives.
    fn all(body: &str) -> Result<Vec<Media>, String> {
        let whole = in_pieces(body, usize::MAX);
        for size in [1, 2, 7, 100] {
            assert_eq!(in_pieces(body, size), whole, "{body} in pieces of {size}");
        }
        whole
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
        for wrong in [
            "",
            " ",
            "[",
            "[{",
            r#"[{"id":"1"}"#,
            "[{}] x",
            "[{}],",
            "[{},]",
            "[,]",
            "[,{}]",
            "[{}{}]",
            "[{};{}]",
            "]",
            "null",
            "\"a\"",
            "[1]",
            "[null]",
            "[[]]",
            "[\"a\"]",
            "[{]",
            r#"[{"id":"1}]"#,
            r#"[{"id"}]"#,
            "<html>",
            "{}",
        ] {
            assert!(all(wrong).is_err(), "{wrong}");
        }
        assert_eq!(all("[]"), Ok(vec![]));
        assert_eq!(all(" [ { } , {} ]\n").map(|files| files.len()), Ok(2));
        let error = |body: &str| in_pieces(body, usize::MAX).unwrap_err();
        assert_eq!(error("[{},{}"), "it ends after 2 files, and before the list does");
        assert_eq!(error("[{} {}]"), "`{` is unexpected after 1 files");
        assert!(error("[{},3]").starts_with("file 2: invalid type: integer `3`, expected an object of one file"));
    }

    #[test]
    fn characters_may_arrive_in_pieces_and_must_be_whole() {
        let name = |files: Vec<Media>| files[0].file_name.clone();
        assert_eq!(all(r#"[{"fileName":"Größe 🎉.png"}]"#).map(name), Ok(Some("Größe 🎉.png".to_owned())));
        for (body, error) in [
            (&b"[{},{\"fileName\":\"a\xffb\"}]"[..], "what follows after 1 files is no UTF-8"),
            (b"[{},\xc3{}]", "what follows after 1 files is no UTF-8"),
            (b"[{}]\xff", "what follows after 1 files is no UTF-8"),
            (b"[{},{\"fileName\":\"a\xc3", "it ends after 1 files, and before the list does"),
            (b"[{}]\xc3", "it ends after 1 files, and before the list does"),
        ] {
            for size in [1, 3, 100] {
                assert_eq!(in_pieces(body, size).unwrap_err(), error, "{} in pieces of {size}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn what_no_parser_takes_costs_one_field() {
        let odd = r#"[{"id":"1","fileName":"a\ud83d.png","size":1e999,"other":"\udcf8","expiresAt":"2026-11-25T06:00:00Z"},{"id":"2"}]"#;
        let files = all(odd).expect("files");
        assert_eq!((files[0].file_name.as_deref(), files[0].size_bytes), (Some("a\u{fffd}.png"), None));
        assert_eq!(files[0].expires_at, "2026-11-25T06:00:00Z".parse().ok());
        assert_eq!(files[1].id.as_deref(), Some("2"));
    }
}
