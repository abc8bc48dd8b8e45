//! A stand-in for Amazon SES (API version 2). It rejects what SES rejects, and mails that a mailbox would cut.

use std::io;

use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};

/// The recipients of one mail.
const MAX_RECIPIENTS: usize = 50;
/// Gmail shows only the beginning of a longer HTML part, in bytes.
const MAX_HTML_BYTES: usize = 102_000;
/// The longest line of a mail, in bytes (RFC 5322).
const MAX_LINE_BYTES: usize = 998;
/// The headers of a signed request.
const HEADERS: [&str; 5] =
    ["authorization", "content-type", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// An account of SES in one region.
pub struct Ses {
    region: &'static str,
    verified: Vec<String>,
    mails: Vec<Mail>,
    attempts: usize,
    replies: Script,
}

/// An accepted mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender, as in the header.
    pub from: String,
    /// The recipients, as in the header.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
}

/// A stand-in for Amazon SES. Set `AWS_ENDPOINT_URL_SESV2` to its origin.
pub type SesStandIn = Server<Ses>;

impl SesStandIn {
    /// Starts a stand-in for a region where these addresses and domains are verified.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start(region: &'static str, verified: &[&str]) -> io::Result<Self> {
        let verified = verified.iter().map(|&identity| identity.to_owned()).collect();
        // The body of a successful reply depends on the request, so it is filled in later.
        let replies = Script::always(Reply::text(200, ""));
        Self::serve(Ses { region, verified, mails: Vec::new(), attempts: 0, replies }).await
    }

    /// The mails accepted so far.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.service().mails.clone()
    }

    /// The number of mails sent so far, including rejected ones.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.service().attempts
    }

    /// Answers the next valid requests with these replies.
    pub fn reply_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().replies.first(replies);
    }

    /// Answers every later valid request with this reply.
    pub fn reply_always(&self, reply: Reply) {
        self.service().replies.then(reply);
    }

    /// An SES error, for scripted replies.
    #[must_use]
    pub fn error(http_status: u16, kind: &str, message: &str) -> Reply {
        Reply::json(http_status, &json!({"message": message})).with_header("x-amzn-errortype", kind)
    }
}

impl Service for Ses {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        request.check_headers(&HEADERS, violations);
        if !request.is_signed_for(&format!("{}/ses", self.region)) {
            violations.add(request, "it is not signed for SES in this region");
            return SesStandIn::error(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
                .into();
        }
        let path = request.path.strip_prefix("/v2/email/").filter(|_| request.query.is_empty());
        match (&request.method, path) {
            (&Method::POST, Some("outbound-emails")) => self.send(request, violations).into(),
            (&Method::GET, Some(path)) => match path.strip_prefix("identities/") {
                Some(identity) => self.identity(&percent_decode_str(identity).decode_utf8_lossy()).into(),
                None => violations.unknown(request).into(),
            },
            _ => violations.unknown(request).into(),
        }
    }
}

impl Ses {
    fn send(&mut self, request: &Request, violations: &mut Violations) -> Reply {
        self.attempts += 1;
        let mail = match mail(request) {
            Ok(mail) => mail,
            Err(what) => {
                violations.add(request, &what);
                return SesStandIn::error(400, "BadRequestException", &what);
            }
        };
        let reply = self.replies.next_reply();
        if !reply.is_success() {
            return reply;
        }
        let address = address(&mail.from);
        if !self.is_verified(address) {
            let message = "Email address is not verified. The following identities failed the check in region";
            return SesStandIn::error(400, "MessageRejected", &format!("{message} EU-CENTRAL-1: {address}"));
        }
        self.mails.push(mail);
        let id = format!("0107019a00000000-00000000-{:012}", self.mails.len());
        reply.with_body_of(Reply::json(200, &json!({"MessageId": id})))
    }

    fn identity(&mut self, identity: &str) -> Reply {
        let reply = self.replies.next_reply();
        if !reply.is_success() {
            return reply;
        }
        if self.verified.iter().any(|verified| verified == identity) {
            let kind = if identity.contains('@') { "EMAIL_ADDRESS" } else { "DOMAIN" };
            return Reply::json(200, &json!({"IdentityType": kind, "VerifiedForSendingStatus": true}));
        }
        SesStandIn::error(404, "NotFoundException", &format!("Email identity {identity} does not exist."))
    }

    fn is_verified(&self, address: &str) -> bool {
        self.verified.iter().any(|verified| {
            address == verified
                || address.rsplit_once('@').is_some_and(|(_, domain)| {
                    domain == verified
                        || domain.strip_suffix(verified.as_str()).is_some_and(|parent| parent.ends_with('.'))
                })
        })
    }
}

