//! Signed requests without a client of the SDK.
//!
//! A client of the SDK brings all operations of its service, their types and their errors. This crate calls a handful of
//! them, so the clients of DynamoDB, S3, Parameter Store and Secrets Manager would be most of the function when zipped,
//! most of the compile time, and work at every start.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_types::SdkConfig;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::{Aws, AwsError, READ_TIMEOUT, endpoint_url, retrying};
use crate::net::redact::Redactor;
use crate::net::{self, Answer, Deadline, NetError};

/// The name of a service's host in a region.
///
/// # Errors
///
/// Fails if `region` is not the name of a region, because the request could then go to another host.
pub fn host(service: &str, config: &SdkConfig, region: &str) -> Result<String, AwsError> {
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(AwsError::permanent(&format!("`{region}` is no region")));
    }
    let fips = if config.use_fips() == Some(true) { "-fips" } else { "" };
    let (domain, domain_of_both) = match region.split_once('-') {
        Some(("cn", _)) => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        Some(("eusc", _)) => ("amazonaws.eu", "api.amazonwebservices.eu"),
        _ => ("amazonaws.com", "api.aws"),
    };
    // S3 had its hosts for IPv4 and IPv6 before the other services got a domain for theirs.
    Ok(match (config.use_dual_stack(), service) {
        (Some(true), "s3") => format!("s3{fips}.dualstack.{region}.{domain}"),
        (Some(true), _) => format!("{service}{fips}.{region}.{domain_of_both}"),
        _ => format!("{service}{fips}.{region}.{domain}"),
    })
}

/// Signs a request to a service in a region.
///
/// # Errors
///
/// Fails without credentials, and for a request that cannot be made.
pub async fn signed(
    aws: &Aws,
    service: &str,
    region: &str,
    request: RequestBuilder,
) -> Result<RequestBuilder, AwsError> {
    signed_with(aws.config().await, aws.http(), service, region, request).await
}

/// Signs a request like [`signed`], for a caller that outlives the [`Aws`] it got its configuration from.
///
/// # Errors
///
/// Fails without credentials, and for a request that cannot be made.
pub async fn signed_with(
    config: &SdkConfig,
    http: &reqwest::Client,
    service: &str,
    region: &str,
    request: RequestBuilder,
) -> Result<RequestBuilder, AwsError> {
    let credentials = provide(config.credentials_provider()).await?;
    sign_with(&credentials, http, service, region, request)
}

async fn provide(provider: Option<SharedCredentialsProvider>) -> Result<Credentials, AwsError> {
    let provider = provider.ok_or_else(|| AwsError::permanent("there are no credentials"))?;
    let credentials = provider.provide_credentials().await;
    credentials.map_err(|error| AwsError::permanent(&net::with_causes(&error)))
}

fn sign_with(
    credentials: &Credentials,
    http: &reqwest::Client,
    service: &str,
    region: &str,
    request: RequestBuilder,
) -> Result<RequestBuilder, AwsError> {
    let request = request.build().map_err(|error| AwsError::permanent(&net::with_causes(&error.without_url())))?;
    let identity = credentials.clone().into();
    let mut settings = settings();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| AwsError::permanent(&error.to_string()))?
        .into();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Bytes(request.body().and_then(Body::as_bytes).unwrap_or_default());
    let signable = SignableRequest::new(request.method().as_str(), request.url().as_str(), headers, body);
    let signed = signable.and_then(|signable| sign(signable, &parameters));
    let (instructions, _) = signed.map_err(|error| AwsError::permanent(&error.to_string()))?.into_parts();
    let request = RequestBuilder::from_parts(http.clone(), request);
    Ok(instructions.headers().fold(request, |request, (name, value)| request.header(name, value)))
}

/// The settings that all signatures have in common.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

/// Signs the URL of an object in S3, so that whoever has it can read the object for a while.
///
/// # Errors
///
/// Fails without credentials, and for a URL that cannot be signed.
pub async fn presigned(config: &SdkConfig, region: &str, url: &str, valid_for: Duration) -> Result<String, AwsError> {
    let credentials = provide(config.credentials_provider()).await?;
    presign_with(&credentials, region, url, (SystemTime::now(), valid_for))
}

fn presign_with(
    credentials: &Credentials,
    region: &str,
    url: &str,
    (now, valid_for): (SystemTime, Duration),
) -> Result<String, AwsError> {
    let permanent = |error: &dyn std::fmt::Display| AwsError::permanent(&error.to_string());
    let identity = credentials.clone().into();
    let mut settings = settings();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(valid_for);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| permanent(&error))?
        .into();
    let signable = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::UnsignedPayload);
    let signed = signable.and_then(|signable| sign(signable, &parameters)).map_err(|error| permanent(&error))?;
    let (instructions, _) = signed.into_parts();
    let mut url = Url::parse(url).map_err(|error| permanent(&error))?;
    url.query_pairs_mut().extend_pairs(instructions.params());
    Ok(url.into())
}

