//! The document: where it is, and reading its text.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::reference::{self, Reference, ReferenceSources};
use super::{CONFIG_VARIABLE, s3};
use crate::net::environment::Environment;

/// The maximum size of the document. That is enough for about 20,000 profiles.
pub const MAX_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;

/// The location of the document.
#[derive(Debug, PartialEq, Eq)]
pub enum DocumentSource {
    /// A local file.
    File(PathBuf),
    /// Parameter Store or Secrets Manager.
    Reference(Reference),
    /// An object in S3.
    S3(s3::Object),
}

impl DocumentSource {
    /// Returns the location that [`CONFIG_VARIABLE`] names.
    ///
    /// Returns `None` when the variable is not set. Then other environment variables are the configuration.
    pub fn from_environment(environment: &Environment) -> Result<Option<Self>, Fault> {
        const ACCEPTED: &str = "give the path of a file, `ssm:/parameter/name`, `secretsmanager:ID[#json-key]` or \
                                `s3://bucket/key`";
        let Some(location) = environment.non_blank_var(CONFIG_VARIABLE) else { return Ok(None) };
        let location = location.trim();
        let fault = |reason: String| Fault::new(CONFIG_VARIABLE, reason);
        let source = match location.split_once(':') {
            Some(("ssm" | "secretsmanager", _)) => match Reference::parse(location) {
                Some(reference) => reference.map(Self::Reference).map_err(fault),
                None => Err(fault(ACCEPTED.to_owned())),
            },
            Some(("s3", object)) => s3::Object::parse(object).map(Self::S3).map_err(fault),
            // A single letter is a Windows drive.
            Some((scheme, _)) if 2 <= scheme.len() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(fault(format!("the document cannot be read from there; {ACCEPTED}")))
            }
            _ => Ok(Self::File(location.into())),
        };
        source.map(Some)
    }

    /// Returns whether the document is read from AWS.
    pub fn is_in_aws(&self) -> bool {
        matches!(self, Self::Reference(_) | Self::S3(_))
    }

    /// Reads the text of the document.
    pub async fn read(&self, sources: ReferenceSources<'_>) -> Result<String, Fault> {
        match self {
            Self::File(path) => read_file(path).map_err(|reason| Fault::new(CONFIG_VARIABLE, reason)),
            Self::Reference(reference) => {
                let found = reference::look_up([reference.clone()].into(), sources).await.remove(reference);
                let found = found.unwrap_or_else(|| Ok(String::new()));
                found.map_err(|error| Fault::from_lookup(CONFIG_VARIABLE, reference, &error))
            }
            Self::S3(object) => {
                let found = object.read(sources.aws, sources.deadline).await;
                found.map_err(|error| Fault::from_lookup(CONFIG_VARIABLE, object, &error))
            }
        }
    }
}

/// Reads a file in this thread. For `tokio::fs`, two threads would have to be started in each cold start.
fn read_file(path: &Path) -> Result<String, String> {
    let name = path.display().to_string();
    // The document itself, set as the variable by mistake, may contain secrets.
    let name = if name.contains(['{', '"', '=', '\n']) { "this file" } else { &name };
    let unreadable = |error: io::Error| format!("{name} cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if MAX_DOCUMENT_BYTES < bytes.len() as u64 {
        return Err(format!("{name} has more than {MAX_DOCUMENT_BYTES} bytes, which is the maximum"));
    }
    String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8 text"))
}
