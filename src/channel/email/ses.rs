//! Sending an email through Amazon SES (API version 2), and asking SES whether it may be sent.

use aws_types::SdkConfig;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::channel::{MAX_ANSWER_BYTES, SEND_TIMEOUT, SendError};
use crate::config::{EmailConfig, Mailbox};
use crate::net::aws::{AwsError, DEFAULT_REGION, endpoint_url, host, signed_with};
use crate::net::{self, Answer, Deadline, Retry};

/// The name of SES in signatures.
const SERVICE: &str = "ses";

/// Calls SES.
#[derive(Clone, Debug)]
pub struct SesClient {
    http: Client,
    config: SdkConfig,
}

/// What SES says about an identity. The other fields are of no use here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmailIdentity {
    #[serde(default)]
    verified_for_sending_status: bool,
}

/// What SES says about an error.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(alias = "Message")]
    message: String,
}

impl SesClient {
    /// Creates a client with the credentials and the region of the function.
    #[must_use]
    pub fn new(http: Client, config: &SdkConfig) -> Self {
        Self { http, config: config.clone() }
    }

    /// Sends one email to all recipients of the channel.
    ///
    /// # Errors
    ///
    /// Returns an error with the answer of SES and what helps.
    pub async fn deliver(&self, email: &EmailConfig, body: &Value, deadline: Deadline) -> Result<(), SendError> {
        let to: Vec<_> = email.to.iter().map(Mailbox::header).collect();
        let content = |part: &str| json!({"Data": body[part], "Charset": "UTF-8"});
        let mail = json!({
            "FromEmailAddress": email.from.header(),
            "Destination": {"ToAddresses": to},
            "Content": {"Simple": {
                "Subject": content("subject"),
                "Body": {"Html": content("html"), "Text": content("text")},
            }},
        });
        let request = self.http.post(self.url(email, "outbound-emails")?).header(CONTENT_TYPE, "application/json");
        let answer = self.send(request.body(mail.to_string()), email, deadline).await?;
        if answer.status.is_success() { Ok(()) } else { Err(rejected(&answer, email)) }
    }

    /// Checks that SES may send from the address of the channel: that the address, or a domain that it is in, is verified.
    ///
    /// # Errors
    ///
    /// Returns an error with what is missing.
    pub async fn check(&self, email: &EmailConfig, deadline: Deadline) -> Result<(), SendError> {
        let address = email.from.address();
        for identity in identities(address) {
            let identity = percent_encoding::utf8_percent_encode(identity, percent_encoding::NON_ALPHANUMERIC);
            let request = self.http.get(self.url(email, &format!("identities/{identity}"))?);
            let answer = self.send(request, email, deadline).await?;
            match answer.status {
                StatusCode::NOT_FOUND => {}
                status if status.is_success() => {
                    let found = serde_json::from_slice::<EmailIdentity>(&answer.body);
                    if found.is_ok_and(|found| found.verified_for_sending_status) {
                        return Ok(());
                    }
                }
                _ => return Err(rejected(&answer, email)),
            }
        }
        Err(SendError::permanent(format!("{address} is not verified in SES; verify it, or its domain, in this region")))
    }

    async fn send(&self, request: RequestBuilder, email: &EmailConfig, until: Deadline) -> Result<Answer, SendError> {
        let signing = signed_with(&self.config, &self.http, SERVICE, self.region(email), request);
        let late = || Err(AwsError::transient("no credentials in time"));
        let request = until.bound(signing).await.unwrap_or_else(late).map_err(|error| not_sent(&error))?;
        Ok(net::send_for_status(request, SEND_TIMEOUT, until, MAX_ANSWER_BYTES).await?)
    }

    fn region<'a>(&'a self, email: &'a EmailConfig) -> &'a str {
        let own = self.config.region().map_or(DEFAULT_REGION, AsRef::as_ref);
        email.region.as_deref().unwrap_or(own)
    }

