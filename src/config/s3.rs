//! S3: reading one object with a signed GET request.

use std::fmt;
use std::time::Duration;

use aws_types::SdkConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;

use super::document::MAX_DOCUMENT_BYTES;
use super::lookup_error::LookupError;
use crate::net::aws::{self, Aws, AwsError, READ_TIMEOUT};
use crate::net::redact::Redactor;
use crate::net::{self, Answer, Deadline, NetError};

/// The characters to percent-encode in the path. S3 requires it for all but unreserved characters and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The location of an object: `s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    bucket: String,
    key: String,
}

/// Why an object could not be read to its end.
#[derive(Debug)]
pub enum ObjectError {
    /// There was no complete answer.
    Unanswered(NetError),
    /// S3 refused, or could not be asked.
    Refused {
        /// What is wrong, and how to fix it.
        reason: String,
        /// Whether another attempt may do better.
        is_transient: bool,
        /// The HTTP status, if S3 answered.
        status: Option<StatusCode>,
    },
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl Object {
    /// Parses the text after `s3:`.
    ///
    /// # Errors
    ///
    /// Returns the reason when the location is not valid.
    pub fn parse(location: &str) -> Result<Self, String> {
        let expected =
            || Err("`s3:` must be followed by a bucket and a key, like `s3://bucket/folder/alerts.toml`".to_owned());
        let Some((bucket, key)) = location.strip_prefix("//").and_then(|location| location.split_once('/')) else {
            return expected();
        };
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
            && bucket.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !is_bucket || key.is_empty() {
            return expected();
        }
        // A URL cannot contain such a key: HTTP clients remove these parts of a path.
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(
                "an object whose key contains `.` or `..` between slashes cannot be read; use another key".to_owned()
            );
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// Returns the object with this key in a bucket whose name [`Object::parse`] has accepted.
    #[must_use]
    pub fn in_bucket(bucket: &str, key: String) -> Self {
        Self { bucket: bucket.to_owned(), key }
    }

    /// Reads the object as text, if it is not larger than [`MAX_DOCUMENT_BYTES`].
    pub(super) async fn read(&self, aws: &Aws, deadline: Deadline) -> Result<String, LookupError> {
        let config = aws.config().await;
        let result = aws::retrying(deadline, || self.get(aws, config, deadline)).await;
        let bytes = result.map_err(|error| self.lookup_error(&error, &super::region(config)))?;
        String::from_utf8(bytes).map_err(|_| LookupError::permanent("is not UTF-8 text".to_owned()))
    }

    /// Reads the object once, and passes each piece of it to `on_piece` as it arrives.
    ///
    /// # Errors
    ///
    /// See [`ObjectError`].
    pub async fn stream(
        &self,
        aws: &Aws,
        (timeout, deadline): (Duration, Deadline),
        max_bytes: usize,
        mut on_piece: impl FnMut(&[u8]),
    ) -> Result<(), ObjectError> {
        let config = aws.config().await;
        let region = super::region(config);
        let refused = |error: &AwsError, status: Option<StatusCode>| {
            let LookupError { reason, is_transient } = self.lookup_error(error, &region);
            ObjectError::Refused { reason, is_transient, status }
        };
        let request = match self.url(config, &region) {
            Ok(url) => aws::signed(aws, "s3", &region, aws.http().get(url)).await,
            Err(error) => Err(error),
        };
        let request = request.map_err(|error| refused(&error, None))?;
        let take = |status: StatusCode, piece: &[u8]| {
            if status.is_success() {
                on_piece(piece);
            }
            status.is_success()
        };
        let answer = net::send_streaming(request, timeout, deadline, max_bytes, take).await;
        let answer = answer.map_err(ObjectError::Unanswered)?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(refused(&aws_error(&answer, &aws.redactor()), Some(answer.status)))
    }

    /// Returns the URL of the object.
    ///
    /// The bucket is usually a part of the host name. It is a part of the path when its name contains a dot, which the
    /// certificate of S3 does not cover, and for a custom endpoint, which may not have a host name for each bucket.
    ///
    /// # Errors
    ///
    /// Fails when the region is not valid.
    pub fn url(&self, config: &SdkConfig, region: &str) -> Result<String, AwsError> {
        let Self { bucket, key } = self;
        let key = utf8_percent_encode(key, ENCODED);
        if let Some(endpoint) = aws::endpoint_url(config, "S3") {
            return Ok(format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')));
        }
        let host = aws::host("s3", config, region)?;
        Ok(if bucket.contains('.') {
            format!("https://{host}/{bucket}/{key}")
        } else {
            format!("https://{bucket}.{host}/{key}")
        })
    }

    async fn get(&self, aws: &Aws, config: &SdkConfig, deadline: Deadline) -> Result<Vec<u8>, AwsError> {
        let region = super::region(config);
        let request = aws.http().get(self.url(config, &region)?);
        let request = aws::signed(aws, "s3", &region, request).await?;
        let max_bytes = usize::try_from(MAX_DOCUMENT_BYTES).unwrap_or(usize::MAX);
        match net::send(request, READ_TIMEOUT, deadline, max_bytes).await {
            Ok(answer) if answer.status.is_success() => Ok(answer.body),
            Ok(answer) => Err(aws_error(&answer, &aws.redactor())),
            Err(error @ NetError::TooLarge(_)) => Err(AwsError::from_response(TOO_LARGE, &error.to_string(), 200)),
            Err(error) => Err(AwsError::transient(&error.to_string())),
        }
    }

    fn lookup_error(&self, error: &AwsError, region: &str) -> LookupError {
        let Self { bucket, key } = self;
        let reason = match error.code.as_deref().unwrap_or_default() {
            TOO_LARGE => format!("has more than {MAX_DOCUMENT_BYTES} bytes, which is the maximum"),
            "NoSuchBucket" => "there is no such bucket".to_owned(),
            "NoSuchKey" => format!("there is no such object; upload it: aws s3 cp FILE 's3://{bucket}/{key}'"),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                format!("the bucket is in another region; it must be in the region of the function, which is {region}")
            }
            _ if error.is_denied() && error.message.contains("kms:") => {
                "the function's role does not allow kms:Decrypt on the key that this object is encrypted with"
                    .to_owned()
            }
            _ if error.is_denied() => "the function's role does not allow s3:GetObject on this object, or there is no \
                                         such object; S3 reports that only to a role that allows s3:ListBucket"
                .to_owned(),
            _ => format!("S3 {}", error.without_message()),
        };
        LookupError { reason, is_transient: error.is_transient }
    }
}

const TOO_LARGE: &str = "TooLarge";

/// Parses an error response: `<Error><Code>NoSuchKey</Code><Message>...</Message>...</Error>`.
#[must_use]
pub fn aws_error(answer: &Answer, redactor: &Redactor) -> AwsError {
    let body = String::from_utf8_lossy(&answer.body);
    let field = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let code = field("Code").unwrap_or_else(|| answer.status.as_str());
    let message = redactor.redact(field("Message").unwrap_or_default());
    AwsError::from_response(code, &message, answer.status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_has_a_bucket_and_a_key() {
        let url = |location: &str, variables: &[(&str, &str)]| {
            let config = aws::tests::config(variables);
            let object = Object::parse(location)?;
            object.url(&config, &crate::config::region(&config)).map_err(|error| error.message)
        };
        assert_eq!(
            url("//conf-1/a b/東.toml", &[("AWS_REGION", "eu-west-1")]).as_deref(),
            Ok("https://conf-1.s3.eu-west-1.amazonaws.com/a%20b/%E6%9D%B1.toml")
        );
        assert_eq!(
            url("//my.conf/x?y#z+%20", &[("AWS_REGION", "cn-north-1")]).as_deref(),
            Ok("https://s3.cn-north-1.amazonaws.com.cn/my.conf/x%3Fy%23z%2B%2520")
        );
        assert_eq!(
            url("//conf/a", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:5000/")]).as_deref(),
            Ok("http://127.0.0.1:5000/conf/a")
        );
        for location in
            ["", "conf/a", "//conf", "//conf/", "///a", "//Conf/a", "//a/b", "//conf/../a", "//c@onf/a", "//-ab/a"]
        {
            assert!(url(location, &[]).is_err(), "{location}");
        }
    }

    #[test]
    fn errors_say_how_to_fix_them() {
        let object = Object::parse("//conf/a.toml").expect("an object");
        let check = |status: StatusCode, body: &str, expected: &str, is_transient| {
            let answer = Answer {
                status,
                retry_after: None,
                aws_error: None,
                headers: reqwest::header::HeaderMap::new(),
                body: body.as_bytes().to_vec(),
            };
            let error = object.lookup_error(&aws_error(&answer, &Redactor::default()), "eu-west-1");
            assert!(error.reason.contains(expected), "{}", error.reason);
            assert_eq!(error.is_transient, is_transient, "{expected}");
        };
        let xml = |code: &str, message: &str| {
            format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>")
        };
        check(StatusCode::NOT_FOUND, &xml("NoSuchKey", "no"), "aws s3 cp FILE 's3://conf/a.toml'", false);
        check(StatusCode::NOT_FOUND, &xml("NoSuchBucket", "no"), "there is no such bucket", false);
        check(StatusCode::FORBIDDEN, &xml("AccessDenied", "Access Denied"), "s3:GetObject", false);
        check(
            StatusCode::FORBIDDEN,
            &xml("AccessDenied", "not authorized to perform: kms:Decrypt"),
            "kms:Decrypt",
            false,
        );
        check(StatusCode::MOVED_PERMANENTLY, &xml("PermanentRedirect", "no"), "another region", false);
        check(StatusCode::SERVICE_UNAVAILABLE, &xml("SlowDown", "Reduce your rate."), "S3 answered SlowDown", true);
        check(StatusCode::BAD_GATEWAY, "<html>", "S3 answered 502", true);
    }
}
