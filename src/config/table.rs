//! Reads a table of the document field by field, and collects every fault instead of stopping at the first.

use std::cell::RefCell;
use std::fmt::Display;
use std::time::Duration;

use serde_json::{Map, Value};

use super::reference::Resolved;
use super::{Fault, Faults};
use crate::model::threshold::parse_duration;

/// A table of the document, the keys that were asked for, and where faults go.
pub struct Table<'a> {
    path: String,
    fields: &'a Map<String, Value>,
    known: RefCell<Vec<&'static str>>,
    resolved: &'a Resolved,
    faults: &'a Faults,
}

/// A string of the document with its place.
pub struct Text<'a> {
    pub path: String,
    pub value: &'a str,
    /// Whether it stood in the document as it is, and not behind a reference.
    pub literal: bool,
}

impl<'a> Table<'a> {
    /// The table at `path`; a fault and `None` when the value there is none.
    pub fn new(path: &str, value: &'a Value, resolved: &'a Resolved, faults: &'a Faults) -> Option<Self> {
        let Some(fields) = value.as_object() else {
            faults.add(Fault::new(path, format!("expected a table, found {}", name_of(value))));
            return None;
        };
        Some(Self { path: path.to_owned(), fields, known: RefCell::default(), resolved, faults })
    }

    /// The path of one of the table's keys.
    pub fn path_of(&self, key: &str) -> String {
        super::join(&self.path, key)
    }

    /// Reports a fault at one of the table's keys.
    pub fn fault(&self, key: &str, reason: impl Display) {
        self.faults.add(Fault::new(&self.path_of(key), reason));
    }

    /// Reports a fault at a string of the table.
    pub fn fault_at(&self, text: &Text<'_>, reason: impl Display) {
        let reason = reason.to_string();
        // What stands behind a reference may be a secret: it is called by its reference.
        let reason = match self.resolved.at(&text.path) {
            Some(reference) => conceal(&reason, text.value, &reference.to_string()),
            None => reason,
        };
        self.faults.add(Fault::new(&text.path, reason));
    }

    /// Whether an array without an element stands under `key`.
    pub fn is_empty_array(&self, key: &'static str) -> bool {
        self.get(key).and_then(Value::as_array).is_some_and(Vec::is_empty)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(key);
        self.fields.get(key)
    }

    /// A value of one type; a fault when it has another.
    fn typed<T>(
        &self,
        path: &str,
        value: &'a Value,
        expected: &str,
        get: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        if self.resolved.is_settled(path, value) {
            return None;
        }
        let found = get(value);
        if found.is_none() {
            self.faults.add(Fault::new(path, format!("expected {expected}, found {}", name_of(value))));
        }
        found
    }

    /// The table under `key`.
    pub fn table(&self, key: &'static str) -> Option<Self> {
        Table::new(&self.path_of(key), self.get(key)?, self.resolved, self.faults)
    }

    /// The tables of the array under `key`.
    pub fn tables(&self, key: &'static str) -> Vec<Self> {
        self.elements(key, "an array of tables")
            .into_iter()
            .filter_map(|(path, value)| Table::new(&path, value, self.resolved, self.faults))
            .collect()
    }

    /// The strings of the array under `key`; `None` when the key is not there.
    pub fn texts(&self, key: &'static str) -> Option<Vec<Text<'a>>> {
        self.fields.contains_key(key).then(|| {
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

    fn text_at(&self, path: String, value: &'a Value) -> Option<Text<'a>> {
        let literal = self.resolved.at(&path).is_none();
        self.typed(&path, value, "a string", Value::as_str).map(|value| Text { path, value, literal })
    }

    /// The string under `key`, if there is one.
    pub fn text(&self, key: &'static str) -> Option<Text<'a>> {
        self.text_at(self.path_of(key), self.get(key)?)
    }

    /// The string under `key`; a fault when the key is not there.
    pub fn required_text(&self, key: &'static str) -> Option<Text<'a>> {
        if !self.has(key) {
            self.fault(key, "is missing");
        }
        self.text(key)
    }

    /// The boolean under `key`, or the default.
    pub fn bool_or(&self, key: &'static str, default: bool) -> bool {
        self.get(key)
            .and_then(|value| self.typed(&self.path_of(key), value, "true or false", Value::as_bool))
            .unwrap_or(default)
    }

    /// The whole number within `range` under `key`, or the default.
    pub fn number_or(&self, key: &'static str, range: std::ops::RangeInclusive<u64>, default: u64) -> u64 {
        let path = self.path_of(key);
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.get(key)
            .and_then(|value| {
                self.typed(&path, value, &expected, |value| value.as_u64().filter(|number| range.contains(number)))
            })
            .unwrap_or(default)
    }

    /// The duration under `key`, or the default.
    pub fn duration_or(&self, key: &'static str, default: Duration) -> Duration {
        self.parsed(key, |text| parse_duration(text.value)).unwrap_or(default)
    }

    /// The string under `key`, if there is one, made into something by `parse`; a fault when it cannot be.
    pub fn parsed<T, E: Display>(&self, key: &'static str, parse: impl FnOnce(&Text<'a>) -> Result<T, E>) -> Option<T> {
        self.parse(&self.text(key)?, parse)
    }

    /// As [`Self::parsed`]; a fault when the key is not there.
    pub fn required<T, E: Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&Text<'a>) -> Result<T, E>,
    ) -> Option<T> {
        self.parse(&self.required_text(key)?, parse)
    }

    fn parse<T, E: Display>(&self, text: &Text<'a>, parse: impl FnOnce(&Text<'a>) -> Result<T, E>) -> Option<T> {
        parse(text).map_err(|reason| self.fault_at(text, reason)).ok()
    }

    /// Knows these keys, without reading them.
    pub fn expect(&self, keys: &[&'static str]) {
        self.known.borrow_mut().extend(keys);
    }

    /// One of the `words` under `key`, or `None` when the key is not there or holds another.
    pub fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            words.iter().find(|(word, _)| *word == text.value).map(|(_, meaning)| *meaning).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                format!("expected {}", words.join(" or "))
            })
        })
    }

    /// Ends the reading: every key that was not asked for is a fault.
    pub fn end(self) {
        let known = self.known.borrow();
        for key in self.fields.keys().filter(|key| !known.contains(&key.as_str())) {
            let mut known = known.clone();
            known.sort_unstable();
            known.dedup();
            self.fault(key, format!("is no key of this table; it knows {}", known.join(", ")));
        }
    }
}

/// `reason` with `name` in the place of every quotation of `value`.
fn conceal(reason: &str, value: &str, name: &str) -> String {
    let line = crate::model::text::one_line(value);
    let parts: Vec<_> = reason
        .split('`')
        .enumerate()
        .map(|(index, part)| {
            let quoted = part.trim_end_matches('…');
            let is_value = index % 2 == 1 && !quoted.is_empty() && (value.contains(quoted) || line.contains(quoted));
            if is_value { name } else { part }
        })
        .collect();
    parts.join("`")
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number outside of what is taken here",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}
