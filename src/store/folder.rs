//! The store in a folder of this machine. Each object is a file, which is replaced atomically.

use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::StoreError;
use super::snapshot::PART_SUFFIX;

/// The folder of the store for files that are not complete.
pub(super) const UNFINISHED: &str = ".unfinished";
/// The beginning of the names of files that are not complete.
const NEW: &str = ".new-";

/// A store in a folder.
#[derive(Debug)]
pub struct FolderStore {
    path: PathBuf,
}

impl FolderStore {
    /// Creates a store in the folder at `path`. The first write creates the folder.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes a file beside the old one and renames it, so that a reader sees the old or the new one.
    ///
    /// The file is not synced. A snapshot that a power failure has damaged is recognized, and the next run writes another one.
    pub(super) fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path.join(key);
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || {
            fs::create_dir_all(folder)?;
            // Temporary files are readable by their owner only, so the objects are too.
            let mut new = tempfile::Builder::new().prefix(NEW).tempfile_in(folder)?;
            new.write_all(bytes)?;
            new.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|error| failed("be written", &error))
    }

    /// Begins an upload of a file that becomes visible when it is complete.
    pub(super) fn upload(&self, key: &str) -> Result<FolderUpload, StoreError> {
        let begin = || {
            let unfinished = self.path.join(UNFINISHED);
            fs::create_dir_all(&unfinished)?;
            tempfile::Builder::new().prefix(NEW).tempfile_in(unfinished)
        };
        let file = begin().map_err(|error| failed("be written", &error))?;
        Ok(FolderUpload { file, path: self.path.join(key) })
    }

    /// The size of an object.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        self.require_folder()?;
        match fs::metadata(self.path.join(key)) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => Err(StoreError::failed("be read", "something that is not a file is in it")),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("be read", &error)),
        }
    }

    pub(super) fn get(&self, key: &str, max_bytes: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let cannot = |error: io::Error| failed("be read", &error);
        self.require_folder()?;
        let path = self.path.join(key);
        match fs::metadata(&path) {
            // Opening a pipe would wait for somebody to write to it.
            Ok(found) if !found.is_file() => {
                return Err(StoreError::failed("be read", "something that is not a file is in it"));
            }
            Ok(_) => {}
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(cannot(error)),
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
        let read = File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        match read {
            Ok(_) if max_bytes < bytes.len() => Err(too_large(max_bytes)),
            Ok(_) => Ok(Some(bytes)),
            // It was deleted just now.
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(cannot(error)),
        }
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.path.join(key)) {
            Err(error) if !is_absent(&error) => Err(failed("be written", &error)),
            _ => Ok(()),
        }
    }

    /// Deletes the files in a folder of the store that interrupted runs have left and that are older than `age`. Files whose
    /// names the store does not use are kept, because something else has written them.
    pub(super) fn delete_older(&self, folder: &str, age: Duration) {
        let folder = self.path.join(folder);
        // Uses the time of the file system, which may differ from the clock of this process.
        let clock = tempfile::Builder::new().prefix(NEW).tempfile_in(&folder);
        let Ok(now) = clock.and_then(|file| file.as_file().metadata()?.modified()) else { return };
        let Ok(entries) = fs::read_dir(&folder) else { return };
        let is_ours = |entry: &DirEntry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(NEW) || name.ends_with(PART_SUFFIX)
        };
        let modified = |entry: &DirEntry| entry.metadata().ok().filter(fs::Metadata::is_file)?.modified().ok();
        for entry in entries.flatten().filter(is_ours) {
            if modified(&entry).is_some_and(|at| now.duration_since(at).is_ok_and(|before| age < before)) {
                // The next run tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn require_folder(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.path) {
            Ok(found) if !found.is_dir() => Err(StoreError::failed("be read", "it is not a folder")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("be read", &error)),
        }
    }
}

/// An upload in progress, in a temporary file.
#[derive(Debug)]
pub struct FolderUpload {
    file: NamedTempFile,
    path: PathBuf,
}

impl FolderUpload {
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(piece).map_err(|error| failed("be written", &error))
    }

    /// Makes the file visible. Unlike a snapshot, a copy cannot be made again once its original is gone, so it is synced.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let Self { file, path } = self;
        let finish = || {
            file.as_file().sync_all()?;
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        finish().map_err(|error: io::Error| failed("be written", &error))
    }
}

fn failed(action: &'static str, error: &io::Error) -> StoreError {
    let hint = match error.kind() {
        ErrorKind::ReadOnlyFilesystem => "; a Lambda function can write to /tmp only, so use a bucket there",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "; `store.url` must be a folder",
        _ => "",
    };
    StoreError::failed(action, format!("{error}{hint}"))
}

/// Creates the error for an object that is larger than anything that this program writes.
pub(super) fn too_large(max_bytes: usize) -> StoreError {
    StoreError::unusable(format!("an object in it has more than {max_bytes} bytes"))
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn store() -> (tempfile::TempDir, FolderStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::new(folder.path().join("a/b"));
        (folder, store)
    }

    #[test]
    fn an_object_is_written_replaced_read_and_deleted() {
        let (_folder, store) = store();
        assert_eq!(store.get("snapshots/x", 10), Ok(None));
        assert_eq!(store.delete("snapshots/x"), Ok(()));
        for content in ["one", "another"] {
            assert_eq!(store.put("snapshots/x", content.as_bytes()), Ok(()));
            assert_eq!(store.get("snapshots/x", 10), Ok(Some(content.into())));
        }
        assert!(matches!(store.get("snapshots/x", 6), Err(StoreError::Unusable { .. })));
        assert_eq!(store.delete("snapshots/x"), Ok(()));
        assert_eq!(store.get("snapshots/x", 10), Ok(None));
        let left = fs::read_dir(store.path.join("snapshots")).expect("the folder").count();
        assert_eq!(left, 0, "no temporary file is left");
    }

    #[test]
    fn what_is_no_folder_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "mine").expect("a file");
        let store = FolderStore::new(file.clone());
        let error = store.get("snapshots/x", 10).expect_err("an error").to_string();
        assert!(error.contains("it is not a folder"), "{error}");
        assert!(store.put("snapshots/x", b"1").is_err());
        assert_eq!(fs::read(&file).expect("the file"), b"mine");

        let store = FolderStore::new(folder.path().to_owned());
        fs::create_dir_all(folder.path().join("snapshots/x")).expect("a folder");
        let error = store.get("snapshots/x", 10).expect_err("an error").to_string();
        assert!(error.contains("something that is not a file"), "{error}");
    }

    #[test]
    fn only_old_files_are_deleted() {
        let (_folder, store) = store();
        store.put("snapshots/old.jsonl.gz", b"1").expect("written");
        let path = store.path.join("snapshots/old.jsonl.gz");
        let long_ago = SystemTime::now() - Duration::from_hours(48);
        File::options().write(true).open(&path).and_then(|file| file.set_modified(long_ago)).expect("a new time");
        store.put("snapshots/new.jsonl.gz", b"2").expect("written");
        let foreign = store.path.join("snapshots/holiday.mov");
        fs::rename(&path, &foreign).expect("a file of somebody else");
        fs::copy(&foreign, &path).expect("a copy");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(long_ago)).expect("an old time");
        store.delete_older("snapshots", Duration::from_hours(24));
        let kept = ["old.jsonl.gz", "new.jsonl.gz", "holiday.mov"]
            .map(|name| store.path.join("snapshots").join(name).exists());
        assert_eq!(kept, [false, true, true]);
    }
}
