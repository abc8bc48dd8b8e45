//! The ledger in a local file, which is replaced atomically and locked by the operating system.
//!
//! `ledger.path` may be wrong and name a configuration file or a device, for example. So nothing is read, renamed or
//! overwritten unless it begins as this module writes a ledger.
//!
//! Records are read and written one at a time, so that memory use does not depend on the size of the ledger.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Change, Key, Lease, LedgerError, Memory, Record};
use crate::model::Level;
use crate::model::{Part, ProfileName};

/// The beginning of a ledger of this version, ignoring white space.
const BEGINNING: [&str; 3] = [r#"{"version":"#, "1", r#","channels":{"#];
/// The largest file that is read: about two million records.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;
/// How long a write waits for another process. Writing the largest ledger takes less time.
const MAX_FOR_WRITE_LOCK: Duration = Duration::from_secs(5);
/// The time between two attempts to get the lock.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// The channel of the record that a check writes. Configured channels never have a blank name.
const CHECK: &str = "";

/// A ledger in a file.
#[derive(Debug)]
pub struct FileLedger {
    path: PathBuf,
    /// Held while the file is rewritten, because several channels may write at the same time. Other processes are kept
    /// out by a lock file.
    writing: Mutex<()>,
}

impl FileLedger {
    /// Creates a ledger at `path`. The file is created by the first write.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, writing: Mutex::default() }
    }

    /// Takes the lease: a lock of the operating system, which ends with its process at the latest.
    ///
    /// This also renames a corrupt ledger, because only the run that holds the lease may change files.
    pub(super) fn lease(&self, owner: &str, now: Timestamp) -> Result<Option<Lease>, LedgerError> {
        // Before locking, so that no lock file is created beside a file that is not a ledger.
        self.open()?;
        let Some(lock) = self.lock()? else { return Ok(None) };
        let note = match self.for_each(|_, _, _| {}) {
            Ok(()) => None,
            Err(LedgerError::Corrupt { path, reason }) => {
                let aside = beside(&path, &format!("corrupt-{}", now.as_millisecond()));
                fs::rename(&path, &aside).map_err(|error| failed("be renamed", &error))?;
                Some(format!(
                    "the ledger could not be read ({reason}); it was renamed to {} and a new one was started",
                    aside.display()
                ))
            }
            Err(error) => return Err(error),
        };
        Ok(Some(Lease { owner: owner.to_owned(), lock: Some(lock), note }))
    }

    /// Returns whether the lock still excludes other runs. It does not if the lock file was deleted and another run has
    /// created and locked a new one.
    pub(super) fn renew(&self, lease: &Lease) -> Result<bool, LedgerError> {
        let path = beside(&self.path, "lock");
        let Some(lock) = &lease.lock else { return Ok(false) };
        let held = lock.metadata().map_err(|error| failed("be read", &error))?;
        match fs::metadata(&path) {
            Ok(found) => Ok(is_same_file(&held, &found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(failed("be read", &error)),
        }
    }

    pub(super) fn read(&self, channel: &str, now: Timestamp) -> Result<Memory, LedgerError> {
        let mut memory = Memory::default();
        let mut profile = None;
        self.for_each(|of, key, record| {
            if of == channel && now < record.keep_until {
                memory.extend(Key::parse_sharing(key, &mut profile).map(|key| (key, record)));
            }
        })?;
        Ok(memory)
    }

    /// Replaces the file atomically: writes a new one beside it, syncs it and renames it. A crash leaves the old or the
    /// new file.
    ///
    /// No lease is needed: whoever writes waits until the writer before has replaced the file, and copies every record that
    /// it does not change. So a mark of a file and the announcements of a run at the same time are both kept.
    pub(super) fn write(
        &self,
        channel: &str,
        changes: impl Iterator<Item = Change>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _exclusive = self.write_lock()?;
        let path = regular(&self.path)?.unwrap_or_else(|| self.path.clone());
        let cannot = |error: io::Error| failed("be written", &error);
        let changes: BTreeMap<_, _> = changes
            .map(|change| match change {
                Change::Put(key, record) => (key.to_string(), Some(record)),
                Change::Delete(key) => (key.to_string(), None),
            })
            .collect();

        // Temporary files are readable by their owner only, so the ledger is too.
        let new = tempfile::Builder::new().prefix(".ledger-").suffix(".new").tempfile_in(folder_of(&path));
        let mut new = new.map_err(cannot)?;
        let mut document = NewDocument::begin(BufWriter::new(new.as_file_mut())).map_err(cannot)?;
        let mut has_changes = false;
        let mut copied = Ok(());
        self.for_each(|of, key, record| {
            let mut copy = || {
                if of == channel && !std::mem::replace(&mut has_changes, true) {
                    document.put_all(channel, &changes)?;
                }
                let is_replaced = of == channel && changes.contains_key(key);
                if now < record.keep_until && !is_replaced { document.put(of, key, &record) } else { Ok(()) }
            };
            if copied.is_ok() {
                copied = copy();
            }
        })?;
        copied.map_err(cannot)?;
        if !has_changes {
            document.put_all(channel, &changes).map_err(cannot)?;
        }
        document.end().map_err(cannot)?;

        new.as_file().sync_all().map_err(cannot)?;
        new.persist(&path).map_err(|error| cannot(error.error))?;
        File::open(folder_of(&path)).and_then(|folder| folder.sync_all()).map_err(cannot)
    }

    /// Writes, reads and deletes one record. While another run holds the lease, only that run may write, so the check only
    /// reads.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.open()?;
        let Some(_lock) = self.lock()? else { return self.for_each(|_, _, _| {}) };
        let key = Key::of_failing(&ProfileName::new("check"), Part::Media);
        self.write(CHECK, [Change::Put(key.clone(), Record::new(Level::SEEN, now, None))].into_iter(), now)?;
        let is_kept = self.read(CHECK, now)?.contains(&key);
        self.write(CHECK, [Change::Delete(key)].into_iter(), now)?;
        if is_kept { Ok(()) } else { Err(LedgerError::NotKept) }
    }

    /// Takes the lock of the lease. Returns `None` while another process holds it.
    fn lock(&self) -> Result<Option<File>, LedgerError> {
        let file = self.lock_file("lock")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("be locked", &error)),
        }
    }

    /// Waits until no other process writes. That takes as long as writing the file once; a writer that crashes releases it,
    /// but one that was stopped does not.
    fn write_lock(&self) -> Result<File, LedgerError> {
        // Before locking, so that no lock file is created beside a file that is not a ledger.
        self.open()?;
        let file = self.lock_file("write-lock")?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(failed("be locked", &error)),
                Err(TryLockError::WouldBlock) if began.elapsed() < MAX_FOR_WRITE_LOCK => thread::sleep(LOCK_POLL),
                Err(TryLockError::WouldBlock) => {
                    let reason = "another process has been writing it for too long; end that process";
                    return Err(failed("be locked", &io::Error::new(io::ErrorKind::TimedOut, reason)));
                }
            }
        }
    }

    /// Opens a lock file beside the ledger, and creates it if it does not exist.
    fn lock_file(&self, extension: &str) -> Result<File, LedgerError> {
        let path = beside(&self.path, extension);
        regular(&path)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        file.map_err(|error| failed("be opened", &error))
    }

    /// Opens the ledger. Returns `None` if it does not exist yet.
    fn open(&self) -> Result<Option<Opened>, LedgerError> {
        let Some(path) = regular(&self.path)? else { return Ok(None) };
        let cannot = |error: io::Error| failed("be read", &error);
        let file = File::open(&path).map_err(cannot)?;
        let bytes = file.metadata().map_err(cannot)?.len();
        if MAX_FILE_BYTES < bytes {
            let reason = format!("it has {bytes} bytes, but a ledger has at most {MAX_FILE_BYTES}");
            return Err(LedgerError::NotALedger { reason });
        }
        let mut reader = BufReader::new(file.take(MAX_FILE_BYTES));
        match version(reader.fill_buf().map_err(cannot)?) {
            Some(version) => Ok(Some(Opened { path, version, reader })),
            None => Err(LedgerError::NotALedger { reason: "it has other content".to_owned() }),
        }
    }

    /// Reads the ledger and calls `take` with the channel, key and value of each record.
    fn for_each(&self, mut take: impl FnMut(&str, &str, Record)) -> Result<(), LedgerError> {
        let Some(Opened { path, version, reader }) = self.open()? else { return Ok(()) };
        if !version.is_empty() && version != BEGINNING[1] {
            return Err(LedgerError::Corrupt { path, reason: format!("it has version {version}") });
        }
        let mut json = serde_json::Deserializer::from_reader(reader);
        let read = Entries { scope: Scope::Document, take: &mut take }.deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|error| {
            if error.is_io() {
                return failed("be read", &error.into());
            }
            let ends = if error.is_eof() { "it ends too early, at " } else { "" };
            let reason = format!("{ends}line {}, column {}", error.line(), error.column());
            LedgerError::Corrupt { path, reason }
        })
    }
}