/// A service that speaks JSON: one address, and the operation in a header.
#[derive(Clone, Copy, Debug)]
pub struct JsonService {
    /// The service id of the SDK, as in `AWS_ENDPOINT_URL_SECRETS_MANAGER` for `Secrets Manager`.
    pub id: &'static str,
    /// The name in hosts and signatures.
    pub name: &'static str,
    /// The prefix of the operation in `X-Amz-Target`.
    pub target: &'static str,
    /// `1.0` or `1.1`; it appears in the content type only.
    pub json_version: &'static str,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The longest answer that is read.
    pub max_answer_bytes: usize,
}

impl JsonService {
    /// A service that answers short questions in JSON 1.1. Ten parameters of the largest kind have 80 KB.
    #[must_use]
    pub const fn new(id: &'static str, name: &'static str, target: &'static str) -> Self {
        let max_answer_bytes = 1024 * 1024;
        Self { id, name, target, json_version: "1.1", timeout: READ_TIMEOUT, max_answer_bytes }
    }

    /// Calls an operation that only reads, and retries transient failures.
    ///
    /// # Errors
    ///
    /// Returns the error of the last attempt.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        operation: &str,
        question: &Value,
        aws: &Aws,
        region: &str,
        deadline: Deadline,
    ) -> Result<T, AwsError> {
        let client = JsonClient::new(*self, aws.http().clone(), aws.config().await, region);
        retrying(deadline, || client.call(operation, question, deadline)).await
    }
}

/// A [`JsonService`] in one region, with what a request to it needs.
#[derive(Clone, Debug)]
pub struct JsonClient {
    service: JsonService,
    http: reqwest::Client,
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    url: Result<String, AwsError>,
}

impl JsonClient {
    /// Prepares calls to the service in a region. Sends nothing yet.
    #[must_use]
    pub fn new(service: JsonService, http: reqwest::Client, config: &SdkConfig, region: &str) -> Self {
        let url = match endpoint_url(config, service.id) {
            Some(url) => Ok(url),
            None => host(service.name, config, region).map(|host| format!("https://{host}")),
        };
        Self { service, http, credentials: config.credentials_provider(), region: region.to_owned(), url }
    }

    /// Makes one attempt to call an operation.
    ///
    /// # Errors
    ///
    /// Returns the error of the service, without credentials that it repeats.
    pub async fn call<T: DeserializeOwned>(
        &self,
        operation: &str,
        input: &impl Serialize,
        deadline: Deadline,
    ) -> Result<T, AwsError> {
        let Self { service, http, region, .. } = self;
        let body = serde_json::to_vec(input).map_err(|error| AwsError::permanent(&error.to_string()))?;
        let request = http
            .post(self.url.as_ref().map_err(Clone::clone)?)
            .header(CONTENT_TYPE, format!("application/x-amz-json-{}", service.json_version))
            .header("x-amz-target", format!("{}.{operation}", service.target))
            .body(body);
        let credentials = deadline.bound(provide(self.credentials.clone())).await;
        let credentials = credentials.unwrap_or_else(|| Err(AwsError::transient("no credentials in time")))?;
        let request = sign_with(&credentials, http, service.name, region, request)?;
        match net::send(request, service.timeout, deadline, service.max_answer_bytes).await {
            Ok(answer) => read(&answer, &credentials),
            Err(error @ NetError::TooLarge(_)) => Err(AwsError::permanent(&error.to_string())),
            Err(error) => Err(AwsError::transient(&error.to_string())),
        }
    }
}

/// Parses an answer. The error text of the parser is not used, because it may quote a secret.
fn read<T: DeserializeOwned>(answer: &Answer, credentials: &Credentials) -> Result<T, AwsError> {
    const NO_ANSWER: &str = "this is no answer of AWS";
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|_| AwsError::transient(NO_ANSWER));
    }
    let status = answer.status.as_u16();
    let body: Map<String, Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let said = without(credentials, field("message").or_else(|| field("Message")).unwrap_or_default());
    // `com.amazonaws.ssm#ThrottlingException:http://...`, of which often only the middle is there
    let code = field("__type").and_then(|kind| kind.split(':').next()?.rsplit('#').next());
    Err(match code {
        Some(code) => AwsError::from_response(code, &said, status),
        None => AwsError::from_response(&status.to_string(), NO_ANSWER, status),
    })
}

