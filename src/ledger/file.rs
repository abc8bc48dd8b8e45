//! The ledger in a file, for a machine: written whole and atomically, locked by the operating system.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Change, Key, Lease, LedgerError, Memory, Record};

/// The version of the file's shape.
const VERSION: u32 = 1;

/// A ledger in a file.
#[derive(Debug)]
pub struct FileLedger {
    path: PathBuf,
    /// Channels are served side by side; each rewrites the whole file.
    writing: Mutex<()>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    channels: BTreeMap<String, BTreeMap<String, Record>>,
}

impl Default for Document {
    fn default() -> Self {
        Self { version: VERSION, channels: BTreeMap::new() }
    }
}

enum Loaded {
    Whole(Document),
    Corrupt(String),
}

impl FileLedger {
    /// A ledger at `path`; the file is made when something is remembered.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, writing: Mutex::default() }
    }

    /// Takes the lease: a lock of the operating system, which ends with its process at the latest. A corrupt file is
    /// put aside here, because only the run that holds the lease may change anything.
    pub(super) fn lease(&self, owner: &str, now: Timestamp) -> Result<Option<Lease>, LedgerError> {
        let lock = beside(&self.path, "lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|error| io(&lock, "be opened", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(io(&lock, "be locked", &error)),
        }
        let note = match self.load()? {
            Loaded::Whole(_) => None,
            Loaded::Corrupt(reason) => {
                let aside = beside(&self.path, &format!("corrupt-{}", now.as_millisecond()));
                fs::rename(&self.path, &aside).map_err(|error| io(&self.path, "be put aside", &error))?;
                Some(format!(
                    "the ledger could not be read ({reason}); it is kept as {} and begun anew",
                    aside.display()
                ))
            }
        };
        Ok(Some(Lease { owner: owner.to_owned(), _file: Some(file), note }))
    }

    /// A lock ends with its process. It is lost when somebody has replaced the lock's file, which another process can lock.
    pub(super) fn renew(&self, _: &Lease) -> Result<bool, LedgerError> {
        Ok(true)
    }

    pub(super) fn read(&self, channel: &str, now: Timestamp) -> Result<Memory, LedgerError> {
        let mut document = self.whole()?;
        let records = document.channels.remove(channel).unwrap_or_default().into_iter();
        let records = records.filter(|(_, record)| now < record.keep_until);
        Ok(records.filter_map(|(key, record)| Some((Key::parse(&key)?, record))).collect())
    }

    pub(super) fn write(&self, channel: &str, changes: &[Change], now: Timestamp) -> Result<(), LedgerError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut document = self.whole()?;
        let records = document.channels.entry(channel.to_owned()).or_default();
        for change in changes {
            match change {
                Change::Put(key, record) => records.insert(key.to_string(), record.clone()),
                Change::Delete(key) => records.remove(&key.to_string()),
            };
        }
        for records in document.channels.values_mut() {
            records.retain(|_, record| now < record.keep_until);
        }
        document.channels.retain(|_, records| !records.is_empty());
        self.save(&document)
    }

    pub(super) fn check(&self) -> Result<(), LedgerError> {
        self.whole()?;
        let folder = folder_of(&self.path);
        let metadata = fs::metadata(folder).map_err(|error| io(folder, "be read", &error))?;
        if metadata.permissions().readonly() {
            let said = "the folder is read-only".to_owned();
            return Err(LedgerError::Io { path: folder.to_owned(), attempt: "be written", said });
        }
        Ok(())
    }

    fn whole(&self) -> Result<Document, LedgerError> {
        match self.load()? {
            Loaded::Whole(document) => Ok(document),
            Loaded::Corrupt(reason) => Err(LedgerError::Corrupt { path: self.path.clone(), reason }),
        }
    }

    fn load(&self) -> Result<Loaded, LedgerError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Loaded::Whole(Document::default())),
            Err(error) => return Err(io(&self.path, "be read", &error)),
        };
        Ok(match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) if document.version == VERSION => Loaded::Whole(document),
            Ok(document) => Loaded::Corrupt(format!("it is of version {}", document.version)),
            Err(error) => Loaded::Corrupt(format!("line {}, column {}", error.line(), error.column())),
        })
    }

    /// Writes beside the file, makes it durable and puts it in place: a crash leaves the old one or the new one.
    fn save(&self, document: &Document) -> Result<(), LedgerError> {
        let new = beside(&self.path, "new");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(document)?)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            File::open(folder_of(&self.path))?.sync_all()
        };
        write().map_err(|error| io(&self.path, "be written", &error))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

