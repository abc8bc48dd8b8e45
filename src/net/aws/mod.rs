//! Access to AWS: region, endpoints, credentials, and errors.
//!
//! Requests of the AWS SDK go through the HTTP client of the process, so that there is one TLS stack, one set of root
//! certificates and one connection pool.

mod signed;

use std::fmt;
use std::time::Duration;
#[cfg(feature = "cli")]
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
#[cfg(feature = "cli")]
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
#[cfg(feature = "cli")]
use tokio::sync::Mutex;
use tokio::sync::OnceCell;

pub use signed::{JsonClient, JsonService, host, presigned, signed, signed_with};

use crate::model::text::{one_line, shorten};
use crate::net::SEND_TIMEOUT;
use crate::net::environment::Environment;
use crate::net::redact::Redactor;
use crate::net::{self, Deadline, Retry};

/// The timeout of one attempt to read something. It is short, so that there is time for another attempt.
pub const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// The region for AWS calls when the environment does not set one.
pub const DEFAULT_REGION: &str = "us-east-1";
/// The environment variables that contain credentials.
const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// How often a failed attempt to read something is repeated. Reading changes nothing, and AWS throttles only briefly.
const MAX_RETRIES: usize = 4;

/// The connection to AWS: the HTTP client, and the region, endpoints and credentials of the environment.
///
/// They are read when they are first needed, and only once.
#[derive(Debug)]
pub struct Aws {
    http: reqwest::Client,
    environment: Environment,
    config: OnceCell<SdkConfig>,
}

impl Aws {
    /// Creates the connection without reading the environment yet.
    #[must_use]
    pub fn new(http: reqwest::Client, environment: Environment) -> Self {
        Self { http, environment, config: OnceCell::new() }
    }

    /// Returns the HTTP client of the process.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Returns a redactor for the credentials in the environment.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        Redactor::new(CREDENTIALS.iter().filter_map(|name| self.environment.non_blank_var(name)))
    }

    /// Returns the configuration from which clients of the SDK are made.
    pub async fn config(&self) -> &SdkConfig {
        self.config
            .get_or_init(async || {
                #[cfg(feature = "cli")]
                if self.environment.is_of_process() && keys(&self.environment).is_none() {
                    return from_chain(&self.http).await;
                }
                from_environment(&self.http, &self.environment)
            })
            .await
    }
}

/// Returns the URL that the environment sets for a service, or `None` if the service is called at its usual URL.
///
/// Clients of the SDK do this by themselves.
#[must_use]
pub fn endpoint_url(config: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let service_url = config.service_config().zip(key.ok()).and_then(|(configured, key)| configured.load_config(key));
    service_url.or_else(|| config.endpoint_url().map(ToOwned::to_owned))
}

/// Reads region, endpoints and credentials from the environment variables that Lambda sets.
///
/// The SDK's own retries are off, because it does not know the deadline of the run, nor which messages must not be sent
/// twice. Callers retry with [`crate::net::retrying`].
fn from_environment(http: &reqwest::Client, environment: &Environment) -> SdkConfig {
    let var = |name: &str| environment.non_blank_var(name);
    let is_on = |name: &str| var(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let region = var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")).unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(ReqwestClient(http.clone()))
        .retry_config(RetryConfig::disabled())
        .region(Region::new(region))
        .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .credentials_provider(match keys(environment) {
            Some(keys) => SharedCredentialsProvider::new(keys),
            None => SharedCredentialsProvider::new(provide_credentials_fn(async || Err(no_keys()))),
        });
    if !is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        config = config.service_config(EndpointUrls(environment.clone()));
        config.set_endpoint_url(var("AWS_ENDPOINT_URL"));
    }
    config.build()
}

fn keys(environment: &Environment) -> Option<Credentials> {
    let var = |name: &str| environment.non_blank_var(name);
    let (id, secret) = (var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, var("AWS_SESSION_TOKEN"), None, "environment"))
}

fn no_keys() -> CredentialsError {
    CredentialsError::not_loaded(
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; outside of Lambda, \
         `eval \"$(aws configure export-credentials --format env)\"` sets them",
    )
}

