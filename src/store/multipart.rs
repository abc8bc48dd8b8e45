//! Uploading an object to S3 while it arrives.
//!
//! An object of more than one part is a multipart upload: S3 shows nothing of it until it is complete. What a process that
//! was killed has uploaded is never shown; the lifecycle of the bucket deletes it.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, ETAG};

use super::StoreError;
use super::s3::{S3Request, S3Store};
use crate::net::aws::AwsError;
use crate::net::{Answer, Deadline};

/// The size of a part. It is the smallest that S3 accepts. There may be 10,000 of them, so this is enough for 50 GB.
const PART_BYTES: usize = 5 * 1024 * 1024;
/// The timeout of one attempt to upload a part. It is enough for a slow line.
const PART_TIMEOUT: Duration = Duration::from_mins(1);
/// The permission that all requests need, except the one that cancels an upload.
const PERMISSION: &str = "s3:PutObject";

/// An upload in progress.
#[derive(Debug)]
pub struct S3Upload<'a> {
    store: &'a S3Store,
    key: String,
    content_type: String,
    /// The beginning of the next part. All parts use the same memory.
    part: BytesMut,
    uploaded: u64,
    /// The multipart upload, once there was more than one part.
    multipart: Option<Multipart>,
}

#[derive(Debug)]
struct Multipart {
    id: String,
    /// The entity tag of each part that S3 has confirmed.
    tags: Vec<String>,
}

impl<'a> S3Upload<'a> {
    pub(super) fn new(store: &'a S3Store, key: &str, content_type: &str, size_bytes: u64) -> Self {
        let (key, content_type) = (key.to_owned(), content_type.to_owned());
        let capacity = usize::try_from(size_bytes).unwrap_or(PART_BYTES).min(PART_BYTES);
        let part = BytesMut::with_capacity(capacity);
        Self { store, key, content_type, part, uploaded: 0, multipart: None }
    }

    /// Takes the next piece, and uploads a part when there is enough for one.
    pub(super) async fn write(&mut self, mut piece: &[u8], deadline: Deadline) -> Result<(), StoreError> {
        while !piece.is_empty() {
            if self.part.len() == PART_BYTES {
                self.upload_part(deadline).await?;
            }
            let (now, later) = piece.split_at(piece.len().min(PART_BYTES - self.part.len()));
            self.part.extend_from_slice(now);
            piece = later;
        }
        Ok(())
    }