/// Removes credentials from an error message: one about a wrong signature repeats the headers of the request, and with
/// them the session token.
fn without(credentials: &Credentials, said: &str) -> String {
    let secrets =
        [Some(credentials.access_key_id()), Some(credentials.secret_access_key()), credentials.session_token()];
    Redactor::new(secrets.into_iter().flatten().map(ToOwned::to_owned)).redact(said)
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::net::aws::tests::config;

    #[test]
    fn a_host_is_one_of_aws() {
        let host = |region: &str, variables: &[(&str, &str)]| host("ssm", &config(variables), region);
        assert_eq!(host("eu-central-1", &[]).as_deref(), Ok("ssm.eu-central-1.amazonaws.com"));
        assert_eq!(host("cn-north-1", &[]).as_deref(), Ok("ssm.cn-north-1.amazonaws.com.cn"));
        assert_eq!(host("eusc-de-east-1", &[]).as_deref(), Ok("ssm.eusc-de-east-1.amazonaws.eu"));
        let fips = [("AWS_USE_FIPS_ENDPOINT", "true")];
        assert_eq!(host("us-gov-west-1", &fips).as_deref(), Ok("ssm-fips.us-gov-west-1.amazonaws.com"));
        let both = config(&[("AWS_USE_DUALSTACK_ENDPOINT", "true")]);
        let host_of = |service: &str, region: &str| super::host(service, &both, region);
        assert_eq!(host_of("dynamodb", "eu-central-1").as_deref(), Ok("dynamodb.eu-central-1.api.aws"));
        assert_eq!(
            host_of("dynamodb", "cn-north-1").as_deref(),
            Ok("dynamodb.cn-north-1.api.amazonwebservices.com.cn")
        );
        assert_eq!(host_of("s3", "eu-central-1").as_deref(), Ok("s3.dualstack.eu-central-1.amazonaws.com"));
        for region in ["", "eu central", "example.com/", "a@b", "a:b"] {
            assert_eq!(host(region, &[]).unwrap_err().message, format!("`{region}` is no region"));
        }
    }

    /// The example of AWS's own documentation.
    #[test]
    fn a_presigned_url_is_the_one_that_aws_documents() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let time = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 15_849);
        let presign = |token: Option<&str>, url: &str| {
            let credentials =
                Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, token.map(ToOwned::to_owned), None, "test");
            presign_with(&credentials, "us-east-1", url, (time, Duration::from_hours(24))).expect("a URL")
        };
        let url = "https://examplebucket.s3.amazonaws.com/test.txt";
        assert_eq!(
            presign(None, url),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        let with_token = presign(Some("a+b/c="), &format!("{url}?response-content-disposition=attachment%3B"));
        assert!(with_token.contains("&X-Amz-Security-Token=a%2Bb%2Fc%3D"), "{with_token}");
        assert!(with_token.contains("?response-content-disposition=attachment%3B&X-Amz-"), "{with_token}");
    }

    #[test]
    fn an_answer_is_what_was_asked_for_or_a_refusal() {
        let answer = |status, body: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            let answer = Answer {
                status,
                retry_after: None,
                aws_error: None,
                headers: reqwest::header::HeaderMap::new(),
                body: body.as_bytes().to_vec(),
            };
            read::<Vec<u8>>(&answer, &Credentials::new("AKIA-ID", "SECRET", Some("SESSION".to_owned()), None, "test"))
        };
        assert_eq!(answer(200, "[1]"), Ok(vec![1]));
        assert_eq!(answer(200, "\"SECRET\""), Err(AwsError::transient("this is no answer of AWS")));

        let denied =
            json!({"__type": "com.amazonaws.ssm#AccessDeniedException:http://a/", "Message": "no"}).to_string();
        assert_eq!(answer(400, &denied), Err(AwsError::from_response("AccessDeniedException", "no", 400)));
        let both = json!({"__type": "AccessDeniedException", "Message": "no", "message": "not"}).to_string();
        assert_eq!(answer(400, &both), Err(AwsError::from_response("AccessDeniedException", "not", 400)));
        let throttled = json!({"__type": "ThrottlingException", "message": "Rate exceeded"}).to_string();
        assert!(answer(400, &throttled).unwrap_err().is_transient);
        let unsaid = json!({"__type": "InternalServerError"}).to_string();
        assert_eq!(answer(500, &unsaid), Err(AwsError::from_response("InternalServerError", "", 500)));
        for body in ["", "<html>", "[]", "{\"__type\": 1}"] {
            assert_eq!(
                answer(502, body),
                Err(AwsError::from_response("502", "this is no answer of AWS", 502)),
                "{body}"
            );
            assert!(!answer(403, body).unwrap_err().is_transient, "{body}");
        }
        let repeated =
            json!({"__type": "InvalidSignatureException", "message": "x-amz-security-token:SESSION SECRET of AKIA-ID"});
        let refusal = answer(403, &repeated.to_string()).unwrap_err();
        assert_eq!(refusal.message, "x-amz-security-token:[redacted] [redacted] of [redacted]");
    }
}
