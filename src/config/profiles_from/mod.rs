//! `[profiles_from]`: more profiles, from a document or a DynamoDB table, which each run reads again.
//!
//! What is read contains keys. It is never a part of an error or of a log line, and an entry is in memory only until it is
//! validated.

mod document;
mod entries;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

pub(super) use self::document::DocumentReader;
use self::table::ProfilesTable;
use super::Profile;
use super::channel::SecretUrl;
use super::parse::{api_key, http_url};
use super::s3::{Object, ObjectError};
use super::table::{Table, TextField};
use crate::model::{FailedProfile, Failure, FailureKind, PROFILES_FROM};
use crate::net::aws::Aws;
use crate::net::{self, Deadline, NetError, Retry};

/// How long one attempt to read a document may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of one document is read: far more than 100,000 entries need.
const MAX_DOCUMENT_BYTES: usize = 512 * 1024 * 1024;
/// How much of a file is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Where more profiles are read from.
#[derive(Debug)]
pub struct ProfilesFrom(ProfileSource);

#[derive(Debug)]
enum ProfileSource {
    File(PathBuf),
    Object(Object),
    Endpoint { url: SecretUrl, token: Option<SecretString> },
    Table(ProfilesTable),
}

/// The profiles of `[profiles_from]`.
#[derive(Debug)]
pub struct ListedProfiles {
    /// The profiles, in the order of the list.
    pub profiles: Vec<Profile>,
    /// The entries that cannot be used.
    pub failed: Vec<FailedProfile>,
}

impl ProfilesFrom {
    /// Validates the table `[profiles_from]`.
    pub(super) fn parse(root: &Table<'_>) -> Option<Self> {
        let table = root.table(PROFILES_FROM)?;
        let source = match (table.has("url"), table.has("table")) {
            (true, true) => {
                table.fault("table", "cannot be set together with `url`; set one of them");
                table.allow(&["token", "name", "key", "tags"]);
                None
            }
            (true, false) => {
                let token = table.parsed("token", api_key);
                let source = table.parsed("url", location);
                if token.is_some() && matches!(source, Some(ProfileSource::File(_) | ProfileSource::Object(_))) {
                    table.fault("token", "is sent to an `https://` URL only");
                }
                source.map(|source| match source {
                    ProfileSource::Endpoint { url, .. } => ProfileSource::Endpoint { url, token },
                    source => source,
                })
            }
            (false, true) => ProfilesTable::parse(&table).map(ProfileSource::Table),
            (false, false) => {
                root.fault(PROFILES_FROM, "needs a `url` or a `table`");
                table.allow(&["token", "name", "key", "tags"]);
                None
            }
        };
        table.finish();
        source.map(Self)
    }

    /// Returns whether both read the same list. A copy of one may then stand for the other.
    #[must_use]
    pub fn is_same_list(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (ProfileSource::File(one), ProfileSource::File(other)) => one == other,
            (ProfileSource::Object(one), ProfileSource::Object(other)) => one == other,
            (ProfileSource::Endpoint { url: one, .. }, ProfileSource::Endpoint { url: other, .. }) => {
                one.expose() == other.expose()
            }
            (ProfileSource::Table(one), ProfileSource::Table(other)) => one == other,
            _ => false,
        }
    }

    /// Returns the parts of this table that must not be shown.
    pub(super) fn secrets(&self) -> (Option<&SecretUrl>, Option<&SecretString>) {
        match &self.0 {
            ProfileSource::Endpoint { url, token } => (Some(url), token.as_ref()),
            ProfileSource::File(_) | ProfileSource::Object(_) | ProfileSource::Table(_) => (None, None),
        }
    }

    /// Reads the profiles before the deadline. Names that are in `configured` are taken.
    ///
    /// # Errors
    ///
    /// Returns an error if the list cannot be read to its end.
    pub async fn read(&self, configured: &[Profile], aws: &Aws, deadline: Deadline) -> Result<ListedProfiles, Failure> {
        match &self.0 {
            ProfileSource::File(path) => {
                let read = deadline.bound(read_file(path, configured)).await;
                read.unwrap_or_else(|| Err(failure(FailureKind::Timeout, "the file could not be read in time")))
            }
            ProfileSource::Object(object) => {
                let attempt = || async {
                    let mut reader = DocumentReader::new(configured);
                    let timeouts = (ATTEMPT_TIMEOUT, deadline);
                    let read = object.stream(aws, timeouts, MAX_DOCUMENT_BYTES, |piece| _ = reader.take(piece)).await;
                    read.map_err(|error| refused_object(object, error))?;
                    reader.finish().map_err(|reason| (not_a_list(&reason), Retry::Never))
                };
                net::retrying(deadline, attempt, |(_, retry)| *retry).await.map_err(|(failure, _)| failure)
            }
            ProfileSource::Endpoint { url, token } => {
                let attempt = || request(aws.http(), url, token.as_ref(), configured, deadline);
                net::retrying(deadline, attempt, |(_, retry)| *retry).await.map_err(|(failure, _)| failure)
            }
            ProfileSource::Table(table) => table.read(configured, aws, deadline).await,
        }
    }
}