/// Reads region, endpoints and credentials from all places that AWS command line tools use: profiles, web identities and
/// the metadata service of the machine.
///
/// The deployed function needs none of them, and this would add a twentieth to its code.
#[cfg(feature = "cli")]
async fn from_chain(http: &reqwest::Client) -> SdkConfig {
    let chain = aws_config::defaults(BehaviorVersion::latest());
    let config = chain.http_client(ReqwestClient(http.clone())).retry_config(RetryConfig::disabled()).load().await;
    let Some(provider) = config.credentials_provider() else { return config };
    let kept = SharedCredentialsProvider::new(KeptCredentials { provider, kept: Mutex::default() });
    config.into_builder().credentials_provider(kept).build()
}

/// Keeps credentials until they are about to expire. Every signed request asks for them, and without this a chain that
/// leads to a role would ask AWS each time.
#[cfg(feature = "cli")]
#[derive(Debug)]
struct KeptCredentials {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Credentials>>,
}

#[cfg(feature = "cli")]
impl ProvideCredentials for KeptCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let soon = SystemTime::now() + Duration::from_mins(5);
            let mut kept = self.kept.lock().await;
            match kept.as_ref().filter(|kept| kept.expiry().is_none_or(|expiry| soon < expiry)) {
                Some(kept) => Ok(kept.clone()),
                None => Ok(kept.insert(self.provider.provide_credentials().await?).clone()),
            }
        })
    }
}

/// The endpoints of single services, like `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct EndpointUrls(Environment);

impl LoadServiceConfig for EndpointUrls {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        self.0.non_blank_var(&format!("{}_{service}", key.env()))
    }
}

/// Why a call to AWS failed. It never contains a parameter, a secret or an object that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// The error code of the response, if there was one.
    pub code: Option<String>,
    /// The error message, on one line.
    pub message: String,
    /// Whether the same call may succeed later: a throttled call, a fault of the service, or no response.
    pub is_transient: bool,
}

impl AwsError {
    /// Creates the error for an error response from its code, message and HTTP status.
    #[must_use]
    pub fn from_response(code: &str, message: &str, status: u16) -> Self {
        const THROTTLED: [&str; 6] = [
            "ThrottlingException",
            "Throttling",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "ProvisionedThroughputExceededException",
            "TransactionInProgressException",
        ];
        let is_transient = THROTTLED.contains(&code) || matches!(status, 429 | 500..);
        Self { code: Some(code.to_owned()), message: brief(message), is_transient }
    }

    /// Creates the error for a call without a readable response. It may succeed later.
    #[must_use]
    pub fn transient(message: &str) -> Self {
        Self { code: None, message: brief(message), is_transient: true }
    }

    /// Creates the error for a call that cannot be made, and that another attempt would not change.
    #[must_use]
    pub fn permanent(message: &str) -> Self {
        Self { is_transient: false, ..Self::transient(message) }
    }

    /// Returns the error without the message of the response, which may repeat what the request contained.
    ///
    /// While the configuration is read, nobody knows yet which of its values are secrets, so none can be redacted.
    #[must_use]
    pub fn without_message(&self) -> Self {
        let message = if self.code.is_some() { String::new() } else { self.message.clone() };
        Self { message, ..self.clone() }
    }

    /// Returns whether the credentials do not permit the call.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.code.as_deref(), Some("AccessDeniedException" | "AccessDenied"))
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) if self.message.is_empty() => write!(f, "answered {code}"),
            Some(code) => write!(f, "answered {code}: {}", self.message),
            None => write!(f, "cannot be reached: {}", self.message),
        }
    }
}

fn brief(text: &str) -> String {
    shorten(&one_line(text), 200).into_owned()
}

/// Repeats an attempt to read something while it fails with a transient error.
///
/// Each attempt has [`READ_TIMEOUT`].
///
/// # Errors
///
/// Returns the error of the last attempt.
pub async fn retrying<T, F>(deadline: Deadline, attempt: impl Fn() -> F) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    let attempt = || async {
        let until = deadline.min(Deadline::after(READ_TIMEOUT));
        until.bound(attempt()).await.unwrap_or_else(|| Err(AwsError::transient("no response within the timeout")))
    };
    let retry = |error: &AwsError| if error.is_transient { Retry::Backoff } else { Retry::Never };
    net::retrying_at_most(MAX_RETRIES, deadline, attempt, retry).await
}

/// Sends the requests of the SDK through reqwest.
#[derive(Clone, Debug)]
struct ReqwestClient(reqwest::Client);

