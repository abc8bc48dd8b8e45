//! The store: keeps the snapshot of the last alert run, so that a process that has not scanned the profiles itself can show it,
//! and copies of files that are about to expire.
//!
//! [`Store`] writes, reads and deletes small objects by key, in a folder ([`folder`]) or in S3 ([`s3`]). Large ones arrive
//! piece by piece ([`copies`]). [`snapshot`] is the format of a snapshot in it. This layer knows neither runs nor HTTP, and
//! does not decide which snapshot may answer a request, nor which files are copied.

pub mod copies;
mod error;
mod folder;
mod multipart;
mod s3;
pub mod snapshot;

use std::time::Duration;

pub use self::error::StoreError;
use self::folder::FolderStore;
use self::s3::S3Store;
use crate::config::StoreConfig;
use crate::net::Deadline;
use crate::net::aws::Aws;

/// Where snapshots are kept.
#[derive(Debug)]
pub enum Store {
    /// In a folder of this machine.
    Folder(FolderStore),
    /// In a bucket of S3.
    S3(Box<S3Store>),
}

impl Store {
    /// Creates the store without touching it yet.
    pub async fn new(config: &StoreConfig, aws: &Aws) -> Self {
        match config {
            StoreConfig::Folder(path) => Self::Folder(FolderStore::new(path.clone())),
            StoreConfig::S3 { bucket, prefix } => Self::S3(Box::new(S3Store::new(bucket, prefix, aws).await)),
        }
    }

    /// Writes an object, or replaces it as a whole.
    ///
    /// # Errors
    ///
    /// Fails when the store does not confirm it before the deadline.
    pub async fn put(&self, key: &str, bytes: &[u8], deadline: Deadline) -> Result<(), StoreError> {
        match self {
            Self::Folder(store) => store.put(key, bytes),
            Self::S3(store) => store.put(key, bytes, deadline).await,
        }
    }

    /// Reads an object. Returns `None` when there is none.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read before the deadline, and when the object has more than `max_bytes`.
    pub async fn get(&self, key: &str, max_bytes: usize, deadline: Deadline) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Folder(store) => store.get(key, max_bytes),
            Self::S3(store) => store.get(key, max_bytes, deadline).await,
        }
    }

    /// Deletes an object. One that does not exist counts as deleted.
    ///
    /// # Errors
    ///
    /// Fails when the store does not confirm it before the deadline.
    pub async fn delete(&self, key: &str, deadline: Deadline) -> Result<(), StoreError> {
        match self {
            Self::Folder(store) => store.delete(key),
            Self::S3(store) => store.delete(key, deadline).await,
        }
    }

    /// Deletes the remains of interrupted runs in a folder of the store. A bucket has a lifecycle for this, so nothing happens
    /// there.
    fn delete_abandoned(&self, folder: &str, age: Duration) {
        if let Self::Folder(store) = self {
            store.delete_older(folder, age);
        }
    }

    /// Writes, reads and deletes one object. `id` is a part of its key, so that two checks use different objects.
    ///
    /// # Errors
    ///
    /// Fails when one of these fails, or when what was read is not what was written.
    pub async fn check(&self, id: &str, deadline: Deadline) -> Result<(), StoreError> {
        let key = format!("snapshots/check-{id}.txt");
        let written = format!("Written by the check {id}.\n").into_bytes();
        self.put(&key, &written, deadline).await?;
        let read = self.get(&key, written.len(), deadline).await;
        self.delete(&key, deadline).await?;
        if read?.is_some_and(|read| read == written) {
            return Ok(());
        }
        Err(StoreError::failed("be relied on", "it does not return what was written to it"))
    }
}
