//! The store in a bucket of S3, with signed requests.

use std::time::Duration;

use aws_types::SdkConfig;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode};

use super::StoreError;
use super::folder::too_large;
use super::multipart::S3Upload;
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

/// A request to S3 about one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct S3Request<'a> {
    pub(super) method: &'a Method,
    pub(super) key: &'a str,
    /// What follows the key, encoded; empty for the object itself.
    pub(super) query: &'a str,
    /// The timeout of one attempt.
    pub(super) timeout: Duration,
    /// The largest answer that is read.
    pub(super) max_bytes: usize,
}

impl<'a> S3Request<'a> {
    pub(super) fn new(method: &'a Method, key: &'a str) -> Self {
        Self { method, key, query: "", timeout: TIMEOUT, max_bytes: MAX_ANSWER_BYTES }
    }
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
        let bytes = Bytes::copy_from_slice(bytes);
        self.put_object(S3Request::new(&Method::PUT, key), "application/octet-stream", bytes, deadline).await
    }

    pub(super) async fn put_object(
        &self,
        request: S3Request<'_>,
        content_type: &str,
        bytes: Bytes,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let put = |request: RequestBuilder| request.header(CONTENT_TYPE, content_type).body(bytes.clone());
        let answer = self.send(request, deadline, put).await;
        answer.map(drop).map_err(|error| self.failed("be written", "s3:PutObject", &error))
    }

    pub(super) async fn get(
        &self,
        key: &str,
        max_bytes: usize,
        deadline: Deadline,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        // An error has some room even if the object may have none.
        let request = S3Request { max_bytes: max_bytes.max(MAX_ANSWER_BYTES), ..S3Request::new(&Method::GET, key) };
        match self.send(request, deadline, |request| request).await {
            Ok(answer) if max_bytes < answer.body.len() => Err(too_large(max_bytes)),
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.code.as_deref() == Some("NoSuchKey") => Ok(None),
            Err(error) if error.code.as_deref() == Some(TOO_LARGE) => Err(too_large(max_bytes)),
            Err(error) => Err(self.failed("be read", "s3:GetObject", &error)),
        }
    }

    /// The size of an object.
    pub(super) async fn size(&self, key: &str, deadline: Deadline) -> Result<Option<u64>, StoreError> {
        match self.send(S3Request::new(&Method::HEAD, key), deadline, |request| request).await {
            Ok(answer) => {
                let length = answer.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
                length.map(Some).ok_or_else(|| StoreError::failed("be read", "S3 does not say how large an object is"))
            }
            // The answer to HEAD has no body, so only the status is known. Without `s3:ListBucket`, S3 answers 403 for
            // an object that does not exist. Then every file would be copied again by each run.
            Err(error) if error.code.as_deref() == Some("404") => Ok(None),
            Err(error) if error.code.as_deref() == Some("403") => Err(StoreError::failed(
                "be read",
                "the function's role does not allow s3:GetObject on this prefix, or s3:ListBucket on the bucket"
                    .to_owned(),
            )),
            Err(error) => Err(self.failed("be read", "s3:GetObject", &error)),
        }
    }

    pub(super) async fn delete(&self, key: &str, deadline: Deadline) -> Result<(), StoreError> {
        let answer = self.send(S3Request::new(&Method::DELETE, key), deadline, |request| request).await;
        answer.map(drop).map_err(|error| self.failed("be written", "s3:DeleteObject", &error))
    }

    /// Begins an upload of an object that becomes visible when it is complete.
    pub(super) fn upload(&self, key: &str, content_type: &str, size_bytes: u64) -> S3Upload<'_> {
        S3Upload::new(self, key, content_type, size_bytes)
    }

    /// A URL at which anybody can download an object for a while, as a file with this name.
    pub(super) async fn download_url(
        &self,
        key: &str,
        file_name: &str,
        valid_for: Duration,
    ) -> Result<String, StoreError> {
        let name = utf8_percent_encode(file_name, NON_ALPHANUMERIC);
        let disposition = format!("attachment; filename*=UTF-8''{name}");
        let disposition = utf8_percent_encode(&disposition, NON_ALPHANUMERIC);
        let url = self.url(key).map(|url| format!("{url}?response-content-disposition={disposition}"));
        let signed = match url {
            Ok(url) => aws::presigned(&self.config, &self.region, &url, valid_for).await,
            Err(error) => Err(error),
        };
        signed.map_err(|error| self.failed("be read", "s3:GetObject", &error))
    }

    fn url(&self, key: &str) -> Result<String, AwsError> {
        let key = if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) };
        Object::in_bucket(&self.bucket, key).url(&self.config, &self.region)
    }

    /// Sends a request, and repeats it while S3 fails temporarily. All requests here may be repeated.
    pub(super) async fn send(
        &self,
        request: S3Request<'_>,
        deadline: Deadline,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, AwsError> {
        let S3Request { method, key, query, timeout, max_bytes } = request;
        let mut url = self.url(key)?;
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let attempt = || async {
            let request = build(self.http.request(method.clone(), &url));
            let signed = aws::signed_with(&self.config, &self.http, "s3", &self.region, request);
            let signed =
                deadline.bound(signed).await.unwrap_or_else(|| Err(AwsError::transient("no credentials in time")));
            match net::send(signed?, timeout, deadline, max_bytes).await {
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

    /// Returns the error in an answer with the status 200: S3 begins to answer before it has put an object together.
    pub(super) fn error_in(&self, answer: &Answer) -> Option<AwsError> {
        let is_error = String::from_utf8_lossy(&answer.body).contains("<Error>");
        is_error.then(|| config::aws_error(answer, &self.redactor))
    }

    pub(super) fn failed(&self, action: &'static str, permission: &str, error: &AwsError) -> StoreError {
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
