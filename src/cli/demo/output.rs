//! The folder that the demo writes to. It belongs to the user, so only files written by a demo are ever removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::DemoError;

/// The first line of the configuration file. A later demo recognizes the folder by it.
pub const FIRST_LINE: &str = "# The configuration of the demo. The stand-ins listen on these ports while it runs.";
/// The name of the configuration file.
pub const CONFIG: &str = "config.toml";
/// The name of the ledger file, which the second run reads.
pub const LEDGER: &str = "ledger.json";

/// A folder that was empty or written by an earlier demo.
pub struct Output {
    directory: PathBuf,
}

impl Output {
    /// Creates the folder, or reuses that of an earlier demo.
    pub fn new(directory: &Path) -> Result<Self, DemoError> {
        let output = Self { directory: directory.to_owned() };
        let io = |error| io_error(directory, error);
        fs::create_dir_all(directory).map_err(io)?;
        let names = fs::read_dir(directory)
            .and_then(|entries| {
                entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>()
            })
            .map_err(io)?;
        if !names.is_empty() && !output.was_written_by_demo() {
            return Err(DemoError::NotEmpty(output.name()));
        }
        for name in names.iter().filter_map(|name| name.to_str()).filter(|name| is_stale(name)) {
            let path = output.path(name);
            fs::remove_file(&path).map_err(|error| io_error(&path, error))?;
        }
        Ok(output)
    }

    fn was_written_by_demo(&self) -> bool {
        fs::read_to_string(self.path(CONFIG)).is_ok_and(|config| config.starts_with(FIRST_LINE))
    }

    /// The path of the folder, relative to the current directory if the folder is inside it.
    pub fn name(&self) -> String {
        let here = std::env::current_dir().ok();
        let below = here.and_then(|here| self.directory.strip_prefix(here).ok().map(Path::to_owned));
        below.unwrap_or_else(|| self.directory.clone()).display().to_string()
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file. Replaces that of an earlier demo.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| io_error(&path, error))?;
        Ok(path)
    }
}

/// Whether a file of an earlier demo must be removed, because this demo may not overwrite it. With the old ledger, the first
/// run would find nothing new. The earlier demo may also have written more Slack messages.
fn is_stale(name: &str) -> bool {
    let message = name.strip_prefix("slack-").and_then(|name| name.strip_suffix(".json"));
    name == LEDGER || message.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn io_error(path: &Path, error: io::Error) -> DemoError {
    DemoError::Io(path.display().to_string(), error)
}
