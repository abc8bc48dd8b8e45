//! Reading a JSON array or JSON Lines as they arrive. Only one entry is in memory at any time.

use secrecy::zeroize::Zeroizing;
use serde_json::Value;

use super::ListedProfiles;
use super::entries::{ListEntries, ListEntry};
use crate::config::Profile;

/// The longest entry. A longer one cannot be used, and is not kept in memory.
const MAX_ENTRY_BYTES: usize = 64 * 1024;

/// Reads one document, piece by piece.
#[derive(Debug)]
pub struct DocumentReader {
    entries: ListEntries,
    next: Expected,
    /// What has arrived of the next entry. It contains a key.
    entry: Zeroizing<Vec<u8>>,
    is_too_long: bool,
    error: Option<String>,
}

/// What must come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The first character decides between the two formats.
    Start,
    /// JSON Lines: an entry ends with its line.
    Line,
    /// An array: an element, or the end if there is none yet.
    ElementOrEnd,
    /// An array: an element ends with a comma or a bracket outside of it.
    Element { depth: usize, string: StringState },
    /// Nothing but white space.
    Nothing,
}

/// Whether a character of an element is in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StringState {
    Outside,
    Inside,
    AfterBackslash,
}

impl DocumentReader {
    /// Begins a document. The names of the profiles in the configuration are taken.
    pub fn new(configured: &[Profile]) -> Self {
        Self {
            entries: ListEntries::new(configured),
            next: Expected::Start,
            entry: Zeroizing::new(Vec::with_capacity(1024)),
            is_too_long: false,
            error: None,
        }
    }

