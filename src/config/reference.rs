//! References: the strings of a document that stand for a value kept elsewhere, and the one step that resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::{Fault, Faults};
use crate::environment::Environment;

/// A string that names where its value is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `env:NAME`, a variable of the function's environment.
    Env(String),
}

impl Reference {
    /// Reads a string of a document: `None` when it is a plain value.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a string that begins like a reference and is none.
    fn parse(text: &str) -> Option<Result<Self, String>> {
        let name = text.strip_prefix("env:")?;
        Some(if name.is_empty() || name.contains(['=', '\0']) {
            Err("`env:` must be followed by the name of an environment variable".to_owned())
        } else {
            Ok(Self::Env(name.to_owned()))
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

/// Puts the values in the place of every reference in `document`.
///
/// A reference that cannot be resolved becomes a fault and leaves `null` behind, at a path that
/// [`Resolved::is_settled`] knows, so that nobody reports the missing value a second time.
pub async fn resolve(document: &mut Value, environment: &Environment, faults: &Faults) -> Resolved {
    let mut places = Vec::new();
    each_string("", document, &mut |path, text| match Reference::parse(text) {
        None => {}
        Some(Ok(reference)) => places.push((path.to_owned(), reference)),
        Some(Err(reason)) => faults.add(Fault::new(path, reason)),
    });
    let values = look_up(places.iter().map(|(_, reference)| reference).cloned().collect(), environment).await;

    let mut resolved = Resolved::default();
    for (path, reference) in places {
        if let Some(Err(reason)) = values.get(&reference) {
            faults.add(Fault::new(&path, format!("{reference}: {reason}")));
        }
        resolved.references.insert(path, reference);
    }
    replace_strings("", document, &mut |path, value| {
        if let Some(reference) = resolved.references.get(path) {
            *value = match values.get(reference) {
                Some(Ok(found)) => Value::String(found.clone()),
                _ => Value::Null,
            };
        }
    });
    resolved
}

/// Which strings of a document were references.
#[derive(Debug, Default)]
pub struct Resolved {
    references: BTreeMap<String, Reference>,
}

impl Resolved {
    /// Whether the value at `path` was a reference that could not be resolved, and is reported already.
    pub fn is_settled(&self, path: &str, value: &Value) -> bool {
        value.is_null() && self.references.contains_key(path)
    }

    /// The reference that stood at `path`.
    pub fn at(&self, path: &str) -> Option<&Reference> {
        self.references.get(path)
    }
}

/// Looks up every reference once.
#[expect(clippy::unused_async, reason = "references to AWS are looked up over the network")]
async fn look_up(
    references: BTreeSet<Reference>,
    environment: &Environment,
) -> BTreeMap<Reference, Result<String, String>> {
    references
        .into_iter()
        .map(|reference| {
            let value = match &reference {
                Reference::Env(name) => {
                    environment.var(name).ok_or_else(|| "this environment variable is not set".to_owned())
                }
            };
            (reference, value)
        })
        .collect()
}

fn each_string(path: &str, value: &Value, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(path, text),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                each_string(&format!("{path}[{index}]"), value, found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                each_string(&super::join(path, key), value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn replace_strings(path: &str, value: &mut Value, replace: &mut impl FnMut(&str, &mut Value)) {
    match value {
        Value::String(_) => replace(path, value),
        Value::Array(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                replace_strings(&format!("{path}[{index}]"), value, replace);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                replace_strings(&super::join(path, key), value, replace);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
