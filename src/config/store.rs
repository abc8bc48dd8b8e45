//! The table `[store]`: where the last snapshot is kept.

use std::path::PathBuf;

use url::Url;

use super::parse::has_unknown_scheme;
use super::reference::Reference;
use super::s3::Object;
use super::table::{Table, TextField};

/// The longest prefix, in bytes. S3 allows keys of 1,024 bytes, and the store appends its own names.
const MAX_PREFIX_BYTES: usize = 800;

/// The place of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// A folder of this machine.
    Folder(PathBuf),
    /// The objects of an S3 bucket whose keys begin with a prefix.
    S3 {
        /// The bucket.
        bucket: String,
        /// What the keys begin with, without a slash at its end; empty for the whole bucket.
        prefix: String,
    },
}

/// Reads the table, if there is one.
pub fn store(root: &Table<'_>) -> Option<StoreConfig> {
    let table = root.table("store")?;
    let store = table.required("url", place);
    table.finish();
    store
}

fn place(text: &TextField<'_>) -> Result<StoreConfig, String> {
    let url = text.value.trim();
    if url.is_empty() {
        return Err("is blank".to_owned());
    }
    if let Some(location) = url.strip_prefix("s3:") {
        return s3(location);
    }
    if url.starts_with("file:") {
        let is_plain = |url: &Url| url.query().is_none() && url.fragment().is_none();
        let url = Url::parse(url).ok().filter(|parsed| is_plain(parsed) && url.starts_with("file:///"));
        let path = url.and_then(|url| url.to_file_path().ok());
        return path.map(StoreConfig::Folder).ok_or_else(|| "is not a URL of a folder of this machine".to_owned());
    }
    if url.contains("://") || has_unknown_scheme(text) {
        return Err(format!(
            "is neither `s3://bucket/prefix`, nor a folder, nor a reference; use {}",
            Reference::KINDS
        ));
    }
    Ok(StoreConfig::Folder(PathBuf::from(url)))
}

fn s3(location: &str) -> Result<StoreConfig, String> {
    let expected = || "`s3:` must be followed by a bucket and an optional prefix, like `s3://bucket/prefix`".to_owned();
    let location = location.strip_prefix("//").ok_or_else(expected)?;
    let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
    let prefix = prefix.trim_end_matches('/');
    if MAX_PREFIX_BYTES < prefix.len() || prefix.chars().any(char::is_control) {
        return Err(format!(
            "has a prefix that is longer than {MAX_PREFIX_BYTES} bytes or contains control characters; use another prefix"
        ));
    }
    if prefix.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(
            "has `.` or `..` between slashes, which HTTP clients remove from a path; use another prefix".to_owned()
        );
    }
    Object::parse(&format!("//{bucket}/key")).map_err(|_| expected())?;
    Ok(StoreConfig::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}