fn io(path: &Path, attempt: &'static str, error: &std::io::Error) -> LedgerError {
    LedgerError::Io { path: path.to_owned(), attempt, said: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Level;
    use crate::model::{Part, ProfileName};

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn put(profile: &str) -> Change {
        let key = Key::Failing { profile: ProfileName::new(profile), part: Part::Media };
        Change::Put(key, Record::new(Level::SEEN, now(), None))
    }

    /// A folder of its own, which is taken away at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("media-expiry-alerts-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).expect("a folder");
            Self(path)
        }

        fn ledger(&self) -> FileLedger {
            FileLedger::new(self.0.join("ledger.json"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_written_is_read_by_the_next_process_and_forgotten_in_time() {
        let folder = Folder::new();
        folder.ledger().write("team", &[put("A"), put("B")], now()).expect("to be written");
        folder.ledger().write("mail", &[put("A")], now()).expect("to be written");
        assert_eq!(folder.ledger().read("team", now()).expect("a memory").len(), 2);
        assert_eq!(folder.ledger().read("nobody", now()).expect("a memory").len(), 0);

        let much_later = now() + jiff::SignedDuration::from_hours(91 * 24);
        folder.ledger().write("mail", &[], much_later).expect("to be written");
        assert_eq!(folder.ledger().read("team", now()).expect("a memory").len(), 0);
    }

    #[test]
    fn one_lease_at_a_time() {
        let folder = Folder::new();
        let (one, two) = (folder.ledger(), folder.ledger());
        let lease = one.lease("one", now()).expect("an answer").expect("a lease");
        assert!(two.lease("two", now()).expect("an answer").is_none());
        drop(lease);
        assert!(two.lease("two", now()).expect("an answer").is_some());
    }

    #[test]
    fn a_corrupt_file_is_kept_aside_and_said() {
        for corrupt in ["", "{", "[]", r#"{"version":2,"channels":{}}"#, r#"{"version":1,"channels":{"a":{"b":1}}}"#] {
            let folder = Folder::new();
            let ledger = folder.ledger();
            fs::write(&ledger.path, corrupt).expect("to be written");
            assert!(ledger.read("team", now()).is_err(), "{corrupt}");
            assert!(ledger.path.exists(), "reading changes nothing");
            let lease = ledger.lease("one", now()).expect("an answer").expect("a lease");
            assert!(lease.note.expect("a note").contains("corrupt-1795413600000"), "{corrupt}");
            let aside = fs::read_to_string(folder.0.join("ledger.json.corrupt-1795413600000")).expect("a file");
            assert_eq!(aside, corrupt);
            assert_eq!(ledger.read("team", now()).expect("a memory").len(), 0);
        }
    }

    #[test]
    fn a_crash_at_any_byte_leaves_the_old_ledger() {
        let folder = Folder::new();
        let ledger = folder.ledger();
        ledger.write("team", &[put("A")], now()).expect("to be written");
        let whole = fs::read(&ledger.path).expect("a file");
        for length in 0..whole.len() {
            fs::write(folder.0.join("ledger.json.new"), &whole[..length]).expect("to be written");
            assert_eq!(ledger.read("team", now()).expect("a memory").len(), 1);
        }
        ledger.write("team", &[put("B")], now()).expect("to be written");
        assert_eq!(ledger.read("team", now()).expect("a memory").len(), 2);
    }

    #[test]
    fn a_folder_that_is_not_there_is_said() {
        let ledger = FileLedger::new("/no/such/folder/ledger.json".into());
        assert!(ledger.check().expect_err("an error").to_string().contains("/no/such/folder"));
        assert!(ledger.lease("one", now()).expect_err("an error").to_string().contains("cannot be opened"));
    }
}
