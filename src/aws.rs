//! The AWS SDK over the process's own HTTP client: one TLS stack, one set of trust roots, one pool.

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::channel::SEND_TIMEOUT;
use crate::environment::Environment;

/// Reads region, endpoint and credentials as every AWS tool does.
///
/// The SDK's own retries are off: what may be tried again, and until when, is decided in one place
/// ([`crate::net::retrying`]), by whether a repetition could say the same thing twice.
pub async fn load(http: &reqwest::Client, environment: &Environment) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(ReqwestClient(http.clone()))
        .retry_config(RetryConfig::disabled());
    if let Some(given) = environment.given() {
        let var = |name: &str| given.get(name).cloned();
        let region = var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
        let id = var("AWS_ACCESS_KEY_ID").unwrap_or_default();
        let secret = var("AWS_SECRET_ACCESS_KEY").unwrap_or_default();
        let credentials = Credentials::new(id, secret, var("AWS_SESSION_TOKEN"), None, "given");
        loader = loader.region(Region::new(region)).credentials_provider(credentials);
        if let Some(url) = var("AWS_ENDPOINT_URL") {
            loader = loader.endpoint_url(url);
        }
    }
    loader.load().await
}

/// Lets the SDK send its requests through reqwest.
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

fn connector_error(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_connect() {
        ConnectorError::io(error.into())
    } else if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
