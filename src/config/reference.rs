//! References: strings of a document that name where a value is stored, and replacing them with the values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::fault::{Fault, Faults};
use super::lookup_error::LookupError;
use super::{parameter_store, secrets_manager};
use crate::net::Deadline;
use crate::net::aws::Aws;
use crate::net::environment::Environment;

/// A string that names where its value is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// An environment variable: `env:NAME`.
    Env(String),
    /// A parameter of Parameter Store, which is decrypted: `ssm:/name`, `ssm:/name:VERSION` or `ssm:/name:LABEL`.
    Parameter(String),
    /// A secret of Secrets Manager: `secretsmanager:ID[#json-key]`.
    Secret {
        /// The name or the ARN of the secret.
        id: String,
        /// The key in the JSON of the secret, or `None` for the whole secret.
        json_key: Option<String>,
    },
}

impl Reference {
    /// The supported references, for error texts.
    pub const KINDS: &str = "`env:NAME`, `ssm:/name` or `secretsmanager:ID#json-key`";

    /// Parses a string of a document. Returns `None` when it is a plain value.
    ///
    /// # Errors
    ///
    /// Returns the reason when the string starts like a reference but is not valid.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (scheme, location) = text.split_once(':')?;
        Some(match scheme {
            "env" if location.is_empty() || location.contains(['=', '\0']) => {
                Err("`env:` must be followed by the name of an environment variable".to_owned())
            }
            "env" => Ok(Self::Env(location.to_owned())),
            "ssm" => parameter_store::check_name(location).map(|()| Self::Parameter(location.to_owned())),
            "secretsmanager" => Self::parse_secret(location),
            _ => return None,
        })
    }

    fn parse_secret(location: &str) -> Result<Self, String> {
        let (id, json_key) = match location.split_once('#') {
            Some((id, key)) => (id, Some(key.to_owned())),
            None => (location, None),
        };
        secrets_manager::check_id(id)?;
        if json_key.as_ref().is_some_and(|key| key.is_empty() || key.contains(char::is_control)) {
            return Err("the `#` must be followed by a key of the secret's JSON".to_owned());
        }
        Ok(Self::Secret { id: id.to_owned(), json_key })
    }

    /// Returns whether the value is stored in AWS, where it may change while the process runs.
    #[must_use]
    pub fn is_from_aws(&self) -> bool {
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

/// Where to look up references, and the deadline for it.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceSources<'a> {
    /// The environment variables.
    pub environment: &'a Environment,
    /// Access to Parameter Store, Secrets Manager and S3.
    pub aws: &'a Aws,
    /// When all lookups must be done.
    pub deadline: Deadline,
}

/// Replaces every reference in `document` with its value.
///
/// A reference that cannot be resolved is reported to `faults` and replaced with `null`.
/// [`ResolvedReferences::is_unresolved`] returns true for its path, so that the missing value is not reported again.
pub async fn resolve(document: &mut Value, sources: ReferenceSources<'_>, faults: &Faults) -> ResolvedReferences {
    let mut found = Vec::new();
    each_string("", document, &mut |path, text| match Reference::parse(text) {
        None => {}
        Some(Ok(reference)) => found.push((path.to_owned(), reference)),
        Some(Err(reason)) => faults.add(Fault::new(path, reason)),
    });
    let values = look_up(found.iter().map(|(_, reference)| reference.clone()).collect(), sources).await;

    let mut resolved = ResolvedReferences::default();
    for (path, reference) in found {
        if let Some(Err(error)) = values.get(&reference) {
            faults.add(Fault::from_lookup(&path, &reference, error));
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

/// The references that a document contained, by path.
#[derive(Debug, Default)]
pub struct ResolvedReferences {
    references: BTreeMap<String, Reference>,
}

impl ResolvedReferences {
    /// Returns whether the value at `path` was a reference that could not be resolved. It is already reported.
    pub fn is_unresolved(&self, path: &str, value: &Value) -> bool {
        value.is_null() && self.references.contains_key(path)
    }

    /// Returns the reference that `path` contained, if it contained one.
    pub fn at(&self, path: &str) -> Option<&Reference> {
        self.references.get(path)
    }

    /// Returns whether any value came from AWS.
    pub fn any_from_aws(&self) -> bool {
        self.references.values().any(Reference::is_from_aws)
    }
}

/// Looks up every reference once. The services are called concurrently.
pub async fn look_up(
    references: BTreeSet<Reference>,
    sources: ReferenceSources<'_>,
) -> BTreeMap<Reference, Result<String, LookupError>> {
    let ReferenceSources { environment, aws, deadline } = sources;
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
    let not_looked_up = || Err(LookupError::permanent("it was not looked up".to_owned()));
    let value = |reference: &Reference| match reference {
        Reference::Env(name) => environment
            .var(name)
            .ok_or_else(|| LookupError::permanent("this environment variable is not set".to_owned())),
        Reference::Parameter(name) => parameters.get(name).cloned().unwrap_or_else(not_looked_up),
        Reference::Secret { id, json_key } => {
            let Some(secret) = secrets.get(id) else { return not_looked_up() };
            secret.clone().and_then(|secret| secrets_manager::select(&secret, json_key.as_deref()))
        }
    };
    references.iter().map(|reference| (reference.clone(), value(reference))).collect()
}

pub(super) fn each_string(path: &str, value: &Value, found: &mut impl FnMut(&str, &str)) {
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
    fn parse_distinguishes_references_from_plain_values() {
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
