//! Writes text to standard output, standard error or a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Writes to standard output. A closed pipe is not an error: the reader, for example `head`, needs no more output.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Writes a line to standard error. A failure is ignored, because there is nowhere left to report it.
pub fn print_stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes a file atomically: to a temporary file in the same directory first, which then replaces the target. A pipe or a
/// terminal is written to directly.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    // Resolved first, so that a symbolic link stays a link and its target is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::write(&path, text);
    }
    let temporary = temporary_path(&path);
    let write = || -> io::Result<()> {
        let mut file = File::create_new(&temporary)?;
        if let Ok(before) = fs::metadata(&path) {
            file.set_permissions(before.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|error| {
        if error.kind() != ErrorKind::AlreadyExists {
            let _ = fs::remove_file(&temporary);
        }
    })
}

/// A path in the same directory that no other process uses at the same time.
fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}
