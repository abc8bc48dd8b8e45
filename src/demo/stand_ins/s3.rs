//! A stand-in for a bucket of Amazon S3, for objects that are small enough for one request.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;

use super::server::{Answer, Reply, Request, Server, Service, Violations};

/// The headers of a signed request.
const HEADERS: [&str; 5] =
    ["authorization", "content-type", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
/// How long a link to a download may be valid, in seconds.
const MAX_LINK_S: u64 = 15 * 60;

/// Buckets of one region. All buckets exist.
pub struct S3 {
    region: &'static str,
    /// The objects by their paths, which begin with the bucket.
    objects: HashMap<String, StoredObject>,
    /// How long each answer takes.
    delay: Duration,
}

struct StoredObject {
    content_type: String,
    bytes: Bytes,
}

/// A stand-in for Amazon S3. Set `AWS_ENDPOINT_URL_S3` to its origin.
pub type S3StandIn = Server<S3>;

impl S3StandIn {
    /// Starts a stand-in for a region, without objects.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start(region: &'static str) -> io::Result<Self> {
        Self::serve(S3 { region, objects: HashMap::new(), delay: Duration::ZERO }).await
    }

    /// Lets each answer take this long.
    pub fn delay(&self, delay: Duration) {
        self.service().delay = delay;
    }
}

impl S3 {
    /// Whether the request is the link to a download: anybody may open it while it is valid.
    fn is_download(&self, request: &Request) -> bool {
        let value = |name: &str| request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let scope = format!("/{}/s3/aws4_request", self.region);
        request.method == Method::GET
            && value("X-Amz-Signature").is_some_and(|signature| signature.len() == 64)
            && value("X-Amz-Credential").is_some_and(|credential| credential.ends_with(&scope))
            && value("X-Amz-Expires").and_then(|expires| expires.parse().ok()).is_some_and(|s: u64| s <= MAX_LINK_S)
    }

    fn get(&self, request: &Request) -> Reply {
        let Some(object) = self.objects.get(&request.path) else {
            return Reply::text(404, "<Error><Code>NoSuchKey</Code><Message>There is no such key.</Message></Error>");
        };
        let reply = Reply::bytes(&object.content_type, object.bytes.clone())
            .with_header("content-length", &object.bytes.len().to_string());
        match request.query.iter().find(|(name, _)| name == "response-content-disposition") {
            Some((_, disposition)) => reply.with_header("content-disposition", disposition),
            None => reply,
        }
    }
}

impl Service for S3 {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        if self.is_download(request) {
            return self.get(request).into();
        }
        request.check_headers(&HEADERS, violations);
        if !request.is_signed_for(&format!("{}/s3", self.region)) {
            violations.add(request, "the request is not signed");
            return Reply::text(403, "<Error><Code>AccessDenied</Code></Error>").into();
        }
        match request.method {
            Method::GET | Method::HEAD if request.query.is_empty() => self.get(request).after(self.delay).into(),
            Method::PUT if request.query.is_empty() => {
                let content_type = request.header("content-type").unwrap_or_default().to_owned();
                self.objects.insert(request.path.clone(), StoredObject { content_type, bytes: request.body.clone() });
                Reply::text(200, "").into()
            }
            Method::DELETE if request.query.is_empty() => {
                self.objects.remove(&request.path);
                Reply::text(204, "").into()
            }
            _ => violations.unknown(request).into(),
        }
    }
}
