//! The folder that a demo writes to. It belongs to the user, so nothing is removed from it but what a demo wrote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::DemoError;

/// The first line of the configuration that a demo writes. A later demo recognizes its own folder by it.
pub const FIRST_LINE: &str = "# What the demo gives the function. The stand-ins are at these ports while it runs.";
/// The name of that file.
pub const CONFIG: &str = "config.toml";
/// What the function remembers between its two runs.
pub const LEDGER: &str = "ledger.json";

/// A folder that is empty, or holds what an earlier demo wrote.
pub struct Output {
    directory: PathBuf,
}

impl Output {
    /// Creates the folder, or takes that of an earlier demo over.
    pub fn new(directory: &Path) -> Result<Self, DemoError> {
        let output = Self { directory: directory.to_owned() };
        let io = |error| io_error(directory, error);
        fs::create_dir_all(directory).map_err(io)?;
        let names = fs::read_dir(directory)
            .and_then(|entries| {
                entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>()
            })
            .map_err(io)?;
        if !names.is_empty() && !output.is_of_a_demo() {
            return Err(DemoError::NotEmpty(output.name()));
        }
        for name in names.iter().filter_map(|name| name.to_str()).filter(|name| is_left_over(name)) {
            let path = output.path(name);
            fs::remove_file(&path).map_err(|error| io_error(&path, error))?;
        }
        Ok(output)
    }

    fn is_of_a_demo(&self) -> bool {
        fs::read_to_string(self.path(CONFIG)).is_ok_and(|config| config.starts_with(FIRST_LINE))
    }

    /// The folder as seen from the current one, if it is below that.
    pub fn name(&self) -> String {
        let here = std::env::current_dir().ok();
        let below = here.and_then(|here| self.directory.strip_prefix(here).ok().map(Path::to_owned));
        below.unwrap_or_else(|| self.directory.clone()).display().to_string()
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file, over that of an earlier demo.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| io_error(&path, error))?;
        Ok(path)
    }
}

/// Whether a file of an earlier demo must go, because this one may not write it again: with the old ledger nothing would be
/// new, and there may have been more Slack messages.
fn is_left_over(name: &str) -> bool {
    let message = name.strip_prefix("slack-").and_then(|name| name.strip_suffix(".json"));
    name == LEDGER || message.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn io_error(path: &Path, error: io::Error) -> DemoError {
    DemoError::Io(path.display().to_string(), error)
}
