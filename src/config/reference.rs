//! References: the strings of a document that stand for a value kept elsewhere, and the one step that resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::lookup_error::LookupError;
use super::{Fault, Faults, parameter_store, secrets_manager};
use crate::net::Deadline;
use crate::net::aws::Aws;
use crate::net::environment::Environment;

/// A string that names where its value is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `env:NAME`, a variable of the function's environment.
    Env(String),
    /// `ssm:/name`, a parameter of Parameter Store, decrypted. `:VERSION` or `:LABEL` may follow.
    Parameter(String),
    /// `secretsmanager:ID[#json-key]`, a secret of Secrets Manager.
    Secret {
        /// Its name or its ARN.
        id: String,
        /// The key in its JSON; all of it without one.
        json_key: Option<String>,
    },
}

impl Reference {
    /// The kinds of reference, as an error names them.
    pub const KINDS: &str = "`env:NAME`, `ssm:/name` or `secretsmanager:ID#json-key`";

    /// Reads a string of a document: `None` when it is a plain value.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a string that begins like a reference and is none.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (scheme, place) = text.split_once(':')?;
        Some(match scheme {
            "env" if place.is_empty() || place.contains(['=', '\0']) => {
                Err("`env:` must be followed by the name of an environment variable".to_owned())
            }
            "env" => Ok(Self::Env(place.to_owned())),
            "ssm" => parameter_store::check_name(place).map(|()| Self::Parameter(place.to_owned())),
            "secretsmanager" => Self::parse_secret(place),
            _ => return None,
        })
    }

    fn parse_secret(place: &str) -> Result<Self, String> {
        let (id, json_key) = match place.split_once('#') {
            Some((id, key)) => (id, Some(key.to_owned())),
            None => (place, None),
        };
        secrets_manager::check_id(id)?;
        if json_key.as_ref().is_some_and(|key| key.is_empty() || key.contains(char::is_control)) {
            return Err("the `#` must be followed by a key of the secret's JSON".to_owned());
        }
        Ok(Self::Secret { id: id.to_owned(), json_key })
    }

    /// Whether the value is kept in AWS, where it may change while the process lives.
    #[must_use]
    pub fn is_kept_in_aws(&self) -> bool {
        match self {
            Self::Env(_) => false,
            Self::Parameter(_) | Self::Secret { .. } => true,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::Secret { id, json_key: None } => write!(f, "secretsmanager:{id}"),
            Self::Secret { id, json_key: Some(key) } => write!(f, "secretsmanager:{id}#{key}"),
        }
    }
}

/// Where references are looked up, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Has the variables.
    pub environment: &'a Environment,
    /// Has Parameter Store, Secrets Manager and S3.
    pub aws: &'a Aws,
    /// When it must be over.
    pub deadline: Deadline,
}

/// Puts the values in the place of every reference in `document`.
///
/// A reference that cannot be resolved becomes a fault and leaves `null` behind, at a path that
/// [`Resolved::is_settled`] knows, so that nobody reports the missing value a second time.
pub async fn resolve(document: &mut Value, places: Places<'_>, faults: &Faults) -> Resolved {
    let mut found = Vec::new();
    each_string("", document, &mut |path, text| match Reference::parse(text) {
        None => {}
        Some(Ok(reference)) => found.push((path.to_owned(), reference)),
        Some(Err(reason)) => faults.add(Fault::new(path, reason)),
    });
    let values = look_up(found.iter().map(|(_, reference)| reference.clone()).collect(), places).await;

    let mut resolved = Resolved::default();
    for (path, reference) in found {
        if let Some(Err(miss)) = values.get(&reference) {
            faults.add(Fault::of_lookup(&path, &reference, miss));
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

    /// Whether any value came from AWS.
    pub fn has_any_of_aws(&self) -> bool {
        self.references.values().any(Reference::is_kept_in_aws)
    }
}

/// Looks up every reference once, all services side by side.
pub async fn look_up(
    references: BTreeSet<Reference>,
    places: Places<'_>,
) -> BTreeMap<Reference, Result<String, LookupError>> {
    let Places { environment, aws, deadline } = places;
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for reference in &references {
        match reference {
            Reference::Env(_) => {}
            Reference::Parameter(name) => _ = names.insert(name.as_str()),
            Reference::Secret { id, .. } => _ = ids.insert(id.as_str()),
        }
    }
    let (parameters, secrets) =
        tokio::join!(parameter_store::read(aws, names, deadline), secrets_manager::read(aws, ids, deadline));
    let not_asked = || Err(LookupError::lasting("it was not looked up".to_owned()));
    let value = |reference: &Reference| match reference {
        Reference::Env(name) => {
            environment.var(name).ok_or_else(|| LookupError::lasting("this environment variable is not set".to_owned()))
        }
        Reference::Parameter(name) => parameters.get(name).cloned().unwrap_or_else(not_asked),
        Reference::Secret { id, json_key } => {
            let Some(secret) = secrets.get(id) else { return not_asked() };
            secret.clone().and_then(|secret| secrets_manager::part(&secret, json_key.as_deref()))
        }
    };
    references.iter().map(|reference| (reference.clone(), value(reference))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_values() {
        let secret = |id: &str, json_key: Option<&str>| {
            Some(Ok(Reference::Secret { id: id.to_owned(), json_key: json_key.map(ToOwned::to_owned) }))
        };
        let check = |text: &str, expected: Option<Result<Reference, String>>| {
            let found = Reference::parse(text);
            if let Some(Ok(reference)) = &found {
                assert_eq!(reference.to_string(), text);
            }
            assert_eq!(found, expected, "{text}");
        };
        check("env:KEY", Some(Ok(Reference::Env("KEY".into()))));
        check("ssm:/a/b", Some(Ok(Reference::Parameter("/a/b".into()))));
        check("ssm:/a/b:3", Some(Ok(Reference::Parameter("/a/b:3".into()))));
        check("secretsmanager:media", secret("media", None));
        check("secretsmanager:prod/media#api_key", secret("prod/media", Some("api_key")));
        check("secretsmanager:media#a#b: c", secret("media", Some("a#b: c")));
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:media-AbCdEf";
        check(&format!("secretsmanager:{arn}"), secret(arn, None));
        check(&format!("secretsmanager:{arn}#api_key"), secret(arn, Some("api_key")));
        for plain in ["", "KEY", "https://example.com", "ssm", "SSM:/a", "arn:aws:sns:eu-west-1:1:t", " ssm:/a"] {
            check(plain, None);
        }
        for wrong in [
            "env:",
            "ssm:",
            "ssm:name",
            "ssm://a",
            "secretsmanager:",
            "secretsmanager:#key",
            "secretsmanager:media#",
            "secretsmanager:media:api_key::",
            "secretsmanager:arn:aws:ssm:eu-west-1:123456789012:parameter/a",
        ] {
            assert!(matches!(Reference::parse(wrong), Some(Err(_))), "{wrong}");
        }
    }
}
