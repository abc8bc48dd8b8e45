//! Parses a JSON list as it arrives: an array, or an object with the array in one of its members.
//!
//! Responses can have tens of megabytes. Only one element of the list is in memory at a time.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The largest element. Files and posts are much smaller, and a larger element must not fill the memory.
const MAX_ELEMENT_BYTES: usize = 1024 * 1024;
/// How much of the other members is kept. It is enough for an error object.
const MAX_OTHER_BYTES: usize = 16 * 1024;

/// Parses the elements of one list.
#[derive(Debug)]
pub struct ListReader {
    /// The name of the member with the array. `None` if the body itself is the array.
    member: Option<&'static str>,
    /// What an element is called in errors.
    element: &'static str,
    next: Next,
    /// How many elements were parsed.
    elements: usize,
    /// The part of the next element that has arrived.
    rest: Vec<u8>,
    /// The length that `rest` must reach before it is parsed again.
    enough: usize,
    /// The other members of the object.
    others: Map<String, Value>,
    other_bytes: usize,
    has_list: bool,
    error: Option<String>,
}

/// The expected next part of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Start,
    MemberOrEnd,
    Member,
    MemberCommaOrEnd,
    ElementOrEnd,
    Element,
    ElementCommaOrEnd,
    Nothing,
}

/// Parses the element at the beginning of a text and returns its length, or `None` if it is incomplete.
pub trait ReadElement: FnMut(&str) -> serde_json::Result<Option<usize>> {}

impl<F: FnMut(&str) -> serde_json::Result<Option<usize>>> ReadElement for F {}

/// The result of a complete body.
#[derive(Debug, PartialEq)]
pub enum End {
    /// The list was complete. Contains the other members of its object.
    List(Map<String, Value>),
    /// The body was an object without the list, which is probably an error.
    Other(Map<String, Value>),
}

impl ListReader {
    /// Creates a reader for a body that is an array.
    #[must_use]
    pub fn of_array(element: &'static str) -> Self {
        Self::new(None, element)
    }

    /// Creates a reader for a body that is an object with the array in `member`.
    #[must_use]
    pub fn of_member(member: &'static str, element: &'static str) -> Self {
        Self::new(Some(member), element)
    }

    fn new(member: Option<&'static str>, element: &'static str) -> Self {
        Self {
            member,
            element,
            next: Next::Start,
            elements: 0,
            rest: Vec::new(),
            enough: 0,
            others: Map::new(),
            other_bytes: 0,
            has_list: false,
            error: None,
        }
    }

    /// Takes the next chunk of the body and parses the elements that are complete.
    ///
    /// Returns false if the body does not begin with the expected character. Then the chunk is ignored.
    pub fn take(&mut self, piece: &[u8], read: impl ReadElement) -> bool {
        let opening = if self.member.is_some() { b'{' } else { b'[' };
        if self.next == Next::Start
            && let Some(first) = piece.iter().find(|byte| !is_blank(**byte))
            && *first != opening
        {
            return false;
        }
        if self.error.is_none() {
            self.rest.extend_from_slice(piece);
            // The length is doubled, so that an element in many chunks is not parsed again after each of them.
            if self.enough <= self.rest.len() {
                self.error = self.read(read).err();
            }
        }
        true
    }

    /// Checks that the body was complete.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is incomplete, or is not JSON of the expected shape.
    pub fn end(mut self, read: impl ReadElement) -> Result<End, String> {
        if self.error.is_none() {
            self.error = self.read(read).err();
        }
        match self.error {
            Some(error) => Err(error),
            None if self.next != Next::Nothing || !self.rest.is_empty() => {
                Err(format!("it ends after {} {}s, before the end of the list", self.elements, self.element))
            }
            None if self.has_list => Ok(End::List(self.others)),
            None => Ok(End::Other(self.others)),
        }
    }

