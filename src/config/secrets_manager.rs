//! Secrets Manager: reading whole secrets, or one key of a JSON secret.
//!
//! Each secret is read with a call of its own. `BatchGetSecretValue` would need fewer calls, but also a permission that
//! cannot be limited to single secrets.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::lookup_error::LookupError;
use crate::net::Deadline;
use crate::net::aws::{Aws, AwsError, JsonService};

const SECRETS_MANAGER: JsonService = JsonService::new("Secrets Manager", "secretsmanager", "secretsmanager");
/// How many secrets are read concurrently.
const MAX_CONCURRENT_CALLS: usize = 16;

/// Validates the ID of a secret, which is its name or its ARN.
///
/// # Errors
///
/// Returns the reason when the ID is not valid.
pub fn check_id(id: &str) -> Result<(), String> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+=.@-!".contains(&byte))
    };
    let parts: Vec<_> = id.split(':').collect();
    let is_arn = matches!(parts[..], ["arn", partition, "secretsmanager", region, account, "secret", name]
        if [partition, region, account, name].into_iter().all(is_name));
    if is_arn || is_name(id) {
        Ok(())
    } else {
        Err("`secretsmanager:` must be followed by the name or the ARN of a secret, and optionally by `#` and a key of its \
             JSON"
            .to_owned())
    }
}

/// Reads secrets, each of them once. Returns the result for each ID.
pub async fn read(
    aws: &Aws,
    ids: BTreeSet<&str>,
    deadline: Deadline,
) -> BTreeMap<String, Result<SecretString, LookupError>> {
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let default_region = &super::region(aws.config().await);
    let each = ids.into_iter().map(|id| async move {
        let region = region_of(id).unwrap_or(default_region);
        (id.to_owned(), read_one(aws, id, region, deadline).await)
    });
    stream::iter(each).buffer_unordered(MAX_CONCURRENT_CALLS).collect().await
}

/// Returns the region of an ARN. The secret must be read in this region.
fn region_of(id: &str) -> Option<&str> {
    id.strip_prefix("arn:")?.split(':').nth(2)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    /// Missing when it is binary.
    secret_string: Option<String>,
}

async fn read_one(aws: &Aws, id: &str, region: &str, deadline: Deadline) -> Result<SecretString, LookupError> {
    let question = json!({"SecretId": id});
    let answer = SECRETS_MANAGER.ask::<Secret>("GetSecretValue", &question, aws, region, deadline).await;
    let secret = answer.map_err(|error| lookup_error(&error, id, region))?;
    secret.secret_string.map(SecretString::from).ok_or_else(|| {
        LookupError::permanent(format!(
            "this secret is binary; store it as text: \
             aws secretsmanager put-secret-value --region {region} --secret-id {id} --secret-string ..."
        ))
    })
}

fn lookup_error(error: &AwsError, id: &str, region: &str) -> LookupError {
    let message = error.message.to_ascii_lowercase();
    let code = error.code.as_deref().unwrap_or_default();
    let reason = match code {
        "ResourceNotFoundException" if message.contains("staging label") => format!(
            "this secret has no value yet; set one: \
             aws secretsmanager put-secret-value --region {region} --secret-id {id} --secret-string ..."
        ),
        "ResourceNotFoundException" if id.starts_with("arn:") => format!("there is no such secret in {region}"),
        "ResourceNotFoundException" => format!(
            "there is no such secret in {region}; create it: \
             aws secretsmanager create-secret --region {region} --name {id} --secret-string ..."
        ),
        "InvalidRequestException" if message.contains("delet") => format!(
            "this secret is marked for deletion; restore it: \
             aws secretsmanager restore-secret --region {region} --secret-id {id}"
        ),
        "DecryptionFailure" => DECRYPT.to_owned(),
        _ if error.is_denied() && message.contains("kms") => DECRYPT.to_owned(),
        _ if error.is_denied() => {
            "the function's role does not allow secretsmanager:GetSecretValue on this secret".to_owned()
        }
        _ => format!("Secrets Manager {}", error.without_message()),
    };
    LookupError { reason, is_transient: error.is_transient }
}

const DECRYPT: &str = "the function's role does not allow kms:Decrypt on the key that this secret is encrypted with, or \
                       the key is disabled";

