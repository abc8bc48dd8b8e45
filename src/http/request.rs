//! An HTTP request as API Gateway and function URLs pass it to the function.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An HTTP request of either payload format.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in upper case.
    pub method: String,
    /// The path, possibly with a stage or the base path of a custom domain in front.
    pub path: String,
    /// The decoded parameters of the query, in order.
    pub query: Vec<(String, String)>,
    /// The headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; `None` if it is invalid base64.
    pub body: Option<Vec<u8>>,
    /// Whether an authorizer of the gateway has identified the caller.
    pub is_authorized: bool,
    /// Whether the gateway decodes a response in base64. With payload 2.0 it always does. With 1.0 it depends on a setting
    /// of the gateway that is not visible here, so it counts as no.
    pub accepts_base64: bool,
}

impl Request {
    /// Parses the event of a request.
    ///
    /// # Errors
    ///
    /// Returns an error if a field has a type that neither payload format gives it.
    pub fn parse(event: Map<String, Value>) -> serde_json::Result<Self> {
        WireRequest::deserialize(Value::Object(event)).map(Self::from)
    }

    /// Returns the value of a header, whose name must be given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Returns whether an event is a request of API Gateway (payload 1.0 or 2.0) or of a function URL (2.0).
///
/// Requests of a load balancer look similar, but are not supported.
pub fn is_http(event: &Map<String, Value>) -> bool {
    let Some(context) = event.get("requestContext").and_then(Value::as_object) else { return false };
    !context.contains_key("elb") && (context.contains_key("http") || event.contains_key("httpMethod"))
}

/// The fields of both payload formats that are used. All are optional, because AWS defines the formats.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireRequest {
    http_method: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    query_string_parameters: Option<BTreeMap<String, Option<String>>>,
    multi_value_query_string_parameters: Option<BTreeMap<String, Vec<String>>>,
    headers: Option<BTreeMap<String, Option<String>>>,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: WireContext,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireContext {
    http: Option<WireHttp>,
    authorizer: Option<Value>,
    identity: Option<WireIdentity>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireHttp {
    method: Option<String>,
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireIdentity {
    user_arn: Option<String>,
}

impl From<WireRequest> for Request {
    fn from(wire: WireRequest) -> Self {
        let query = match (&wire.raw_query_string, wire.multi_value_query_string_parameters) {
            (Some(raw), _) => url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect(),
            (None, Some(multi)) => multi
                .into_iter()
                .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
                .collect(),
            (None, None) => wire
                .query_string_parameters
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name, value.unwrap_or_default()))
                .collect(),
        };
        let body = wire.body.unwrap_or_default();
        let body = if wire.is_base64_encoded { STANDARD.decode(body).ok() } else { Some(body.into_bytes()) };
        let context = wire.request_context;
        // With IAM authorization, a REST API names the caller in `identity` and has no `authorizer`.
        let is_authorized = context.authorizer.as_ref().is_some_and(vouches)
            || context.identity.and_then(|identity| identity.user_arn).is_some_and(|arn| !arn.is_empty());
        let accepts_base64 = context.http.is_some();
        let http = context.http.unwrap_or_default();
        Self {
            method: http.method.or(wire.http_method).unwrap_or_default().to_ascii_uppercase(),
            path: wire.raw_path.or(http.path).or(wire.path).unwrap_or_default(),
            query,
            headers: wire
                .headers
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value?)))
                .collect(),
            body,
            is_authorized,
            accepts_base64,
        }
    }
}

/// Returns whether the context of an authorizer shows that one has accepted the caller.
///
/// A Lambda authorizer may return no context, so the presence of its key is enough. The latency says nothing, because it
/// is there without an authorizer, too.
fn vouches(authorizer: &Value) -> bool {
    let Some(fields) = authorizer.as_object() else { return false };
    fields.iter().any(|(name, value)| match name.as_str() {
        "lambda" => true,
        "jwt" | "iam" => value.is_object(),
        "integrationLatency" => false,
        // A REST API puts the principal, the claims and the context of its authorizer here.
        _ => !is_blank(value),
    })
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