    /// Uploads the rest, and makes the object visible.
    pub(super) async fn finish(&mut self, deadline: Deadline) -> Result<(), StoreError> {
        if self.multipart.is_none() {
            let bytes = std::mem::take(&mut self.part).freeze();
            let request = S3Request { timeout: PART_TIMEOUT, ..S3Request::new(&Method::PUT, &self.key) };
            return self.store.put_object(request, &self.content_type, bytes, deadline).await;
        }
        self.upload_part(deadline).await?;
        let Some(Multipart { id, tags }) = &self.multipart else { return Ok(()) };
        let mut parts = "<CompleteMultipartUpload>".to_owned();
        for (tag, number) in tags.iter().zip(1..) {
            let _ = write!(parts, "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        parts += "</CompleteMultipartUpload>";
        let query = format!("uploadId={id}");
        let request = S3Request { timeout: PART_TIMEOUT, ..self.request(&Method::POST, &query) };
        let sent = self.store.send(request, deadline, |request| request.body(parts.clone())).await;
        let failed = match sent {
            Ok(answer) => self.store.error_in(&answer),
            Err(error) => Some(error),
        };
        match failed {
            None => Ok(()),
            // An attempt that was not answered in time may have completed it. Then the upload is gone.
            Some(_) if self.store.size(&self.key, deadline).await? == Some(self.uploaded) => Ok(()),
            Some(error) => Err(self.store.failed("be written", PERMISSION, &error)),
        }
    }

    /// Cancels the upload, so that S3 does not charge for its parts.
    pub(super) async fn abort(&mut self, deadline: Deadline) {
        if let Some(Multipart { id, .. }) = self.multipart.take() {
            let query = format!("uploadId={id}");
            let sent = self.store.send(self.request(&Method::DELETE, &query), deadline, |request| request).await;
            if let Err(error) = sent {
                // If this fails, the lifecycle of the bucket cancels the upload later, if there is one.
                let error = self.store.failed("be written", "s3:AbortMultipartUpload", &error);
                tracing::warn!("the parts of an unfinished copy stay in the store: {error}");
            }
        }
    }

    async fn upload_part(&mut self, deadline: Deadline) -> Result<(), StoreError> {
        let failed = |store: &S3Store, error: &AwsError| store.failed("be written", PERMISSION, error);
        let id = match &self.multipart {
            Some(multipart) => multipart.id.clone(),
            None => self.begin(deadline).await.map_err(|error| failed(self.store, &error))?,
        };
        let multipart = self.multipart.get_or_insert_with(|| Multipart { id: id.clone(), tags: Vec::new() });
        let number = multipart.tags.len() + 1;
        let bytes = std::mem::take(&mut self.part).freeze();
        let length = bytes.len() as u64;
        let query = format!("partNumber={number}&uploadId={id}");
        let request = S3Request { timeout: PART_TIMEOUT, ..self.request(&Method::PUT, &query) };
        let answer = self.store.send(request, deadline, |request| request.body(bytes.clone())).await;
        self.part = memory_of(bytes);
        let tag = answer.and_then(|answer| tag_of(&answer)).map_err(|error| failed(self.store, &error))?;
        self.uploaded += length;
        if let Some(multipart) = &mut self.multipart {
            multipart.tags.push(tag);
        }
        Ok(())
    }

    /// Begins an upload and cancels it, to check whether copies can be made.
    pub(super) async fn check(self, deadline: Deadline) -> Result<(), StoreError> {
        let failed = |permission: &str, error: &AwsError| self.store.failed("be written", permission, error);
        let id = self.begin(deadline).await.map_err(|error| failed(PERMISSION, &error))?;
        let query = format!("uploadId={id}");
        let sent = self.store.send(self.request(&Method::DELETE, &query), deadline, |request| request).await;
        sent.map(drop).map_err(|error| failed("s3:AbortMultipartUpload", &error))
    }

    async fn begin(&self, deadline: Deadline) -> Result<String, AwsError> {
        let content_type = |request: reqwest::RequestBuilder| request.header(CONTENT_TYPE, &self.content_type);
        let answer = self.store.send(self.request(&Method::POST, "uploads="), deadline, content_type).await?;
        let body = String::from_utf8_lossy(&answer.body);
        let id = body.split_once("<UploadId>").and_then(|(_, rest)| Some(rest.split_once("</UploadId>")?.0));
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| AwsError::permanent("gave no id for an upload"))?;
        Ok(utf8_percent_encode(id, NON_ALPHANUMERIC).to_string())
    }

    fn request<'r>(&'r self, method: &'r Method, query: &'r str) -> S3Request<'r> {
        S3Request { query, ..S3Request::new(method, &self.key) }
    }
}

/// Takes back the memory of a part that was sent, for the next part.
fn memory_of(bytes: Bytes) -> BytesMut {
    // A broken connection may still hold the bytes. Then new memory is needed.
    let mut memory = bytes.try_into_mut().unwrap_or_else(|_| BytesMut::with_capacity(PART_BYTES));
    memory.clear();
    memory
}

/// Returns the entity tag of a part, escaped for a list in XML.
fn tag_of(answer: &Answer) -> Result<String, AwsError> {
    let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(|tag| tag.trim_matches('"'));
    let is_plain = |tag: &&str| tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && !tag.is_empty();
    tag.filter(is_plain).map(ToOwned::to_owned).ok_or_else(|| AwsError::permanent("gave no tag for a part"))
}
