//! Reading the tables of a document field by field, and collecting all errors instead of stopping at the first.

use std::cell::RefCell;
use std::fmt::Display;
use std::time::Duration;

use serde_json::{Map, Value};

use super::fault::{Fault, Faults};
use super::reference::ResolvedReferences;
use crate::model::threshold::{DurationError, parse_duration};

/// A table of the document. It tracks which keys were read, and reports errors to [`Faults`].
pub struct Table<'a> {
    path: String,
    fields: &'a Map<String, Value>,
    known_keys: RefCell<Vec<&'static str>>,
    resolved: &'a ResolvedReferences,
    faults: &'a Faults,
}

/// A string of the document and its path.
pub struct TextField<'a> {
    pub path: String,
    pub value: &'a str,
    /// Whether the document contains the string itself, and not a reference to it.
    pub is_literal: bool,
}

impl<'a> Table<'a> {
    /// Returns the table at `path`. Reports an error and returns `None` when the value is not a table.
    pub fn new(path: &str, value: &'a Value, resolved: &'a ResolvedReferences, faults: &'a Faults) -> Option<Self> {
        let Some(fields) = value.as_object() else {
            faults.add(Fault::new(path, format!("expected a table, found {}", name_of(value))));
            return None;
        };
        Some(Self { path: path.to_owned(), fields, known_keys: RefCell::default(), resolved, faults })
    }

    /// Returns the path of a key of this table.
    pub fn path_of(&self, key: &str) -> String {
        super::join(&self.path, key)
    }

    /// Reports an error at a key of this table.
    pub fn fault(&self, key: &str, reason: impl Display) {
        self.faults.add(Fault::new(&self.path_of(key), reason));
    }

    /// Reports an error at a string of this table. The reason must not repeat the string, which may be a secret.
    pub fn fault_at(&self, text: &TextField<'_>, reason: impl Display) {
        self.faults.add(Fault::new(&text.path, reason));
    }

    /// Returns whether the value of `key` is an empty array.
    pub fn is_empty_array(&self, key: &'static str) -> bool {
        self.get(key).and_then(Value::as_array).is_some_and(Vec::is_empty)
    }

    /// Returns whether the table has the key.
    pub fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.known_keys.borrow_mut().push(key);
        self.fields.get(key)
    }

    /// Returns the value if `get` accepts its type, and reports an error otherwise.
    fn typed<T>(
        &self,
        path: &str,
        value: &'a Value,
        expected: &str,
        get: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        if self.resolved.is_unresolved(path, value) {
            return None;
        }
        let found = get(value);
        if found.is_none() {
            self.faults.add(Fault::new(path, format!("expected {expected}, found {}", name_of(value))));
        }
        found
    }

    /// Returns the table at `key`.
    pub fn table(&self, key: &'static str) -> Option<Self> {
        Table::new(&self.path_of(key), self.get(key)?, self.resolved, self.faults)
    }

    /// Returns the tables of the array at `key`.
    pub fn tables(&self, key: &'static str) -> Vec<Self> {
        self.elements(key, "an array of tables")
            .into_iter()
            .filter_map(|(path, value)| Table::new(&path, value, self.resolved, self.faults))
            .collect()
    }

    /// Returns the strings of the array at `key`, or `None` when the table does not have the key.
    pub fn texts(&self, key: &'static str) -> Option<Vec<TextField<'a>>> {
        self.has(key).then(|| {
            self.elements(key, "an array of strings")
                .into_iter()
                .filter_map(|(path, value)| self.text_at(path, value))
                .collect()
        })
    }

    fn elements(&self, key: &'static str, expected: &str) -> Vec<(String, &'a Value)> {
        let path = self.path_of(key);
        let Some(value) = self.get(key) else { return Vec::new() };
        let array = self.typed(&path, value, expected, Value::as_array).map_or(&[][..], Vec::as_slice);
        array.iter().enumerate().map(|(index, value)| (format!("{path}[{index}]"), value)).collect()
    }

    fn text_at(&self, path: String, value: &'a Value) -> Option<TextField<'a>> {
        let is_literal = self.resolved.at(&path).is_none();
        self.typed(&path, value, "a string", Value::as_str).map(|value| TextField { path, value, is_literal })
    }

    /// Returns the string at `key`, if there is one.
    pub fn text(&self, key: &'static str) -> Option<TextField<'a>> {
        self.text_at(self.path_of(key), self.get(key)?)
    }

    /// Returns the string at `key`, and reports an error when the table does not have the key.
    pub fn required_text(&self, key: &'static str) -> Option<TextField<'a>> {
        if !self.has(key) {
            self.fault(key, "is missing");
        }
        self.text(key)
    }

    /// Returns the boolean at `key`, or the default.
    pub fn bool_or(&self, key: &'static str, default: bool) -> bool {
        self.get(key)
            .and_then(|value| self.typed(&self.path_of(key), value, "true or false", Value::as_bool))
            .unwrap_or(default)
    }

    /// Returns the whole number within `range` at `key`, or the default.
    pub fn number_or(&self, key: &'static str, range: std::ops::RangeInclusive<u64>, default: u64) -> u64 {
        let path = self.path_of(key);
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.get(key)
            .and_then(|value| {
                self.typed(&path, value, &expected, |value| value.as_u64().filter(|number| range.contains(number)))
            })
            .unwrap_or(default)
    }

    /// Returns the duration at `key`, or the default.
    pub fn duration_or(&self, key: &'static str, default: Duration) -> Duration {
        self.parsed(key, |text| parse_duration(text.value).map_err(|_| DurationError::REASON)).unwrap_or(default)
    }

    /// Parses the string at `key`, if there is one, and reports an error when `parse` returns one.
    pub fn parsed<T, E: Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&TextField<'a>) -> Result<T, E>,
    ) -> Option<T> {
        self.parse(&self.text(key)?, parse)
    }

    /// Does the same as [`Self::parsed`], but reports an error when the table does not have the key.
    pub fn required<T, E: Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&TextField<'a>) -> Result<T, E>,
    ) -> Option<T> {
        self.parse(&self.required_text(key)?, parse)
    }

    fn parse<T, E: Display>(
        &self,
        text: &TextField<'a>,
        parse: impl FnOnce(&TextField<'a>) -> Result<T, E>,
    ) -> Option<T> {
        parse(text).map_err(|reason| self.fault_at(text, reason)).ok()
    }

    /// Accepts these keys without reading them.
    pub fn allow(&self, keys: &[&'static str]) {
        self.known_keys.borrow_mut().extend(keys);
    }

    /// Returns the meaning of the string at `key`, which must be one of `choices`.
    ///
    /// Returns `None` when the table does not have the key, and when the string is another one, which is reported.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            choices.iter().find(|(word, _)| *word == text.value).map(|(_, meaning)| *meaning).ok_or_else(|| {
                let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
                format!("expected {}", words.join(" or "))
            })
        })
    }

    /// Reports every key that was not read as an error.
    pub fn finish(self) {
        let known_keys = self.known_keys.borrow();
        for key in self.fields.keys().filter(|key| !known_keys.contains(&key.as_str())) {
            let mut known = known_keys.clone();
            known.sort_unstable();
            known.dedup();
            let shown = if is_like_a_key(key) { key } else { "?" };
            self.fault(shown, format!("is not a key of this table; the keys are {}", known.join(", ")));
        }
    }
}

/// Returns whether a text looks like the key of a setting. Other texts are not shown, because they may be secrets.
fn is_like_a_key(text: &str) -> bool {
    const MAX_BYTES: usize = 40;
    text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'))
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number that is not allowed here",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}
