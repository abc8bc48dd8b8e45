//! Requests without a client of the SDK: signed by its signer, and sent as every other request is.
//!
//! A client brings all operations of its service, their types and their errors with it. Where one or two are called, to
//! read something, that is too much: those of S3, Parameter Store and Secrets Manager would be a third of the function
//! when zipped, and every start would relocate their tables.

use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_types::SdkConfig;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, RequestBuilder};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Aws, READ_TIMEOUT, Refusal, endpoint_url, retrying};
use crate::net::{self, Answer, Deadline};

/// The longest answer that is read; ten parameters of the largest kind have a tenth of it.
const MOST_ANSWER_BYTES: usize = 1024 * 1024;

/// The name of a service's host in a region.
///
/// # Errors
///
/// Fails for what is no region, because the request would go to somebody else.
pub fn host(service: &str, config: &SdkConfig, region: &str) -> Result<String, Refusal> {
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Refusal::no_request(&format!("`{region}` is no region")));
    }
    let fips = if config.use_fips() == Some(true) { "-fips" } else { "" };
    let domain = match region.split_once('-') {
        Some(("cn", _)) => "amazonaws.com.cn",
        Some(("eusc", _)) => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    Ok(format!("{service}{fips}.{region}.{domain}"))
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
) -> Result<RequestBuilder, Refusal> {
    let request = request.build().map_err(|error| Refusal::no_request(&net::with_causes(&error.without_url())))?;
    let provider = aws.config().await.credentials_provider();
    let provider = provider.ok_or_else(|| Refusal::no_request("there are no credentials"))?;
    let credentials = provider.provide_credentials().await;
    let identity = credentials.map_err(|error| Refusal::no_request(&net::with_causes(&error)))?.into();

    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| Refusal::no_request(&error.to_string()))?
        .into();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Bytes(request.body().and_then(Body::as_bytes).unwrap_or_default());
    let signable = SignableRequest::new(request.method().as_str(), request.url().as_str(), headers, body);
    let signed = signable.and_then(|signable| sign(signable, &parameters));
    let (instructions, _) = signed.map_err(|error| Refusal::no_request(&error.to_string()))?.into_parts();
    let request = RequestBuilder::from_parts(aws.http().clone(), request);
    Ok(instructions.headers().fold(request, |request, (name, value)| request.header(name, value)))
}

/// A service that is asked in JSON 1.1: one address, and the operation in a header.
#[derive(Debug)]
pub struct JsonService {
    /// As variables have it: `AWS_ENDPOINT_URL_SECRETS_MANAGER` for `Secrets Manager`.
    pub id: &'static str,
    /// As hosts and signatures have it.
    pub name: &'static str,
    /// What stands before the operation.
    pub target: &'static str,
}

impl JsonService {
    /// Asks for something, and again while the service fails in a way that passes. Asking must change nothing.
    ///
    /// # Errors
    ///
    /// What became of the last attempt.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        operation: &str,
        question: &Value,
        aws: &Aws,
        region: &str,
        deadline: Deadline,
    ) -> Result<T, Refusal> {
        let config = aws.config().await;
        let url = match endpoint_url(config, self.id) {
            Some(url) => url,
            None => format!("https://{}", host(self.name, config, region)?),
        };
        let ask = || async {
            let request = aws
                .http()
                .post(&url)
                .header(CONTENT_TYPE, "application/x-amz-json-1.1")
                .header("x-amz-target", format!("{}.{operation}", self.target))
                .body(question.to_string());
            let request = signed(aws, self.name, region, request).await?;
            let answer = net::send(request, READ_TIMEOUT, deadline, MOST_ANSWER_BYTES).await;
            read(&answer.map_err(|error| Refusal::no_answer(&error.to_string()))?)
        };
        retrying(deadline, ask).await
    }
}

/// Reads an answer. What the parser has to say of it is not repeated: it would quote what may be a secret.
fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Refusal> {
    const NO_ANSWER: &str = "this is no answer of AWS";
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|_| Refusal::no_answer(NO_ANSWER));
    }
    let status = answer.status.as_u16();
    let body: Map<String, Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let said = field("message").or_else(|| field("Message")).unwrap_or_default();
    // `com.amazonaws.ssm#ThrottlingException:http://...`, of which often only the middle is there
    let code = field("__type").and_then(|kind| kind.split(':').next()?.rsplit('#').next());
    Err(match code {
        Some(code) => Refusal::of_answer(code, said, status),
        None => Refusal::of_answer(&status.to_string(), NO_ANSWER, status),
    })
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
        for region in ["", "eu central", "example.com/", "a@b", "a:b"] {
            assert_eq!(host(region, &[]).unwrap_err().said, format!("`{region}` is no region"));
        }
    }

    #[test]
    fn an_answer_is_what_was_asked_for_or_a_refusal() {
        let answer = |status, body: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            read::<Vec<u8>>(&Answer { status, retry_after: None, body: body.as_bytes().to_vec() })
        };
        assert_eq!(answer(200, "[1]"), Ok(vec![1]));
        assert_eq!(answer(200, "\"SECRET\""), Err(Refusal::no_answer("this is no answer of AWS")));

        let denied =
            json!({"__type": "com.amazonaws.ssm#AccessDeniedException:http://a/", "Message": "no"}).to_string();
        assert_eq!(answer(400, &denied), Err(Refusal::of_answer("AccessDeniedException", "no", 400)));
        let both = json!({"__type": "AccessDeniedException", "Message": "no", "message": "not"}).to_string();
        assert_eq!(answer(400, &both), Err(Refusal::of_answer("AccessDeniedException", "not", 400)));
        let throttled = json!({"__type": "ThrottlingException", "message": "Rate exceeded"}).to_string();
        assert!(answer(400, &throttled).unwrap_err().is_passing);
        let unsaid = json!({"__type": "InternalServerError"}).to_string();
        assert_eq!(answer(500, &unsaid), Err(Refusal::of_answer("InternalServerError", "", 500)));
        for body in ["", "<html>", "[]", "{\"__type\": 1}"] {
            assert_eq!(answer(502, body), Err(Refusal::of_answer("502", "this is no answer of AWS", 502)), "{body}");
            assert!(!answer(403, body).unwrap_err().is_passing, "{body}");
        }
    }
}