/// A file that begins like a ledger.
struct Opened {
    path: PathBuf,
    /// The digits of its version. Empty if the file ends before them.
    version: String,
    reader: BufReader<io::Take<File>>,
}

/// Returns the digits of the version from the beginning of a ledger, which may be cut off. Returns `None` if it is not a
/// ledger.
fn version(beginning: &[u8]) -> Option<String> {
    let [before, _, after] = BEGINNING.map(str::as_bytes);
    let is_blank = |byte: &u8| byte.is_ascii_whitespace();
    let compact: Vec<u8> = beginning.iter().filter(|byte| !is_blank(byte)).take(64).copied().collect();
    if compact.is_empty() {
        return Some(String::new());
    }
    let rest = compact.strip_prefix(before)?;
    let (digits, rest) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let is_ledger = rest.starts_with(after) || after.starts_with(rest);
    is_ledger.then(|| String::from_utf8_lossy(digits).into_owned())
}

/// Reads the nested objects of a ledger without keeping them in memory.
struct Entries<'a, F> {
    scope: Scope<'a>,
    take: &'a mut F,
}

/// The object that is being parsed.
enum Scope<'a> {
    Document,
    Channels,
    Channel(&'a str),
}

impl<'de, F: FnMut(&str, &str, Record)> DeserializeSeed<'de> for Entries<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, &str, Record)> Visitor<'de> for Entries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            match self.scope {
                Scope::Document if name == "channels" => {
                    entries.next_value_seed(Entries { scope: Scope::Channels, take: &mut *self.take })?;
                }
                Scope::Document => drop(entries.next_value::<IgnoredAny>()?),
                Scope::Channels => {
                    entries.next_value_seed(Entries { scope: Scope::Channel(&name), take: &mut *self.take })?;
                }
                Scope::Channel(channel) => (self.take)(channel, &name, entries.next_value()?),
            }
        }
        Ok(())
    }
}