    /// Takes the next piece. Returns whether more is needed.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        for byte in piece {
            if self.error.is_some() || self.entries.is_full() {
                return false;
            }
            if let Err(error) = self.take_byte(*byte) {
                self.error = Some(error);
            }
        }
        true
    }

    fn take_byte(&mut self, byte: u8) -> Result<(), String> {
        let is_blank = byte.is_ascii_whitespace();
        self.next = match (self.next, byte) {
            // White space, or a byte order mark, which is no JSON but stands before some.
            (Expected::Start, byte) if is_blank || matches!(byte, 0xEF | 0xBB | 0xBF) => Expected::Start,
            (Expected::Start, b'[') => Expected::ElementOrEnd,
            (Expected::Line, b'\n') => {
                self.end_line();
                Expected::Line
            }
            (Expected::Start | Expected::Line, byte) => {
                self.keep(byte);
                Expected::Line
            }
            (Expected::ElementOrEnd, b']') => Expected::Nothing,
            (Expected::ElementOrEnd, _) if is_blank => Expected::ElementOrEnd,
            (Expected::ElementOrEnd, byte) => self.take_of_element(byte, 0, StringState::Outside)?,
            (Expected::Element { depth, string }, byte) => self.take_of_element(byte, depth, string)?,
            (Expected::Nothing, _) if is_blank => Expected::Nothing,
            (Expected::Nothing, _) => return Err("there is more text after the end of the array".to_owned()),
        };
        Ok(())
    }

    fn take_of_element(&mut self, byte: u8, depth: usize, string: StringState) -> Result<Expected, String> {
        let (depth, string) = match (string, byte) {
            (StringState::Outside, b',' | b']') if depth == 0 => {
                self.end_element()?;
                let outside = Expected::Element { depth: 0, string: StringState::Outside };
                return Ok(if byte == b',' { outside } else { Expected::Nothing });
            }
            (StringState::Outside, b'[' | b'{') => (depth + 1, string),
            (StringState::Outside, b']' | b'}') => (depth.saturating_sub(1), string),
            (StringState::Outside, b'"') | (StringState::AfterBackslash, _) => (depth, StringState::Inside),
            (StringState::Inside, b'"') => (depth, StringState::Outside),
            (StringState::Inside, b'\\') => (depth, StringState::AfterBackslash),
            _ => (depth, string),
        };
        self.keep(byte);
        Ok(Expected::Element { depth, string })
    }

    fn keep(&mut self, byte: u8) {
        if self.entry.len() < MAX_ENTRY_BYTES {
            self.entry.push(byte);
        } else {
            self.is_too_long = true;
        }
    }

    /// Ends an entry of JSON Lines. A line that is not JSON is an entry that cannot be used.
    fn end_line(&mut self) {
        if !self.entry.trim_ascii().is_empty() {
            let entry = self.parse().unwrap_or(Err("it is not JSON"));
            self.entries.add(entry);
        }
        self.clear();
    }

    /// Ends an element of an array. If it is not JSON, the document cannot be read, because it is unknown where the next
    /// element begins.
    fn end_element(&mut self) -> Result<(), String> {
        let Ok(entry) = self.parse() else { return Err("it is not valid JSON".to_owned()) };
        self.entries.add(entry);
        self.clear();
        Ok(())
    }

    /// Parses the entry. The error text of the parser is not used, because it may quote a key.
    fn parse(&self) -> serde_json::Result<Result<ListEntry, &'static str>> {
        if self.is_too_long {
            return Ok(Err("it is longer than 64 KiB"));
        }
        Ok(match serde_json::from_slice(&self.entry)? {
            Value::Object(object) => Ok(ListEntry::of_object(object)),
            _ => Err("it is not an object"),
        })
    }

    fn clear(&mut self) {
        // `clear` of `Zeroizing` would not overwrite the bytes, and a long entry need not stay allocated.
        self.entry = Zeroizing::new(Vec::with_capacity(1024));
        self.is_too_long = false;
    }

    /// Ends the document.
    ///
    /// # Errors
    ///
    /// Returns an error if the document is empty, incomplete, or no list of profiles.
    pub fn finish(mut self) -> Result<ListedProfiles, String> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.next {
            _ if self.entries.is_full() => {}
            Expected::Start => return Err("it is empty; a list without profiles is `[]`".to_owned()),
            Expected::Line => self.end_line(),
            Expected::ElementOrEnd | Expected::Element { .. } => {
                return Err("it ends before the array is complete".to_owned());
            }
            Expected::Nothing => {}
        }
        self.entries.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the profiles and of what cannot be used; the same in whatever pieces the document arrives.
    fn read(document: &[u8]) -> Result<(Vec<String>, Vec<String>), String> {
        let read = |size: usize| {
            let mut reader = DocumentReader::new(&[]);
            document.chunks(size).for_each(|piece| _ = reader.take(piece));
            let listed = reader.finish()?;
            let profiles = listed.profiles.iter().map(|profile| profile.name.to_string()).collect();
            Ok((profiles, listed.failed.iter().map(|failed| failed.profile.to_string()).collect()))
        };
        let whole = read(document.len().max(1));
        for size in [1, 2, 7] {
            assert_eq!(read(size), whole, "in pieces of {size}");
        }
        whole
    }

    fn names(document: &str) -> Result<(Vec<String>, Vec<String>), String> {
        read(document.as_bytes())
    }

    const A: &str = r#"{"name":"A, ]}\"","key":"K1","tags":["x"],"more":{"a":[{}]}}"#;
    const B: &str = r#"{"name":"B","key":"K2"}"#;

    #[test]
    fn both_formats_are_recognized_by_their_first_character() {
        let expected = Ok((vec!["A, ]}\"".to_owned(), "B".to_owned()], vec![]));
        for document in [
            format!("{A}\n{B}"),
            format!("{A}\r\n\r\n{B}\r\n"),
            format!("\u{feff}\n {A}\n  {B}  \n\n"),
            format!("[{A},{B}]"),
            format!("\u{feff} [ {A} ,\n {B}\n]\n"),
        ] {
            assert_eq!(names(&document), expected, "{document}");
        }
        assert_eq!(names("[]"), Ok((vec![], vec![])));
        assert_eq!(names(" [ ]\n"), Ok((vec![], vec![])));
    }

    #[test]
    fn a_bad_line_is_an_invalid_entry() {
        let found = |document: &str| names(document).expect(document);
        let (b, bad) = (vec!["B".to_owned()], |index: usize| vec![format!("profiles_from[{index}]")]);
        assert_eq!(found(&format!("{B}\n{{\"name\":\"C\",\"key\"")), (b.clone(), bad(1)));
        assert_eq!(found(&format!("nonsense\n{B}\n")), (b.clone(), bad(0)));
        assert_eq!(found(&format!("{B}\n\n5\n")), (b.clone(), bad(1)));
        assert_eq!(found(&format!("{B}{B}\n{B}\n")), (b, bad(0)));
        let invalid_text = [b"{\"name\":\"\xC3\x28\",\"key\":\"K\"}\n", B.as_bytes()].concat();
        assert_eq!(read(&invalid_text), Ok((vec!["B".to_owned()], bad(0))));
    }

    #[test]
    fn a_broken_array_is_not_read() {
        for document in [
            "[",
            "[ ",
            &format!("[{B}"),
            &format!("[{B},"),
            &format!("[{B},]"),
            &format!("[,{B}]"),
            &format!("[{B} {A}]"),
            &format!("[{B},nonsense]"),
            &format!("[{B},{{\"name\":\"C}}]"),
            &format!("[{B}]]"),
            &format!("[{B}] {A}"),
            &format!("[{B}}},{A}]"),
        ] {
            assert!(names(document).is_err(), "{document}");
        }
        assert_eq!(names(&format!("[{B},5]")), Ok((vec!["B".into()], vec!["profiles_from[1]".into()])));
    }

    #[test]
    fn another_document_is_not_a_list() {
        for document in ["", " \n", "\u{feff}", "{\"error\":\"internal\"}", "<html>\n<body>\n", "null", "[5]", "[[]]"] {
            assert!(names(document).is_err(), "{document}");
        }
        let error = names("{\"error\": \"SECRET-1\"").expect_err("an error");
        assert!(!error.contains("SECRET"), "{error}");
    }

    #[test]
    fn a_long_entry_cannot_be_used_and_is_not_kept() {
        let long = format!("{{\"name\":\"C\",\"key\":\"{}\"}}", "x".repeat(2 * MAX_ENTRY_BYTES));
        for document in [format!("{long}\n{B}"), format!("[{long},{B}]")] {
            assert_eq!(names(&document), Ok((vec!["B".to_owned()], vec!["profiles_from[0]".to_owned()])));
        }
        let mut reader = DocumentReader::new(&[]);
        (0..10).for_each(|_| _ = reader.take(&vec![b'x'; MAX_ENTRY_BYTES]));
        assert_eq!(reader.entry.len(), MAX_ENTRY_BYTES);
    }
}
