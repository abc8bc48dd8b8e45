//! Parses the response of `GET /media`: an array of objects, whose fields may all be missing or null.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::date::{Date, UnparsedDate};
use super::list::{ListReader, is_incomplete};
use crate::model::{File, Media};

/// The longest text of a field. A longer one counts as missing, so that a single file cannot fill a message.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Parses a gallery as it arrives. Only one file is in memory at a time.
#[derive(Debug)]
pub struct Reader(ListReader);

impl Default for Reader {
    fn default() -> Self {
        Self(ListReader::of_array("file"))
    }
}

impl Reader {
    /// Takes the next chunk of the body and passes each complete file to `each`.
    ///
    /// Returns false if the body is not an array. Then the chunk is ignored.
    pub fn take(&mut self, piece: &[u8], mut each: impl FnMut(ListedFile<'_>)) -> bool {
        self.0.take(piece, |json: &str| file(json, &mut each))
    }

    /// Checks that the array was complete.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is incomplete or is not a JSON array of objects.
    pub fn end(self, mut each: impl FnMut(ListedFile<'_>)) -> Result<(), String> {
        self.0.end(|json: &str| file(json, &mut each)).map(drop)
    }
}

/// Parses the file at the beginning of `json`, and returns its length. Returns `None` if the file is incomplete.
///
/// A field with an undocumented type counts as missing, so that one invalid field does not make the gallery unreadable.
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
    // One of its values is invalid, for example half of a surrogate pair. The other fields can still be parsed.
    let mut raw = serde_json::Deserializer::from_str(json).into_iter::<&RawValue>();
    match raw.next() {
        Some(Ok(raw)) => each(field_by_field(raw.get()).ok_or(error)?.into()),
        Some(Err(raw)) if is_incomplete(&raw, json) => return Ok(None),
        _ => return Err(error),
    }
    Ok(Some(raw.byte_offset()))
}

/// Parses the fields of a file one by one. Invalid ones count as missing. Returns `None` if it is not an object.
fn field_by_field(json: &str) -> Option<WireMedia<'static>> {
    let replaced = super::replace_unpaired_surrogates(json.as_bytes());
    let json = replaced.as_deref().unwrap_or(json.as_bytes());
    let fields: HashMap<String, &RawValue> = serde_json::from_slice(json).ok()?;
    let text = |name: &str| {
        let text = serde_json::from_str::<Text<'_>>(fields.get(name)?.get()).ok()?;
        Some(Cow::Owned(text.0?.into_owned()))
    };
    let date = |name: &str| {
        let date = fields.get(name).map(|raw| serde_json::from_str(raw.get()));
        date.map_or(Date::Absent, |date| date.unwrap_or(Date::Unreadable)).into()
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
    time_created: UnparsedDate<'a>,
    size: Text<'a>,
    url: Text<'a>,
    file_name: Text<'a>,
    expires_at: UnparsedDate<'a>,
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

// Not derived, because a derived implementation also accepts arrays, and rejects duplicate fields.
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

/// A file in a gallery. Its size and the date of its upload are parsed only when they are needed.
#[derive(Debug)]
pub struct ListedFile<'a> {
    id: Text<'a>,
    time_created: UnparsedDate<'a>,
    size: Text<'a>,
    url: Text<'a>,
    file_name: Text<'a>,
    expires_at: Date,
}

impl<'a> From<WireMedia<'a>> for ListedFile<'a> {
    fn from(wire: WireMedia<'a>) -> Self {
        let WireMedia { id, time_created, size, url, file_name, expires_at } = wire;
        // A file cannot expire before it is uploaded, so such a date is a placeholder.
        let expires_at = match expires_at.parse() {
            Date::At(expiry) if time_created.is_after(expires_at, expiry) => Date::Absent,
            date => date,
        };
        Self { id, time_created, size, url, file_name, expires_at }
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

    fn size_bytes(&self) -> Option<u64> {
        self.size.0.as_deref().and_then(|size| size.trim().parse().ok())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.moment()
    }

    fn has_unreadable_expiry(&self) -> bool {
        self.expires_at == Date::Unreadable
    }

    fn into_media(self) -> Media {
        Media {
            created_at: self.time_created.parse().moment(),
            size_bytes: self.size_bytes(),
            id: self.id.0.map(Cow::into_owned),
            file_name: self.file_name.0.map(Cow::into_owned),
            url: self.url.0.map(Cow::into_owned),
            expires_at: self.expires_at.moment(),
        }
    }
}

/// A string or number as text. Empty strings, null and values of other types count as missing.
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

    /// Parses the files of a body, and checks that the result does not depend on the size of its chunks.
    fn all(body: &str) -> Result<Vec<Media>, String> {
        let whole = in_pieces(body, usize::MAX);
        for size in [1, 2, 7, 100] {
            assert_eq!(in_pieces(body, size), whole, "{body} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn the_documented_fields_are_parsed() {
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
    fn a_number_may_be_cut_anywhere() {
        let body = r#"[{"duration":-12.5e-1,"fileName":"half \ud83d","expiresAt":1795608000.0,"size":1e3}]"#;
        let files = all(body).expect("a gallery");
        assert_eq!(files[0].expires_at, "2026-11-25T12:00:00Z".parse().ok());
    }

    #[test]
    fn empty_fields_and_fields_of_another_type_count_as_missing() {
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
    fn different_formats_of_the_same_expiry_are_equal() {
        let expires_at = |text: &str| all(&format!(r#"[{{"expiresAt":"{text}"}}]"#)).map(|all| all[0].expires_at);
        assert_eq!(expires_at("2026-11-25T08:00:00+02:00"), expires_at("2026-11-25T06:00:00.000Z"));
    }

    #[test]
    fn an_incomplete_body_or_another_shape_is_an_error() {
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
        assert_eq!(error("[{},{}"), "it ends after 2 files, before the end of the list");
        assert_eq!(error("[{} {}]"), "`{` is unexpected after 1 files");
        assert!(error("[{},3]").starts_with("file 2: invalid type: integer `3`, expected an object of one file"));
    }

    #[test]
    fn characters_may_be_split_between_chunks_but_must_be_complete() {
        let name = |files: Vec<Media>| files[0].file_name.clone();
        assert_eq!(all(r#"[{"fileName":"Größe 🎉.png"}]"#).map(name), Ok(Some("Größe 🎉.png".to_owned())));
        for (body, error) in [
            (&b"[{},{\"fileName\":\"a\xffb\"}]"[..], "it is not UTF-8 after 1 files"),
            (b"[{},\xc3{}]", "it is not UTF-8 after 1 files"),
            (b"[{}]\xff", "it is not UTF-8 after 1 files"),
            (b"[{},{\"fileName\":\"a\xc3", "it ends after 1 files, before the end of the list"),
            (b"[{}]\xc3", "it ends after 1 files, before the end of the list"),
        ] {
            for size in [1, 3, 100] {
                assert_eq!(in_pieces(body, size).unwrap_err(), error, "{} in pieces of {size}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn an_invalid_value_only_affects_its_own_field() {
        let odd = r#"[{"id":"1","fileName":"a\ud83d.png","size":1e999,"other":"\udcf8","expiresAt":"2026-11-25T06:00:00Z"},{"id":"2"}]"#;
        let files = all(odd).expect("files");
        assert_eq!((files[0].file_name.as_deref(), files[0].size_bytes), (Some("a\u{fffd}.png"), None));
        assert_eq!(files[0].expires_at, "2026-11-25T06:00:00Z".parse().ok());
        assert_eq!(files[1].id.as_deref(), Some("2"));
    }
}