/// Writes a ledger. The records of a channel must be written one after the other.
struct NewDocument<W> {
    out: W,
    /// The channel whose object is open.
    channel: Option<String>,
}

impl<W: Write> NewDocument<W> {
    fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(BEGINNING.concat().as_bytes())?;
        Ok(Self { out, channel: None })
    }

    fn put_all(&mut self, channel: &str, records: &BTreeMap<String, Option<Record>>) -> io::Result<()> {
        let mut records = records.iter().filter_map(|(key, record)| Some((key, record.as_ref()?)));
        records.try_for_each(|(key, record)| self.put(channel, key, record))
    }

    fn put(&mut self, channel: &str, key: &str, record: &Record) -> io::Result<()> {
        if self.channel.as_deref() == Some(channel) {
            self.out.write_all(b",\n")?;
        } else {
            self.out.write_all(if self.channel.is_some() { b"\n},\n" } else { b"\n" })?;
            serde_json::to_writer(&mut self.out, channel)?;
            self.out.write_all(b":{\n")?;
            self.channel = Some(channel.to_owned());
        }
        serde_json::to_writer(&mut self.out, key)?;
        self.out.write_all(b":")?;
        Ok(serde_json::to_writer(&mut self.out, record)?)
    }

    fn end(mut self) -> io::Result<()> {
        self.out.write_all(if self.channel.is_some() { b"\n}\n}}\n" } else { b"}}\n" })?;
        self.out.flush()
    }
}