/// The address of a header like `"Name" <maria@example.com>`.
fn address(header: &str) -> &str {
    header.rsplit_once('<').map_or(header, |(_, address)| address.trim_end_matches('>'))
}

fn mail(request: &Request) -> Result<Mail, String> {
    if request.header("content-type") != Some("application/json") {
        return Err("the content type is not application/json".to_owned());
    }
    let body = request.json().ok_or("the body is not JSON")?;
    keys(&body, &["FromEmailAddress", "Destination", "Content"])?;
    keys(&body["Destination"], &["ToAddresses"])?;
    keys(&body["Content"], &["Simple"])?;
    let simple = &body["Content"]["Simple"];
    keys(simple, &["Subject", "Body"])?;
    keys(&simple["Body"], &["Html", "Text"])?;
    let to = body["Destination"]["ToAddresses"].as_array().ok_or("there are no recipients")?;
    let mail = Mail {
        from: mailbox(&body["FromEmailAddress"])?,
        to: to.iter().map(mailbox).collect::<Result<_, _>>()?,
        subject: content(&simple["Subject"], "subject")?,
        html: content(&simple["Body"]["Html"], "HTML part")?,
        text: content(&simple["Body"]["Text"], "text part")?,
    };
    check(&mail)?;
    Ok(mail)
}

fn check(mail: &Mail) -> Result<(), String> {
    if !(1..=MAX_RECIPIENTS).contains(&mail.to.len()) {
        return Err(format!("it has {} recipients", mail.to.len()));
    }
    if mail.subject.chars().any(char::is_control) {
        return Err("the subject has a control character".to_owned());
    }
    if MAX_HTML_BYTES <= mail.html.len() {
        return Err(format!("the HTML part has {} bytes", mail.html.len()));
    }
    match mail.html.lines().chain(mail.text.lines()).map(str::len).find(|bytes| MAX_LINE_BYTES < *bytes) {
        Some(bytes) => Err(format!("a line has {bytes} bytes")),
        None => Ok(()),
    }
}

/// Checks that `value` is an object with exactly these keys.
fn keys(value: &Value, keys: &[&str]) -> Result<(), String> {
    let fields = value.as_object().ok_or_else(|| format!("there is no object with {keys:?}"))?;
    let is_exact = fields.len() == keys.len() && keys.iter().all(|key| fields.contains_key(*key));
    if is_exact { Ok(()) } else { Err(format!("an object does not have the keys {keys:?}")) }
}

/// A mailbox as SES takes it: ASCII, with an address of two parts.
fn mailbox(value: &Value) -> Result<String, String> {
    let header = value.as_str().unwrap_or_default();
    let is_address = address(header).rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !address(header).contains([' ', ',', ';', '"'])
    });
    let is_printable = header.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_address && is_printable { Ok(header.to_owned()) } else { Err(format!("{header:?} is no mailbox")) }
}

fn content(value: &Value, what: &str) -> Result<String, String> {
    keys(value, &["Data", "Charset"])?;
    let data = value["Data"].as_str().filter(|data| !data.trim().is_empty());
    match data {
        Some(data) if value["Charset"] == "UTF-8" => Ok(data.to_owned()),
        _ => Err(format!("the {what} is empty or not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_checked() {
        let good = Mail {
            from: "a@example.com".to_owned(),
            to: vec!["b@example.com".to_owned()],
            subject: "2 files".to_owned(),
            html: "<p>2 files".to_owned(),
            text: "2 files".to_owned(),
        };
        assert_eq!(check(&good), Ok(()));
        for wrong in [
            Mail { to: Vec::new(), ..good.clone() },
            Mail { to: vec!["b@example.com".to_owned(); 51], ..good.clone() },
            Mail { subject: "2\nfiles".to_owned(), ..good.clone() },
            Mail { html: "a\n".repeat(MAX_HTML_BYTES / 2), ..good.clone() },
            Mail { text: "a".repeat(999), ..good.clone() },
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
        for header in ["a@example.com", "\"A, B\" <a@example.com>"] {
            assert!(mailbox(&json!(header)).is_ok(), "{header}");
        }
        for header in ["", "a", "é@example.com", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com"]
        {
            assert!(mailbox(&json!(header)).is_err(), "{header}");
        }
        assert!(content(&json!({"Data": " ", "Charset": "UTF-8"}), "subject").is_err());
        assert!(content(&json!({"Data": "a"}), "subject").is_err());
    }
}