/// Parses the location of a document.
fn location(text: &TextField<'_>) -> Result<ProfileSource, String> {
    let location = text.value.trim();
    match location.split_once(':') {
        _ if location.is_empty() => Err("is blank".to_owned()),
        Some(("s3", object)) => Object::parse(object).map(ProfileSource::Object),
        Some(("https" | "http", _)) => {
            let url = http_url(text, "URL of a list")?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err("must not contain a user name or a password; use `token`".to_owned());
            }
            Ok(ProfileSource::Endpoint { url: SecretUrl(url), token: None })
        }
        // A single letter is a Windows drive.
        Some((scheme, _)) if 2 <= scheme.len() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Err("is not the path of a file, an `s3://bucket/key` or an `https://` URL".to_owned())
        }
        _ => Ok(ProfileSource::File(location.into())),
    }
}

async fn read_file(path: &Path, configured: &[Profile]) -> Result<ListedProfiles, Failure> {
    let unreadable = |error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => FailureKind::NotFound,
            io::ErrorKind::PermissionDenied => FailureKind::Forbidden,
            _ => FailureKind::Unavailable,
        };
        failure(kind, &format!("the file cannot be read: {error}"))
    };
    // Opening a pipe waits for its other end, and a device has no end.
    if !tokio::fs::metadata(path).await.map_err(unreadable)?.is_file() {
        return Err(failure(FailureKind::BadResponse, "this is not a file"));
    }
    let mut file = File::open(path).await.map_err(unreadable)?;
    let mut reader = DocumentReader::new(configured);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = file.read(&mut piece).await.map_err(unreadable)?;
        if length == 0 || !reader.take(&piece[..length]) {
            return reader.finish().map_err(|reason| not_a_list(&reason));
        }
    }
}

/// Makes one attempt to read a document over HTTP.
///
/// The HTTP client follows no redirect, so the token reaches no other host. The error does not repeat the body of the answer,
/// because the body may contain keys.
async fn request(
    http: &reqwest::Client,
    url: &SecretUrl,
    token: Option<&SecretString>,
    configured: &[Profile],
    deadline: Deadline,
) -> Result<ListedProfiles, (Failure, Retry)> {
    let mut request = http.get(url.expose().clone()).header(ACCEPT, "application/jsonl, application/json");
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let mut reader = DocumentReader::new(configured);
    let on_chunk = |status: StatusCode, piece: &[u8]| {
        if status == StatusCode::OK {
            reader.take(piece);
        }
        true
    };
    let answer = net::send_streaming(request, ATTEMPT_TIMEOUT, deadline, MAX_DOCUMENT_BYTES, on_chunk).await;
    let answer = answer.map_err(|error| unanswered(&error))?;
    if answer.status == StatusCode::OK {
        return reader.finish().map_err(|reason| {
            (Failure { http_status: Some(answer.status.as_u16()), ..not_a_list(&reason) }, Retry::Never)
        });
    }
    let kind = kind_of_status(answer.status);
    let redirects = if answer.status.is_redirection() { ", and redirects are not followed" } else { "" };
    let message = format!("the server answered {}{redirects}", answer.status);
    let retry = if answer.is_transient() { Retry::from_retry_after(answer.retry_after) } else { Retry::Never };
    Err((Failure { http_status: Some(answer.status.as_u16()), ..failure(kind, &message) }, retry))
}

fn refused_object(object: &Object, error: ObjectError) -> (Failure, Retry) {
    match error {
        ObjectError::Unanswered(error) => unanswered(&error),
        ObjectError::Refused { reason, is_transient, status } => {
            let kind = status.map_or(FailureKind::Unavailable, kind_of_status);
            let http_status = status.map(|status| status.as_u16());
            let retry = if is_transient { Retry::Backoff } else { Retry::Never };
            (Failure { http_status, ..failure(kind, &format!("{object}: {reason}")) }, retry)
        }
    }
}

/// Returns the failure of a request without a complete answer, and whether another attempt may succeed.
fn unanswered(error: &NetError) -> (Failure, Retry) {
    let (kind, retry) = match error {
        NetError::Connect(_) => (FailureKind::Unavailable, Retry::Backoff),
        NetError::TimedOut(_) => (FailureKind::Timeout, Retry::Backoff),
        NetError::Broken(_) => (FailureKind::BadResponse, Retry::Backoff),
        NetError::TooLarge(_) => (FailureKind::BadResponse, Retry::Never),
        NetError::OutOfTime => (FailureKind::Timeout, Retry::Never),
    };
    (failure(kind, &error.to_string()), retry)
}

/// The kind of failure that the HTTP status of an error stands for.
fn kind_of_status(status: StatusCode) -> FailureKind {
    match status {
        StatusCode::UNAUTHORIZED => FailureKind::Unauthorized,
        StatusCode::FORBIDDEN => FailureKind::Forbidden,
        StatusCode::NOT_FOUND | StatusCode::GONE => FailureKind::NotFound,
        StatusCode::TOO_MANY_REQUESTS => FailureKind::RateLimited,
        status if status.is_server_error() => FailureKind::Unavailable,
        _ => FailureKind::BadResponse,
    }
}

fn not_a_list(reason: &str) -> Failure {
    failure(FailureKind::BadResponse, &format!("this is not a list of profiles: {reason}"))
}

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, http_status: None, code: None, message: message.to_owned() }
}