/// Resolves a path that must lead to a regular file. Returns `None` if nothing exists there.
fn regular(path: &Path) -> Result<Option<PathBuf>, LedgerError> {
    let cannot = |error: io::Error| failed("be read", &error);
    let no_ledger = |reason: &str| LedgerError::NotALedger { reason: reason.to_owned() };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    let (target, found) = if found.is_symlink() {
        let target = fs::canonicalize(path).map_err(|_| no_ledger("it is a broken symbolic link"))?;
        let found = fs::metadata(&target).map_err(cannot)?;
        (target, found)
    } else {
        (path.to_owned(), found)
    };
    if found.is_dir() {
        Err(no_ledger("it is a folder"))
    } else if !found.is_file() {
        Err(no_ledger("it is a device, a pipe or a socket"))
    } else {
        Ok(Some(target))
    }
}

#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Windows does not delete a file while it is locked, so the lock is still the same file.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
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

fn failed(attempt: &'static str, error: &io::Error) -> LedgerError {
    LedgerError::Io { attempt, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn put(profile: &str) -> Change {
        let key = Key::Failing { profile: ProfileName::new(profile), part: Part::Media };
        Change::Put(key, Record::new(Level::SEEN, now(), None))
    }

    fn ledger(folder: &TempDir) -> FileLedger {
        FileLedger::new(folder.path().join("ledger.json"))
    }

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a folder")
    }

    /// The sorted names of the files in a folder.
    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn records_are_read_by_the_next_process_and_expire() {
        let folder = folder();
        ledger(&folder).write("team", [put("A"), put("B")].into_iter(), now()).expect("to be written");
        ledger(&folder).write("mail", [put("A")].into_iter(), now()).expect("to be written");
        assert_eq!(ledger(&folder).read("team", now()).expect("a memory").len(), 2);
        assert_eq!(ledger(&folder).read("nobody", now()).expect("a memory").len(), 0);

        let much_later = now() + jiff::SignedDuration::from_hours(91 * 24);
        ledger(&folder).write("mail", [].into_iter(), much_later).expect("to be written");
        assert_eq!(ledger(&folder).read("team", now()).expect("a memory").len(), 0);
    }

    #[test]
    fn two_writers_lose_no_record_and_a_mark_needs_no_lease() {
        let folder = folder();
        let run = ledger(&folder);
        let _lease = run.lease("run", now()).expect("an answer").expect("a lease");
        let write_all = |channel: &str, prefix: &str| {
            // Another ledger for each write, like another process.
            for index in 0..20 {
                let change = put(&format!("{prefix}{index}"));
                ledger(&folder).write(channel, [change].into_iter(), now()).expect("to be written");
            }
        };
        std::thread::scope(|scope| {
            for prefix in ["a", "b"] {
                scope.spawn(|| write_all("team", prefix));
            }
            scope.spawn(|| write_all("mail", "a"));
        });
        assert_eq!(ledger(&folder).read("team", now()).expect("a memory").len(), 40);
        assert_eq!(ledger(&folder).read("mail", now()).expect("a memory").len(), 20);
        assert_eq!(names(&folder), ["ledger.json", "ledger.json.lock", "ledger.json.write-lock"]);
    }

    #[test]
    fn only_one_run_holds_the_lease() {
        let folder = folder();
        let (one, two) = (ledger(&folder), ledger(&folder));
        let lease = one.lease("one", now()).expect("an answer").expect("a lease");
        assert!(two.lease("two", now()).expect("an answer").is_none());
        drop(lease);
        assert!(two.lease("two", now()).expect("an answer").is_some());
    }

    #[test]
    fn a_lease_is_lost_when_another_run_has_replaced_its_lock() {
        let folder = folder();
        let (one, two) = (ledger(&folder), ledger(&folder));
        let lease = one.lease("one", now()).expect("an answer").expect("a lease");
        assert_eq!(one.renew(&lease), Ok(true));
        fs::remove_file(folder.path().join("ledger.json.lock")).expect("the lock");
        assert_eq!(one.renew(&lease), Ok(true), "no other run has taken it");
        let other = two.lease("two", now()).expect("an answer").expect("a lease");
        assert_eq!((one.renew(&lease), two.renew(&other)), (Ok(false), Ok(true)));
    }

    #[test]
    fn a_corrupt_ledger_is_renamed_and_reported() {
        for corrupt in [
            "",
            r#"{"version":1"#,
            r#"{"version":1,"channels":{"ops-em"#,
            r#"{"version":2,"channels":{}}"#,
            r#"{"version":1,"channels":{"a":{"b":1}}}"#,
            "{\n  \"version\": 1,\n  \"channels\": {}\n}}",
        ] {
            let folder = folder();
            let ledger = ledger(&folder);
            fs::write(&ledger.path, corrupt).expect("to be written");
            for result in [
                ledger.read("team", now()).err(),
                ledger.write("team", [].into_iter(), now()).err(),
                ledger.check(now()).err(),
            ] {
                assert!(matches!(result, Some(LedgerError::Corrupt { .. })), "{corrupt}: {result:?}");
            }
            assert_eq!(fs::read_to_string(&ledger.path).expect("a file"), corrupt, "only a run may change it");
            let lease = ledger.lease("one", now()).expect("an answer").expect("a lease");
            assert!(lease.note.expect("a note").contains("corrupt-1795413600000"), "{corrupt}");
            let aside = fs::read_to_string(folder.path().join("ledger.json.corrupt-1795413600000")).expect("a file");
            assert_eq!(aside, corrupt);
            assert_eq!(ledger.read("team", now()).expect("a memory").len(), 0);
        }
    }

    #[test]
    fn a_file_that_is_not_a_ledger_is_rejected_and_not_changed() {
        for other in [
            "[ayrshare]\napi_key = \"SECRET\"\n",
            r#"{"ayrshare":{"api_key":"SECRET"},"channels":[]}"#,
            r#"{"version":1,"dependencies":{}}"#,
            r#"{"version":"1","channels":{}}"#,
            "{",
            "[]",
            "\u{0}\u{0}\u{0}\u{0}",
        ] {
            let folder = folder();
            let ledger = ledger(&folder);
            fs::write(&ledger.path, other).expect("to be written");
            for result in [
                ledger.read("team", now()).err(),
                ledger.write("team", [put("A")].into_iter(), now()).err(),
                ledger.check(now()).err(),
                ledger.lease("one", now()).err(),
            ] {
                let Some(error @ LedgerError::NotALedger { .. }) = result else { panic!("{other}: {result:?}") };
                assert!(!error.to_string().contains("SECRET"), "{error}");
            }
            assert_eq!(fs::read_to_string(&ledger.path).expect("a file"), other);
            assert_eq!(names(&folder), ["ledger.json"]);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_path_that_is_not_a_regular_file_is_rejected_before_it_is_opened() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;

        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("folder")).expect("a folder");
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        for (link, target) in [("to-folder", "folder"), ("to-socket", "socket"), ("to-nothing", "nothing")] {
            symlink(path(target), path(link)).expect("a link");
        }
        let before = names(&folder);
        for name in ["folder", "socket", "to-folder", "to-socket", "to-nothing"] {
            let ledger = FileLedger::new(path(name));
            for result in [
                ledger.read("team", now()).err(),
                ledger.write("team", [put("A")].into_iter(), now()).err(),
                ledger.check(now()).err(),
                ledger.lease("one", now()).err(),
            ] {
                assert!(matches!(result, Some(LedgerError::NotALedger { .. })), "{name}: {result:?}");
            }
        }
        assert_eq!(names(&folder), before);
    }

    #[test]
    #[cfg(unix)]
    fn a_symbolic_link_to_a_ledger_is_not_replaced() {
        let folder = folder();
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&ledger(&folder).path, &link).expect("a link");
        ledger(&folder).write("team", [put("A")].into_iter(), now()).expect("to be written");
        let linked = FileLedger::new(link.clone());
        linked.write("team", [put("B")].into_iter(), now()).expect("to be written");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(ledger(&folder).read("team", now()).expect("a memory").len(), 2);
    }

    #[test]
    fn a_file_that_is_too_large_is_rejected_before_it_is_read() {
        let folder = folder();
        let ledger = ledger(&folder);
        // A sparse file, which uses no disk space.
        File::create(&ledger.path).and_then(|file| file.set_len(MAX_FILE_BYTES + 1)).expect("a file");
        let error = ledger.lease("one", now()).expect_err("an error").to_string();
        assert!(error.contains("it has 536870913 bytes, but a ledger has at most 536870912"), "{error}");
    }

    #[test]
    fn a_ledger_that_is_cut_off_at_any_byte_is_renamed_or_rejected() {
        let folder = folder();
        let ledger = ledger(&folder);
        ledger.write("team", [put("A"), put("B")].into_iter(), now()).expect("to be written");
        let whole = fs::read(&ledger.path).expect("a file");
        // The last byte is a line break, without which the file is still complete.
        for length in 0..whole.len() - 1 {
            fs::write(&ledger.path, &whole[..length]).expect("to be written");
            let leased = ledger.lease("one", now());
            if (1..BEGINNING[0].len()).contains(&length) {
                assert!(matches!(leased, Err(LedgerError::NotALedger { .. })), "{length}: {leased:?}");
            } else {
                let note = leased.expect("an answer").expect("a lease").note;
                assert!(note.is_some(), "{length}: {note:?}");
                assert!(!ledger.path.exists(), "{length}");
            }
        }
    }

    #[test]
    fn an_interrupted_write_leaves_the_old_ledger() {
        let folder = folder();
        let ledger = ledger(&folder);
        ledger.write("team", [put("A")].into_iter(), now()).expect("to be written");
        let whole = fs::read(&ledger.path).expect("a file");
        fs::write(folder.path().join(".ledger-abc.new"), &whole[..20]).expect("to be written");
        assert_eq!(ledger.read("team", now()).expect("a memory").len(), 1);
        ledger.write("team", [put("B")].into_iter(), now()).expect("to be written");
        assert_eq!(ledger.read("team", now()).expect("a memory").len(), 2);
    }

    #[test]
    #[cfg(unix)]
    fn a_ledger_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = folder();
        ledger(&folder).write("team", [put("A")].into_iter(), now()).expect("to be written");
        let mode = fs::metadata(ledger(&folder).path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn hostile_names_do_not_break_the_json() {
        let folder = folder();
        let ledger = ledger(&folder);
        let hostile = ["\"", "}}", "a\nb", "#%", "名📸", ""];
        for channel in hostile {
            ledger.write(channel, hostile.map(put).into_iter(), now()).expect("to be written");
            ledger.write(channel, [put("more")].into_iter(), now()).expect("to be written");
        }
        let document: serde_json::Value =
            serde_json::from_slice(&fs::read(&ledger.path).expect("a file")).expect("JSON");
        assert_eq!(document["channels"].as_object().map(serde_json::Map::len), Some(hostile.len()));
        for channel in hostile {
            let memory = ledger.read(channel, now()).expect("a memory");
            assert_eq!(memory.len(), hostile.len() + 1, "{channel}");
        }
        let delete = Change::Delete(Key::of_failing(&ProfileName::new("more"), Part::Media));
        ledger.write("}}", [delete].into_iter(), now()).expect("to be written");
        assert_eq!(ledger.read("}}", now()).expect("a memory").len(), hostile.len());
    }

    #[test]
    fn a_check_leaves_no_record_and_does_not_write_during_a_run() {
        let folder = folder();
        ledger(&folder).check(now()).expect("a sound ledger");
        ledger(&folder).write("team", [put("A")].into_iter(), now()).expect("to be written");
        let before = fs::read(ledger(&folder).path).expect("a file");
        ledger(&folder).check(now()).expect("a sound ledger");
        assert_eq!(fs::read(ledger(&folder).path).expect("a file"), before);

        let written = fs::metadata(ledger(&folder).path).and_then(|file| file.modified()).expect("a time");
        let _lease = ledger(&folder).lease("one", now()).expect("an answer").expect("a lease");
        ledger(&folder).check(now()).expect("a sound ledger");
        let unchanged = fs::metadata(ledger(&folder).path).and_then(|file| file.modified()).expect("a time");
        assert_eq!(written, unchanged, "only the run that holds the lease may write");
    }

    #[test]
    fn a_missing_folder_is_reported() {
        let ledger = FileLedger::new("/no/such/folder/ledger.json".into());
        assert!(ledger.check(now()).expect_err("an error").to_string().contains("cannot be opened"));
        assert!(ledger.lease("one", now()).expect_err("an error").to_string().contains("cannot be opened"));
    }
}