    fn read(&mut self, mut read: impl ReadElement) -> Result<(), String> {
        let rest = std::mem::take(&mut self.rest);
        // The whole chunk is validated once. A character at its end may be completed by the next chunk.
        let (text, is_text) = match std::str::from_utf8(&rest) {
            Ok(text) => (text, true),
            Err(error) => {
                let text = std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default();
                (text, error.error_len().is_none())
            }
        };
        let read = self.read_text(text, &mut read)?;
        if !is_text {
            return Err(format!("it is not UTF-8 after {} {}s", self.elements, self.element));
        }
        self.rest = rest;
        self.rest.drain(..read);
        self.enough = self.rest.len() * 2;
        Ok(())
    }

    /// Parses the complete part of `text` and returns its length.
    fn read_text(&mut self, text: &str, read: &mut impl ReadElement) -> Result<usize, String> {
        let mut at = 0;
        loop {
            at += text[at..].bytes().take_while(u8::is_ascii_whitespace).count();
            let Some(&byte) = text.as_bytes().get(at) else { return Ok(at) };
            let length = match (self.next, byte) {
                (Next::ElementOrEnd | Next::Element, byte) if byte != b']' || self.next == Next::Element => {
                    let length = read(&text[at..])
                        .map_err(|error| format!("{} {}: {error}", self.element, self.elements + 1))?;
                    if length.is_some() {
                        self.elements += 1;
                        self.next = Next::ElementCommaOrEnd;
                    }
                    length
                }
                (Next::MemberOrEnd | Next::Member, b'"') => self.read_member(&text[at..])?,
                (next, byte) => {
                    self.next = self.after(next, byte, &text[at..])?;
                    Some(text[at..].chars().next().map_or(1, char::len_utf8))
                }
            };
            match length {
                Some(length) => at += length,
                None if MAX_ELEMENT_BYTES < text.len() - at => {
                    let number = self.elements + 1;
                    return Err(format!("{} {number} is larger than {MAX_ELEMENT_BYTES} bytes", self.element));
                }
                None => return Ok(at),
            }
        }
    }

    /// Returns the expected next part after a punctuation character.
    fn after(&mut self, next: Next, byte: u8, text: &str) -> Result<Next, String> {
        Ok(match (next, byte) {
            // A byte order mark is not allowed in JSON, but some servers send one.
            (Next::Start, _) if text.starts_with('\u{feff}') => Next::Start,
            (Next::Start, b'[') if self.member.is_none() => {
                self.has_list = true;
                Next::ElementOrEnd
            }
            (Next::Start, b'{') if self.member.is_some() => Next::MemberOrEnd,
            (Next::ElementOrEnd | Next::ElementCommaOrEnd, b']') if self.member.is_some() => Next::MemberCommaOrEnd,
            (Next::ElementCommaOrEnd, b',') => Next::Element,
            (Next::ElementOrEnd | Next::ElementCommaOrEnd, b']')
            | (Next::MemberOrEnd | Next::MemberCommaOrEnd, b'}') => Next::Nothing,
            (Next::MemberCommaOrEnd, b',') => Next::Member,
            _ => {
                return Err(format!(
                    "`{}` is unexpected after {} {}s",
                    byte.escape_ascii(),
                    self.elements,
                    self.element
                ));
            }
        })
    }

    /// Parses the name of a member and, unless it is the list, its value. Returns their length.
    fn read_member(&mut self, text: &str) -> Result<Option<usize>, String> {
        let Some((name, after_name)) = prefix::<String>(text)? else { return Ok(None) };
        let colon = after_name + blanks(&text[after_name..]);
        match text.as_bytes().get(colon) {
            None => return Ok(None),
            Some(b':') => {}
            Some(byte) => return Err(format!("`{}` is unexpected after the name of a member", byte.escape_ascii())),
        }
        let value = colon + 1 + blanks(&text[colon + 1..]);
        let is_list = self.member.is_some_and(|member| name == member);
        match text.as_bytes().get(value) {
            None => return Ok(None),
            Some(b'[') if is_list && self.has_list => return Err(format!("it has two members `{name}`")),
            Some(b'[') if is_list => {
                self.has_list = true;
                self.next = Next::ElementOrEnd;
                return Ok(Some(value + 1));
            }
            Some(_) => {}
        }
        // A number at the end of a chunk may continue in the next one.
        let Some((raw, length)) =
            prefix::<&RawValue>(&text[value..])?.filter(|(_, length)| value + length < text.len())
        else {
            return Ok(None);
        };
        self.other_bytes += name.len() + length;
        if self.other_bytes <= MAX_OTHER_BYTES
            && let Ok(other) = serde_json::from_str(raw.get())
        {
            self.others.insert(name, other);
        }
        self.next = Next::MemberCommaOrEnd;
        Ok(Some(value + length))
    }
}