    fn url(&self, email: &EmailConfig, path: &str) -> Result<String, SendError> {
        let host = host("email", &self.config, self.region(email)).map_err(|error| not_sent(&error))?;
        let origin = endpoint_url(&self.config, "SESv2").unwrap_or_else(|| format!("https://{host}"));
        Ok(format!("{}/v2/email/{path}", origin.trim_end_matches('/')))
    }
}

/// The error for a request that was not sent.
fn not_sent(error: &AwsError) -> SendError {
    let retry = if error.is_transient { Retry::Backoff } else { Retry::Never };
    SendError { reason: error.to_string(), retry }
}

/// The identities that permit sending from an address: the address, its domain, and the domains above.
fn identities(address: &str) -> Vec<&str> {
    let mut identities = vec![address];
    let mut domain = address.rsplit_once('@').map(|(_, domain)| domain);
    while let Some(name) = domain.filter(|name| name.contains('.')) {
        identities.push(name);
        domain = name.split_once('.').map(|(_, parent)| parent);
    }
    identities
}

/// The error for an answer that is not a confirmation, with what helps against it.
fn rejected(answer: &Answer, email: &EmailConfig) -> SendError {
    let from = email.from.address();
    let kind = answer.aws_error.as_deref().unwrap_or_default();
    let text = answer.text();
    let advice = match kind {
        "MessageRejected" if text.contains("not verified") => format!(
            "verify {from} in SES; while the account is in the sandbox of SES, each recipient must be verified, too"
        ),
        "MailFromDomainNotVerifiedException" => format!("verify the MAIL FROM domain of {from} in SES"),
        "AccountSuspendedException" | "SendingPausedException" => {
            "SES sends nothing for this account now; its reputation dashboard says why".to_owned()
        }
        "AccessDeniedException" | "AccessDenied" => {
            format!("the role of the function needs `ses:SendEmail` for {from}, and `ses:GetEmailIdentity` for `check`")
        }
        "LimitExceededException" => "a quota of SES is used up".to_owned(),
        _ => String::new(),
    };
    let said = serde_json::from_str::<ErrorBody>(&text).map_or(text, |body| body.message);
    SendError::rejected_with("SES", answer, &advice, &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> EmailConfig {
        let mailbox = |text| Mailbox::parse(text).expect("an address");
        let (from, to) = (mailbox("Alerts <alerts@mail.example.com>"), vec![mailbox("maria@example.com")]);
        EmailConfig { from, to, region: None, pictures: true }
    }

    fn reason(status: u16, kind: &str, body: &str) -> (String, Retry) {
        let status = StatusCode::from_u16(status).expect("a status");
        let aws_error = Some(kind.to_owned());
        let answer = Answer {
            status,
            retry_after: None,
            aws_error,
            headers: reqwest::header::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        let error = rejected(&answer, &email());
        (error.reason, error.retry)
    }

    #[test]
    fn an_address_is_verified_by_itself_or_by_its_domains() {
        assert_eq!(
            identities("alerts@mail.example.com"),
            ["alerts@mail.example.com", "mail.example.com", "example.com"]
        );
    }

    #[test]
    fn permanent_errors_say_what_helps() {
        let said = r#"{"message":"Email address is not verified. The following identities failed the check"}"#;
        let (reason, retry) = reason(400, "MessageRejected", said);
        assert!(reason.contains("verify alerts@mail.example.com in SES"), "{reason}");
        assert!(reason.contains("sandbox"), "{reason}");
        assert_eq!(retry, Retry::Never);
        // A reason is cut at its end, so the advice is before what SES says.
        assert!(
            reason.ends_with("verified, too: Email address is not verified. The following identities failed the check")
        );
        assert!(self::reason(400, "SendingPausedException", "{}").0.contains("SES sends nothing"));
        assert!(self::reason(403, "AccessDeniedException", "{}").0.contains("ses:SendEmail"));
        assert_ne!(self::reason(429, "TooManyRequestsException", "{}").1, Retry::Never);
        assert_ne!(self::reason(400, "ThrottlingException", "{}").1, Retry::Never);
        assert_ne!(self::reason(503, "", "").1, Retry::Never);
    }
}