impl HttpClient for ReqwestClient {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for ReqwestClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default());
            let mut request =
                reqwest::Request::try_from(request).map_err(|error| ConnectorError::user(error.into()))?;
            *request.timeout_mut() = Some(SEND_TIMEOUT);

            let mut response = http.execute(request).await.map_err(connector_error)?;
            let mut answer = http::Response::new(());
            *answer.status_mut() = response.status();
            *answer.headers_mut() = std::mem::take(response.headers_mut());
            let body = response.bytes().await.map_err(connector_error)?;
            HttpResponse::try_from(answer.map(|()| SdkBody::from(body)))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Classifies a failed request. An I/O error means that no connection could be opened, so that nothing was sent.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_connect() {
        ConnectorError::io(error.into())
    } else if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::other(error.into(), None)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #[cfg(not(feature = "cli"))]
    use aws_credential_types::provider::ProvideCredentials as _;

    use super::*;

    /// Returns the SDK configuration for these environment variables.
    pub(crate) fn config(variables: &[(&str, &str)]) -> SdkConfig {
        from_environment(&net::client().expect("a client"), &Environment::of(variables.iter().copied()))
    }

    #[test]
    fn region_and_endpoints_are_read_from_the_environment() {
        let endpoints = |config: &SdkConfig| ["S3", "Secrets Manager", "SNS"].map(|of| endpoint_url(config, of));
        let urls = [
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_S3", "http://s3"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets"),
            ("AWS_ENDPOINT_URL_SNS", " "),
        ];
        let expected = ["http://s3", "http://secrets", "http://all"].map(|url| Some(url.to_owned()));
        assert_eq!(endpoints(&config(&urls)), expected);
        let ignored = [&urls[..], &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True")]].concat();
        assert_eq!(endpoints(&config(&ignored)), [None, None, None]);

        let region = |variables: &[(&str, &str)]| config(variables).region().map(ToString::to_string);
        let (first, second) = (("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2"));
        assert_eq!(region(&[second, first]).as_deref(), Some("eu-west-1"));
        assert_eq!(region(&[("AWS_REGION", ""), second]).as_deref(), Some("eu-west-2"));
        assert_eq!(region(&[]).as_deref(), Some(DEFAULT_REGION));

        assert_eq!(config(&[("AWS_USE_FIPS_ENDPOINT", "true")]).use_fips(), Some(true));
        assert_eq!(config(&[("AWS_USE_DUALSTACK_ENDPOINT", "false")]).use_dual_stack(), Some(false));
    }

    #[tokio::test]
    async fn missing_credentials_are_an_error_that_names_the_variables() {
        let keys = [("AWS_ACCESS_KEY_ID", "ID"), ("AWS_SECRET_ACCESS_KEY", "SECRET"), ("AWS_SESSION_TOKEN", "TOKEN")];
        let credentials = async |variables: &[(&str, &str)]| {
            config(variables).credentials_provider().expect("a provider").provide_credentials().await
        };
        let found = credentials(&keys).await.expect("credentials");
        assert_eq!((found.access_key_id(), found.secret_access_key()), ("ID", "SECRET"));
        assert_eq!(found.session_token(), Some("TOKEN"));

        for missing in [&keys[..1], &keys[1..], &[]] {
            let error = net::with_causes(&credentials(missing).await.unwrap_err());
            assert!(error.contains("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"), "{error}");
        }
    }

    #[cfg(feature = "cli")]
    #[tokio::test]
    async fn credentials_of_a_chain_are_asked_for_again_only_when_they_expire() {
        let asked = async |lasting: Duration| {
            let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
            let counting = std::sync::Arc::clone(&count);
            let provider = SharedCredentialsProvider::new(provide_credentials_fn(move || {
                counting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let expiry = Some(SystemTime::now() + lasting);
                async move { Ok(Credentials::new("ID", "SECRET", None, expiry, "test")) }
            }));
            let kept = KeptCredentials { provider, kept: Mutex::default() };
            for _ in 0..3 {
                kept.provide_credentials().await.expect("credentials");
            }
            count.load(std::sync::atomic::Ordering::Relaxed)
        };
        assert_eq!(asked(Duration::from_hours(1)).await, 1);
        assert_eq!(asked(Duration::from_mins(1)).await, 3);
    }
}
