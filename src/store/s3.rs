//! The store in a bucket of S3, with signed requests.

use std::time::Duration;

use aws_types::SdkConfig;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, StatusCode};

use super::StoreError;
use super::folder::too_large;
use crate::config::{self, Object};
use crate::net::aws::{self, Aws, AwsError};
use crate::net::redact::Redactor;
use crate::net::{self, Answer, Deadline, MAX_RETRIES, NetError, Retry};

/// The timeout of one attempt. A part has some megabytes at most.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest response to a request that asks for no object.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A store in a bucket.
#[derive(Debug)]
pub struct S3Store {
    http: reqwest::Client,
    config: SdkConfig,
    region: String,
    bucket: String,
    prefix: String,
    /// Removes the credentials of the process from what S3 says.
    redactor: Redactor,
}

impl S3Store {
    pub(super) async fn new(bucket: &str, prefix: &str, aws: &Aws) -> Self {
        let config = aws.config().await.clone();
        Self {
            http: aws.http().clone(),
            region: config::region(&config),
            config,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            redactor: aws.redactor(),
        }
    }

    pub(super) async fn put(&self, key: &str, bytes: &[u8], deadline: Deadline) -> Result<(), StoreError> {
        let put =
            |request: RequestBuilder| request.header(CONTENT_TYPE, "application/octet-stream").body(bytes.to_vec());
        let answer = self.send(&Method::PUT, key, MAX_ANSWER_BYTES, deadline, put).await;
        answer.map(drop).map_err(|error| self.failed("be written", "s3:PutObject", &error))
    }

    pub(super) async fn get(
        &self,
        key: &str,
        max_bytes: usize,
        deadline: Deadline,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        // An error has some room even if the object may have none.
        let max_answer_bytes = max_bytes.max(MAX_ANSWER_BYTES);
        match self.send(&Method::GET, key, max_answer_bytes, deadline, |request| request).await {
            Ok(answer) if max_bytes < answer.body.len() => Err(too_large(max_bytes)),
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.code.as_deref() == Some("NoSuchKey") => Ok(None),
            Err(error) if error.code.as_deref() == Some(TOO_LARGE) => Err(too_large(max_bytes)),
            Err(error) => Err(self.failed("be read", "s3:GetObject", &error)),
        }
    }

    pub(super) async fn delete(&self, key: &str, deadline: Deadline) -> Result<(), StoreError> {
        let answer = self.send(&Method::DELETE, key, MAX_ANSWER_BYTES, deadline, |request| request).await;
        answer.map(drop).map_err(|error| self.failed("be written", "s3:DeleteObject", &error))
    }

    /// Sends a request, and again while S3 fails in a way that passes. Each of them may be repeated.
    async fn send(
        &self,
        method: &Method,
        key: &str,
        max_bytes: usize,
        deadline: Deadline,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, AwsError> {
        let key = if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) };
        let url = Object::in_bucket(&self.bucket, key).url(&self.config, &self.region)?;
        let attempt = || async {
            let request = build(self.http.request(method.clone(), &url));
            let signed = aws::signed_with(&self.config, &self.http, "s3", &self.region, request);
            let signed =
                deadline.bound(signed).await.unwrap_or_else(|| Err(AwsError::transient("no credentials in time")));
            match net::send(signed?, TIMEOUT, deadline, max_bytes).await {
                Ok(answer) if answer.status.is_success() => Ok(answer),
                Ok(answer) => Err(config::aws_error(&answer, &self.redactor)),
                Err(error @ NetError::TooLarge(_)) => {
                    Err(AwsError::from_response(TOO_LARGE, &error.to_string(), StatusCode::OK.as_u16()))
                }
                Err(error) => Err(AwsError::transient(&error.to_string())),
            }
        };
        let retry = |error: &AwsError| if error.is_transient { Retry::Backoff } else { Retry::Never };
        net::retrying_at_most(MAX_RETRIES, deadline, attempt, retry).await
    }

    fn failed(&self, action: &'static str, permission: &str, error: &AwsError) -> StoreError {
        let reason = match error.code.as_deref().unwrap_or_default() {
            "NoSuchBucket" => "there is no such bucket".to_owned(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                format!(
                    "the bucket is in another region; it must be in the region of the function, which is {}",
                    self.region
                )
            }
            _ if error.is_denied() && error.message.contains("kms:") => {
                "the function's role does not allow kms:GenerateDataKey and kms:Decrypt on the key of the bucket"
                    .to_owned()
            }
            _ if error.is_denied() && permission == "s3:GetObject" => {
                "the function's role does not allow s3:GetObject on this prefix, or nothing was kept yet; S3 reports \
                 that only to a role that allows s3:ListBucket"
                    .to_owned()
            }
            _ if error.is_denied() => format!("the function's role does not allow {permission} on this prefix"),
            _ => format!("S3 {}", error.without_message()),
        };
        StoreError::failed(action, reason)
    }
}

const TOO_LARGE: &str = "TooLarge";
