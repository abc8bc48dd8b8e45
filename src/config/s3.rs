//! S3: one object, with a signed GET.

use std::fmt;

use aws_types::SdkConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::MAX_DOCUMENT_BYTES;
use super::lookup_error::LookupError;
use crate::net::aws::{self, Aws, READ_TIMEOUT, Refusal};
use crate::net::{self, Answer, Deadline, NetError};

/// What S3 wants to see encoded in the path: everything but the unreserved characters and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// An object: `s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    bucket: String,
    key: String,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl Object {
    /// Reads what comes after `s3:`.
    ///
    /// # Errors
    ///
    /// Says what an object looks like.
    pub fn parse(place: &str) -> Result<Self, String> {
        let expected =
            || Err("`s3:` must be followed by a bucket and a key, like `s3://bucket/folder/alerts.toml`".to_owned());
        let Some((bucket, key)) = place.strip_prefix("//").and_then(|place| place.split_once('/')) else {
            return expected();
        };
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
            && bucket.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !is_bucket || key.is_empty() {
            return expected();
        }
        // A URL cannot say them.
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err("a key with `.` or `..` between slashes cannot be read; give the object another key".to_owned());
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// Reads the object as text, as much of it as a document may have.
    pub async fn read(&self, aws: &Aws, deadline: Deadline) -> Result<String, LookupError> {
        let config = aws.config().await;
        let got = aws::retrying(deadline, || self.get(aws, config, deadline)).await;
        let bytes = got.map_err(|refusal| self.refused(&refusal, &super::region(config)))?;
        String::from_utf8(bytes).map_err(|_| LookupError::lasting("is not UTF-8 text".to_owned()))
    }

    /// Where the object is. A bucket with a dot in its name has no certificate for a host of its own, and an endpoint
    /// of ours has no hosts for buckets.
    fn url(&self, config: &SdkConfig, region: &str) -> Result<String, Refusal> {
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

    async fn get(&self, aws: &Aws, config: &SdkConfig, deadline: Deadline) -> Result<Vec<u8>, Refusal> {
        let region = super::region(config);
        let request = aws.http().get(self.url(config, &region)?);
        let request = aws::signed(aws, "s3", &region, request).await?;
        let max_bytes = usize::try_from(MAX_DOCUMENT_BYTES).unwrap_or(usize::MAX);
        match net::send(request, READ_TIMEOUT, deadline, max_bytes).await {
            Ok(answer) if answer.status.is_success() => Ok(answer.body),
            Ok(answer) => Err(refusal(&answer)),
            Err(error @ NetError::TooLarge(_)) => Err(Refusal::of_answer(TOO_LARGE, &error.to_string(), 200)),
            Err(error) => Err(Refusal::no_answer(&error.to_string())),
        }
    }

    fn refused(&self, refusal: &Refusal, region: &str) -> LookupError {
        let Self { bucket, key } = self;
        let reason = match refusal.code.as_deref().unwrap_or_default() {
            TOO_LARGE => format!("has more than {MAX_DOCUMENT_BYTES} bytes, which is the most that is read"),
            "NoSuchBucket" => "there is no such bucket".to_owned(),
            "NoSuchKey" => format!("there is no such object; put it there: aws s3 cp FILE 's3://{bucket}/{key}'"),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                format!("the bucket is in another region than the function, which is in {region}")
            }
            _ if refusal.is_denied() && refusal.said.contains("kms:") => {
                "the function's role does not allow kms:Decrypt on the key that this object is encrypted with"
                    .to_owned()
            }
            _ if refusal.is_denied() => {
                "the function's role does not allow s3:GetObject on this object, or there is no \
                                         such object, which S3 tells only a role with s3:ListBucket on the bucket"
                    .to_owned()
            }
            _ => format!("S3 {refusal}"),
        };
        LookupError { reason, is_passing: refusal.is_passing }
    }
}

const TOO_LARGE: &str = "TooLarge";

/// Reads an error: `<Error><Code>NoSuchKey</Code><Message>...</Message>...</Error>`.
fn refusal(answer: &Answer) -> Refusal {
    let body = String::from_utf8_lossy(&answer.body);
    let field = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let code = field("Code").unwrap_or_else(|| answer.status.as_str());
    Refusal::of_answer(code, field("Message").unwrap_or_default(), answer.status.as_u16())
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn an_object_has_a_bucket_and_a_key() {
        let url = |place: &str, variables: &[(&str, &str)]| {
            let config = aws::tests::config(variables);
            let object = Object::parse(place)?;
            object.url(&config, &crate::config::region(&config)).map_err(|refusal| refusal.said)
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
        for place in
            ["", "conf/a", "//conf", "//conf/", "///a", "//Conf/a", "//a/b", "//conf/../a", "//c@onf/a", "//-ab/a"]
        {
            assert!(url(place, &[]).is_err(), "{place}");
        }
    }

    #[test]
    fn a_refusal_says_what_mends_it() {
        let object = Object::parse("//conf/a.toml").expect("an object");
        let check = |status: StatusCode, body: &str, expected: &str, is_passing| {
            let answer = Answer { status, retry_after: None, body: body.as_bytes().to_vec() };
            let miss = object.refused(&refusal(&answer), "eu-west-1");
            assert!(miss.reason.contains(expected), "{}", miss.reason);
            assert_eq!(miss.is_passing, is_passing, "{expected}");
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