/// Returns whether an error means that `text` is incomplete, and not that it is invalid.
///
/// A chunk may end in the middle of a number. For a value that is skipped, `serde_json` calls a number invalid that ends with
/// its sign, its point or its `e`.
pub fn is_incomplete(error: &serde_json::Error, text: &str) -> bool {
    error.is_eof() || text.ends_with(['-', '+', '.', 'e', 'E'])
}

/// Parses the value at the beginning of a text and returns it with its length. Returns `None` if it is incomplete.
fn prefix<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<Option<(T, usize)>, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Ok(Some((value, values.byte_offset()))),
        Some(Err(error)) if !is_incomplete(&error, text) => Err(error.to_string()),
        Some(Err(_)) | None => Ok(None),
    }
}

fn blanks(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_whitespace).count()
}

/// Returns whether a byte may precede the JSON: white space, or part of a byte order mark.
pub fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut reader: ListReader, body: &[u8], size: usize) -> Result<(Vec<String>, End), String> {
        let mut elements = Vec::new();
        let mut read = |text: &str| {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
            match values.next() {
                Some(Ok(value)) => elements.push(Value::Object(value).to_string()),
                Some(Err(error)) if !error.is_eof() => return Err(error),
                _ => return Ok(None),
            }
            Ok(Some(values.byte_offset()))
        };
        for piece in body.chunks(size) {
            if !reader.take(piece, &mut read) {
                return Err("another shape".to_owned());
            }
        }
        let end = reader.end(read)?;
        Ok((elements, end))
    }

    /// Parses a body with the member `history`, and checks that the result does not depend on the size of its chunks.
    fn of_member(body: &str) -> Result<(Vec<String>, End), String> {
        let whole = read_all(ListReader::of_member("history", "post"), body.as_bytes(), usize::MAX);
        for size in [1, 2, 3, 7, 100] {
            let pieces = read_all(ListReader::of_member("history", "post"), body.as_bytes(), size);
            assert_eq!(pieces, whole, "{body} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn the_list_is_found_between_other_members() {
        for body in [
            r#"{"history":[{"id":1},{"id":2}]}"#,
            r#" { "refId" : "x" , "history" : [ {"id":1} , {"id":2} ] , "count" : 2 } "#,
            r#"{"a":{"history":[7]},"b":[1,"]}"],"history":[{"id":1},{"id":2}],"status":"success","n":null}"#,
            "\u{feff}{\"history\":[{\"id\":1},{\"id\":2}]}",
        ] {
            let (elements, end) = of_member(body).expect(body);
            assert_eq!(elements, [r#"{"id":1}"#, r#"{"id":2}"#], "{body}");
            assert!(matches!(end, End::List(_)), "{body}");
        }
        assert_eq!(of_member(r#"{"history":[]}"#), Ok((vec![], End::List(Map::new()))));
    }

    #[test]
    fn an_object_without_the_list_is_returned() {
        for body in [r#"{"code":221}"#, r#"{"history":{"code":221}}"#, "{}"] {
            let (elements, end) = of_member(body).expect(body);
            let End::Other(others) = end else { panic!("{body}") };
            assert_eq!((elements.len(), Value::Object(others).to_string()), (0, body.to_owned()));
        }
    }

    #[test]
    fn an_incomplete_body_or_another_shape_is_an_error() {
        for wrong in [
            "",
            "[]",
            "{",
            r#"{"history""#,
            r#"{"history":"#,
            r#"{"history":["#,
            r#"{"history":[{}"#,
            r#"{"history":[{}]"#,
            r#"{"history":[{}],"#,
            r#"{"history":[{},]}"#,
            r#"{"history":[,]}"#,
            r#"{"history":[1]}"#,
            r#"{"history":[{}]]"#,
            r#"{"history":[]}x"#,
            r#"{"history":[],"history":[]}"#,
            r#"{"history" []}"#,
            r#"{"count":1"#,
            r#"{"count":1 2}"#,
            r#"{,"a":1}"#,
            r"{1:2}",
            "<html>",
            "null",
        ] {
            assert!(of_member(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_may_be_cut_anywhere() {
        let numbers = "[0,-1,12.5,-0.25,1e3,1E-3,1.5e+3]";
        let body = format!(r#"{{"before":{numbers},"n":-1.5,"history":[{{"id":1,"n":{numbers}}}],"after":-1e-7}}"#);
        let (elements, end) = of_member(&body).expect("a list");
        assert_eq!(elements.len(), 1);
        let End::List(others) = end else { panic!("no list") };
        assert_eq!(others.keys().collect::<Vec<_>>(), ["after", "before", "n"]);
        // What is no number at all is still an error.
        for wrong in [r#"{"n":-,"history":[]}"#, r#"{"n":1.,"history":[]}"#, r#"{"n":1e"#, r#"{"n":-"#] {
            assert!(of_member(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_an_array_is_skipped() {
        for size in [1, 2, 100] {
            let body = "\u{feff} [{\"id\":1}]".as_bytes();
            let (elements, _) = read_all(ListReader::of_array("file"), body, size).expect("a list");
            assert_eq!(elements.len(), 1);
        }
    }

    fn skip_element(text: &str) -> serde_json::Result<Option<usize>> {
        prefix::<&RawValue>(text).map(|element| element.map(|(_, length)| length)).map_err(serde::de::Error::custom)
    }

    #[test]
    fn only_one_element_is_kept_in_memory() {
        let element = format!(r#"{{"id":"{}"}},"#, "a".repeat(90));
        for (mut reader, start) in
            [(ListReader::of_array("file"), "["), (ListReader::of_member("history", "post"), r#"{"history":["#)]
        {
            let body = format!("{start}{}", element.repeat(10_000));
            for piece in body.as_bytes().chunks(1_000) {
                reader.take(piece, skip_element);
                assert!(reader.rest.len() < 2 * element.len());
            }
            assert!(reader.rest.capacity() < 3_000, "{}", reader.rest.capacity());
        }

        let mut reader = ListReader::of_array("file");
        for piece in ["[", &" ".repeat(5_000), "\n\n"] {
            reader.take(piece.as_bytes(), skip_element);
        }
        assert_eq!(reader.rest.len(), 0, "white space is not kept");
    }

    #[test]
    fn other_members_are_kept_within_a_limit() {
        let mut reader = ListReader::of_member("history", "post");
        reader.take(b"{", skip_element);
        for index in 0..10_000 {
            reader.take(format!(r#""member-{index}":"{}","#, "a".repeat(90)).as_bytes(), skip_element);
        }
        assert!(reader.others.len() < 200, "{}", reader.others.len());
    }

    #[test]
    fn an_element_that_is_too_large_is_an_error() {
        let endless = "a".repeat(3 * MAX_ELEMENT_BYTES);
        let error = |reader: ListReader, body: &str| read_all(reader, body.as_bytes(), 16 * 1024).unwrap_err();
        let of_array = error(ListReader::of_array("file"), &format!(r#"[{{}},{{"id":"{endless}"#));
        assert_eq!(of_array, "file 2 is larger than 1048576 bytes");
        let of_member = error(ListReader::of_member("history", "post"), &format!(r#"{{"other":"{endless}"#));
        assert_eq!(of_member, "post 1 is larger than 1048576 bytes");
    }
}
