//! Parameter Store of AWS Systems Manager: reading many parameters with few calls, decrypted.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;

use super::lookup_error::LookupError;
use crate::net::Deadline;
use crate::net::aws::{Aws, AwsError, JsonService};

const PARAMETER_STORE: JsonService = JsonService::new("SSM", "ssm", "AmazonSSM");
/// The maximum number of names in one call.
const MAX_NAMES: usize = 10;
/// How many calls run concurrently. By default, an account may make 40 calls per second.
const MAX_CONCURRENT_CALLS: usize = 8;

/// Validates the name of a parameter, which may end in `:VERSION` or `:LABEL`.
///
/// Parameter Store rejects a whole call when one of its names is not valid.
///
/// # Errors
///
/// Returns the reason when the name is not valid.
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
        Err("`ssm:` must be followed by the full name of a parameter, like `ssm:/media-expiry-alerts/api-key`"
            .to_owned())
    }
}

/// Reads parameters with as few calls as possible. Returns the result for each name.
pub async fn read(
    aws: &Aws,
    names: BTreeSet<&str>,
    deadline: Deadline,
) -> BTreeMap<String, Result<String, LookupError>> {
    if names.is_empty() {
        return BTreeMap::new();
    }
    let store = &ParameterStore { aws, region: super::region(aws.config().await), deadline };
    // All versions of a parameter have the same name in a response, so each version needs a call of its own.
    let (selected, plain): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.contains(':'));
    let batches = plain.chunks(MAX_NAMES).chain(selected.chunks(1)).map(|batch| store.read_batch(batch));
    stream::iter(batches).buffer_unordered(MAX_CONCURRENT_CALLS).flat_map(stream::iter).collect().await
}

type ParametersByName = BTreeMap<String, Result<String, LookupError>>;

struct ParameterStore<'a> {
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

impl ParameterStore<'_> {
    /// Reads some parameters with one call.
    ///
    /// The call fails for all of them when one may not be read. Then each is read with a call of its own.
    async fn read_batch(&self, names: &[&str]) -> ParametersByName {
        match self.call(names).await {
            Ok(parameters) => {
                let value = |name: &str| {
                    let (name, _) = name.split_once(':').unwrap_or((name, ""));
                    parameters.iter().find(|found| found.name == name).map(|found| found.value.clone())
                };
                names.iter().map(|name| ((*name).to_owned(), value(name).ok_or_else(|| self.missing(name)))).collect()
            }
            Err(error) if 1 < names.len() && may_concern_one_name(&error) => {
                let each = names.iter().map(|name| Box::pin(self.read_batch(std::slice::from_ref(name))));
                stream::iter(each).buffer_unordered(2).flat_map(stream::iter).collect().await
            }
            Err(error) => names.iter().map(|name| ((*name).to_owned(), Err(lookup_error(&error)))).collect(),
        }
    }

    async fn call(&self, names: &[&str]) -> Result<Vec<Parameter>, AwsError> {
        let question = json!({"Names": names, "WithDecryption": true});
        let answer = PARAMETER_STORE.ask("GetParameters", &question, self.aws, &self.region, self.deadline).await;
        answer.map(|Parameters { parameters }| parameters)
    }

    fn missing(&self, name: &str) -> LookupError {
        let region = &self.region;
        if name.contains(':') {
            return LookupError::permanent(format!(
                "there is no such parameter in {region}, or it has no such version or label"
            ));
        }
        LookupError::permanent(format!(
            "there is no such parameter in {region}; create it: \
             aws ssm put-parameter --region {region} --name {name} --type SecureString --value ..."
        ))
    }
}

/// Returns whether a call may have failed because of one of its names.
fn may_concern_one_name(error: &AwsError) -> bool {
    error.is_denied() || error.code.as_deref() == Some("ValidationException")
}

fn lookup_error(error: &AwsError) -> LookupError {
    let message = error.message.to_ascii_lowercase();
    let reason = if error.is_denied() && (message.contains("ciphertext") || message.contains("kms")) {
        "the function's role does not allow kms:Decrypt on the key that this parameter is encrypted with".to_owned()
    } else if error.is_denied() {
        "the function's role does not allow ssm:GetParameters on this parameter".to_owned()
    } else {
        format!("Parameter Store {}", error.without_message())
    };
    LookupError { reason, is_transient: error.is_transient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_start_with_a_slash() {
        for name in ["/a", "/media-expiry-alerts/profiles/acme", "/a.b/C_9", "/a:3", "/a:live"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "/", "a", "//a", "/a/", "/a b", "/a:", "/a:1:2", "/a\n", "/ä", "//host/x", "/a#b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn errors_say_how_to_fix_them() {
        let check = |code: &str, message: &str, status, expected: &str, is_transient| {
            let error = lookup_error(&AwsError::from_response(code, message, status));
            assert!(error.reason.contains(expected), "{}", error.reason);
            assert_eq!(error.is_transient, is_transient, "{code}");
        };
        let denied = "User: arn:aws:sts::1:assumed-role/r is not authorized to perform: ssm:GetParameters";
        check("AccessDeniedException", denied, 400, "ssm:GetParameters", false);
        let cipher = "The ciphertext refers to a customer master key that does not exist, or you may not access it.";
        check("AccessDeniedException", cipher, 400, "kms:Decrypt", false);
        check("ThrottlingException", "Rate exceeded", 400, "Parameter Store answered ThrottlingException", true);
        check("InternalServerError", "", 500, "Parameter Store answered InternalServerError", true);
        check("ExpiredTokenException", "expired", 400, "Parameter Store answered ExpiredTokenException", false);
        let echo = lookup_error(&AwsError::from_response("ValidationException", "no such key KEY-1", 400));
        assert_eq!(echo.reason, "Parameter Store answered ValidationException");
    }
}
