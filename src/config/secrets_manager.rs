//! Secrets Manager: secrets whole, or one key of those that are JSON.
//!
//! Each secret is read by a call of its own. `BatchGetSecretValue` would save calls, and wants a permission that cannot
//! be given for single secrets.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::lookup_error::LookupError;
use crate::net::Deadline;
use crate::net::aws::{Aws, JsonService, Refusal};

const SECRETS_MANAGER: JsonService = JsonService::new("Secrets Manager", "secretsmanager", "secretsmanager");
/// How many secrets are read side by side.
const SIDE_BY_SIDE: usize = 16;

/// Checks the ID of a secret: its name, or its ARN.
///
/// # Errors
///
/// Says what an ID looks like.
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
        Err("`secretsmanager:` must be followed by the name or the ARN of a secret; `#` and a key of its JSON may come \
             after it"
            .to_owned())
    }
}

/// Reads secrets, each once.
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
    stream::iter(each).buffer_unordered(SIDE_BY_SIDE).collect().await
}

/// The region of an ARN, which is where it must be asked for.
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
    let secret = answer.map_err(|refusal| refused(&refusal, id, region))?;
    secret.secret_string.map(SecretString::from).ok_or_else(|| {
        LookupError::lasting(format!(
            "this secret is binary; keep it as text: \
             aws secretsmanager put-secret-value --region {region} --secret-id {id} --secret-string ..."
        ))
    })
}

fn refused(refusal: &Refusal, id: &str, region: &str) -> LookupError {
    let said = refusal.said.to_ascii_lowercase();
    let code = refusal.code.as_deref().unwrap_or_default();
    let reason = match code {
        "ResourceNotFoundException" if said.contains("staging label") => format!(
            "this secret has no value yet; give it one: \
             aws secretsmanager put-secret-value --region {region} --secret-id {id} --secret-string ..."
        ),
        "ResourceNotFoundException" if id.starts_with("arn:") => format!("there is no such secret in {region}"),
        "ResourceNotFoundException" => format!(
            "there is no such secret in {region}; make it: \
             aws secretsmanager create-secret --region {region} --name {id} --secret-string ..."
        ),
        "InvalidRequestException" if said.contains("delet") => format!(
            "this secret is marked for deletion; bring it back: \
             aws secretsmanager restore-secret --region {region} --secret-id {id}"
        ),
        "DecryptionFailure" => DECRYPT.to_owned(),
        _ if refusal.is_denied() && said.contains("kms") => DECRYPT.to_owned(),
        _ if refusal.is_denied() => {
            "the function's role does not allow secretsmanager:GetSecretValue on this secret".to_owned()
        }
        _ => format!("Secrets Manager {refusal}"),
    };
    LookupError { reason, is_passing: refusal.is_passing }
}

const DECRYPT: &str = "the function's role does not allow kms:Decrypt on the key that this secret is encrypted with, or \
                       the key is disabled";

/// What a reference wants of a secret: the string under a key of its JSON, or all of it. The error shows nothing of it.
///
/// # Errors
///
/// Says what is wrong with the secret.
pub fn part(secret: &SecretString, json_key: Option<&str>) -> Result<String, LookupError> {
    let Some(key) = json_key else { return Ok(secret.expose_secret().to_owned()) };
    let reason = match serde_json::from_str::<Map<String, Value>>(secret.expose_secret()) {
        Err(_) => {
            format!("this secret is no JSON object, so it has no key `{key}`; leave `#{key}` out to take all of it")
        }
        Ok(mut object) => match object.remove(key) {
            Some(Value::String(value)) => return Ok(value),
            Some(_) => format!("`{key}` of this secret is no string"),
            None => format!(
                "this secret has no key `{key}`; add it by aws secretsmanager put-secret-value, whose --secret-string \
                 must hold the other keys too"
            ),
        },
    };
    Err(LookupError::lasting(reason))
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
    fn a_key_of_a_secret_is_a_string_and_no_error_shows_anything_else() {
        let get = |secret: &str, key: &str| part(&SecretString::from(secret), Some(key)).map_err(|miss| miss.reason);
        let secret = r#"{"api_key": "K-1", "port": 5, "other#key": "K-2", "TOPSECRET": "K-3"}"#;
        assert_eq!(get(secret, "api_key"), Ok("K-1".to_owned()));
        assert_eq!(get(secret, "other#key"), Ok("K-2".to_owned()));
        assert_eq!(part(&SecretString::from(secret), None).as_deref(), Ok(secret));
        let check = |secret: &str, key: &str, expected: &str| {
            let reason = get(secret, key).expect_err("no value");
            assert!(reason.starts_with(expected), "{reason}");
            assert!(!reason.contains("TOPSECRET") && !reason.contains("K-"), "{reason}");
        };
        check(secret, "missing", "this secret has no key `missing`");
        check(secret, "port", "`port` of this secret is no string");
        check("TOPSECRET", "api_key", "this secret is no JSON object");
        check("[\"TOPSECRET\"]", "api_key", "this secret is no JSON object");
        check("", "api_key", "this secret is no JSON object");
    }

    #[test]
    fn a_refusal_says_what_mends_it() {
        let check = |code: &str, said: &str, expected: &str| {
            let miss = refused(&Refusal::of_answer(code, said, 400), "media", "eu-west-1");
            assert!(miss.reason.contains(expected) && !miss.is_passing, "{}", miss.reason);
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
        check("InvalidParameterException", "no", "Secrets Manager answered InvalidParameterException: no");
        assert!(refused(&Refusal::no_answer("connection refused"), "media", "eu-west-1").is_passing);
    }
}
