//! Parameter Store of Systems Manager: many parameters at once, decrypted.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;

use super::lookup_error::LookupError;
use crate::net::Deadline;
use crate::net::aws::{Aws, JsonService, Refusal};

const PARAMETER_STORE: JsonService = JsonService::new("SSM", "ssm", "AmazonSSM");
/// The most names that one call takes.
const MAX_NAMES: usize = 10;
/// How many calls are made side by side. By default an account may make 40 a second.
const SIDE_BY_SIDE: usize = 8;

/// Checks a parameter's name, which may end in `:VERSION` or `:LABEL`.
///
/// One name that Parameter Store does not take would fail the whole call that it is in.
///
/// # Errors
///
/// Says what a name looks like.
pub fn check_name(text: &str) -> Result<(), String> {
    let (name, selector) = text.split_once(':').map_or((text, None), |(name, selector)| (name, Some(selector)));
    let is_word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| matches!(byte, b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'))
    };
    let is_name = name.strip_prefix('/').is_some_and(|path| path.split('/').all(is_word));
    if is_name && selector.is_none_or(is_word) {
        Ok(())
    } else {
        Err("`ssm:` must be followed by the whole name of a parameter, like `ssm:/media-expiry-alerts/api-key`"
            .to_owned())
    }
}

/// Reads parameters, each by its name, by as few calls as it takes.
pub async fn read(
    aws: &Aws,
    names: BTreeSet<&str>,
    deadline: Deadline,
) -> BTreeMap<String, Result<String, LookupError>> {
    if names.is_empty() {
        return BTreeMap::new();
    }
    let store = &Store { aws, region: super::region(aws.config().await), deadline };
    // Two versions of one parameter have the same name in an answer, so each is asked for by itself.
    let (selected, plain): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.contains(':'));
    let batches = plain.chunks(MAX_NAMES).chain(selected.chunks(1)).map(|batch| store.read_batch(batch));
    stream::iter(batches).buffer_unordered(SIDE_BY_SIDE).flat_map(stream::iter).collect().await
}

type Found = BTreeMap<String, Result<String, LookupError>>;

struct Store<'a> {
    aws: &'a Aws,
    region: String,
    deadline: Deadline,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    value: String,
}

impl Store<'_> {
    /// Reads some parameters; where one that may not be read fails the call for all of them, each by itself.
    async fn read_batch(&self, names: &[&str]) -> Found {
        let own = |name: &str| name.to_owned();
        match self.call(names).await {
            Ok(parameters) => {
                let value = |name: &str| {
                    let (name, _) = name.split_once(':').unwrap_or((name, ""));
                    parameters.iter().find(|found| found.name == name).map(|found| found.value.clone())
                };
                names.iter().map(|name| (own(name), value(name).ok_or_else(|| self.missing(name)))).collect()
            }
            Err(refusal) if 1 < names.len() && is_about_one(&refusal) => {
                let each = names.iter().map(|name| Box::pin(self.read_batch(std::slice::from_ref(name))));
                stream::iter(each).buffer_unordered(2).flat_map(stream::iter).collect().await
            }
            Err(refusal) => names.iter().map(|name| (own(name), Err(refused(&refusal)))).collect(),
        }
    }

    async fn call(&self, names: &[&str]) -> Result<Vec<Parameter>, Refusal> {
        let question = json!({"Names": names, "WithDecryption": true});
        let answer = PARAMETER_STORE.ask("GetParameters", &question, self.aws, &self.region, self.deadline).await;
        answer.map(|Parameters { parameters }| parameters)
    }

    fn missing(&self, name: &str) -> LookupError {
        let region = &self.region;
        if name.contains(':') {
            return LookupError::lasting(format!(
                "there is no such parameter in {region}, or no such version or label of it"
            ));
        }
        LookupError::lasting(format!(
            "there is no such parameter in {region}; make it: \
             aws ssm put-parameter --region {region} --name {name} --type SecureString --value ..."
        ))
    }
}

/// Whether a call may have failed because of one of its names.
fn is_about_one(refusal: &Refusal) -> bool {
    refusal.is_denied() || refusal.code.as_deref() == Some("ValidationException")
}

fn refused(refusal: &Refusal) -> LookupError {
    let said = refusal.said.to_ascii_lowercase();
    let reason = if refusal.is_denied() && (said.contains("ciphertext") || said.contains("kms")) {
        "the function's role does not allow kms:Decrypt on the key that this parameter is encrypted with".to_owned()
    } else if refusal.is_denied() {
        "the function's role does not allow ssm:GetParameters on this parameter".to_owned()
    } else {
        format!("Parameter Store {refusal}")
    };
    LookupError { reason, is_passing: refusal.is_passing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole() {
        for name in ["/a", "/media-expiry-alerts/profiles/acme", "/a.b/C_9", "/a:3", "/a:live"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "/", "a", "//a", "/a/", "/a b", "/a:", "/a:1:2", "/a\n", "/ä", "//host/x", "/a#b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_refusal_says_what_mends_it() {
        let check = |code: &str, said: &str, status, expected: &str, is_passing| {
            let miss = refused(&Refusal::of_answer(code, said, status));
            assert!(miss.reason.contains(expected), "{}", miss.reason);
            assert_eq!(miss.is_passing, is_passing, "{code}");
        };
        let denied = "User: arn:aws:sts::1:assumed-role/r is not authorized to perform: ssm:GetParameters";
        check("AccessDeniedException", denied, 400, "ssm:GetParameters", false);
        let cipher = "The ciphertext refers to a customer master key that does not exist, or you may not access it.";
        check("AccessDeniedException", cipher, 400, "kms:Decrypt", false);
        check("ThrottlingException", "Rate exceeded", 400, "Parameter Store answered ThrottlingException", true);
        check("InternalServerError", "", 500, "Parameter Store answered InternalServerError", true);
        check("ExpiredTokenException", "expired", 400, "answered ExpiredTokenException: expired", false);
    }
}