/// Returns the value that a reference selects from a secret: the string under a key of its JSON, or all of it.
///
/// # Errors
///
/// Returns an error when the secret has no such string. The error contains nothing of the secret.
pub fn select(secret: &SecretString, json_key: Option<&str>) -> Result<String, LookupError> {
    let Some(key) = json_key else { return Ok(secret.expose_secret().to_owned()) };
    let reason = match serde_json::from_str::<Map<String, Value>>(secret.expose_secret()) {
        Err(_) => {
            format!("this secret is not a JSON object, so it has no key `{key}`; remove `#{key}` to use all of it")
        }
        Ok(mut object) => match object.remove(key) {
            Some(Value::String(value)) => return Ok(value),
            Some(_) => format!("`{key}` of this secret is not a string"),
            None => format!(
                "this secret has no key `{key}`; add it with aws secretsmanager put-secret-value, whose \
                 --secret-string must contain the other keys too"
            ),
        },
    };
    Err(LookupError::permanent(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:media/alerts-AbCdEf";

    #[test]
    fn an_id_is_a_name_or_an_arn() {
        for id in ["a", "media-expiry-alerts", "prod/media@v1+x=y.z", "rds!db-1", ARN] {
            assert_eq!(check_id(id), Ok(()), "{id}");
        }
        for id in ["", "a b", "a:b", "a:key::", "arn:aws:ssm:eu-west-1:1:parameter/a", "arn:aws:secretsmanager:", "ä"]
        {
            assert!(check_id(id).is_err(), "{id}");
        }
        assert_eq!((region_of(ARN), region_of("arn"), region_of("a/b")), (Some("eu-west-1"), None, None));
    }

    #[test]
    fn a_key_selects_a_string_and_errors_contain_nothing_of_the_secret() {
        let get =
            |secret: &str, key: &str| select(&SecretString::from(secret), Some(key)).map_err(|error| error.reason);
        let secret = r#"{"api_key": "K-1", "port": 5, "other#key": "K-2", "TOPSECRET": "K-3"}"#;
        assert_eq!(get(secret, "api_key"), Ok("K-1".to_owned()));
        assert_eq!(get(secret, "other#key"), Ok("K-2".to_owned()));
        assert_eq!(select(&SecretString::from(secret), None).as_deref(), Ok(secret));
        let check = |secret: &str, key: &str, expected: &str| {
            let reason = get(secret, key).expect_err("no value");
            assert!(reason.starts_with(expected), "{reason}");
            assert!(!reason.contains("TOPSECRET") && !reason.contains("K-"), "{reason}");
        };
        check(secret, "missing", "this secret has no key `missing`");
        check(secret, "port", "`port` of this secret is not a string");
        check("TOPSECRET", "api_key", "this secret is not a JSON object");
        check("[\"TOPSECRET\"]", "api_key", "this secret is not a JSON object");
        check("", "api_key", "this secret is not a JSON object");
    }

    #[test]
    fn errors_say_how_to_fix_them() {
        let check = |code: &str, message: &str, expected: &str| {
            let error = lookup_error(&AwsError::from_response(code, message, 400), "media", "eu-west-1");
            assert!(error.reason.contains(expected) && !error.is_transient, "{}", error.reason);
        };
        let not_found = "ResourceNotFoundException";
        check(
            not_found,
            "Secrets Manager can't find the specified secret.",
            "create-secret --region eu-west-1 --name media ",
        );
        check(not_found, "can't find the specified secret value for staging label: AWSCURRENT", "put-secret-value");
        check("InvalidRequestException", "it was marked for deletion.", "restore-secret");
        check(
            "AccessDeniedException",
            "is not authorized to perform: secretsmanager:GetSecretValue",
            "secretsmanager:GetSecretValue",
        );
        check("AccessDeniedException", "Access to KMS is not allowed", "kms:Decrypt");
        check("DecryptionFailure", "", "kms:Decrypt");
        check("InvalidParameterException", "no", "Secrets Manager answered InvalidParameterException");
        assert!(lookup_error(&AwsError::transient("connection refused"), "media", "eu-west-1").is_transient);
    }
}
