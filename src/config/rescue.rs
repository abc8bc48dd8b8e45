//! The table `[rescue]`: which files are copied into the store before they are gone.

use super::StoreConfig;
use super::table::{Table, TextField};
use crate::model::threshold::{DurationError, Threshold, Thresholds};

/// The largest file that is copied, unless the configuration says otherwise.
const DEFAULT_MAX_FILE_BYTES: u64 = 1_000_000_000;
/// The largest value of `max_file_size`. An upload to S3 in parts of 5 MiB, which is what a copy is, can be a little larger.
const MAX_FILE_BYTES: u64 = 50_000_000_000;

/// Which files are copied into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescueConfig {
    /// Which files are copied.
    pub files: RescueFiles,
    /// Larger files are named as not copied, in bytes.
    pub max_file_bytes: u64,
}

impl RescueConfig {
    /// What is copied without a table `[rescue]`, when a command asks for these files.
    #[must_use]
    pub fn of(files: RescueFiles) -> Self {
        Self { files, max_file_bytes: DEFAULT_MAX_FILE_BYTES }
    }
}

/// Which files of the galleries are copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RescueFiles {
    /// Those that a scheduled post will lack.
    OfPosts,
    /// All that expire within this time.
    Expiring(Threshold),
    /// All. A document cannot ask for this, because each run would copy whole galleries.
    All,
}

/// Reads the table, if there is one. `thresholds` are those of `[alerts]`.
pub fn rescue(
    root: &Table<'_>,
    store: Option<&StoreConfig>,
    thresholds: Option<&Thresholds>,
    checks_posts: bool,
) -> Option<RescueConfig> {
    let table = root.table("rescue")?;
    if store.is_none() && !root.has("store") {
        root.fault("rescue", "needs a place for the copies; add `[store]` with `url = \"s3://bucket/prefix\"`");
    }
    let is_expiring = table.choice("files", &[("of-posts", false), ("expiring", true)]).unwrap_or(false);
    let within = if table.has("within") {
        table.parsed("within", |text| Threshold::parse(text.value).map_err(|_| DurationError::REASON))
    } else {
        thresholds.and_then(|thresholds| thresholds.iter().next().cloned())
    };
    let max_file_bytes =
        if table.has("max_file_size") { table.parsed("max_file_size", size) } else { Some(DEFAULT_MAX_FILE_BYTES) };
    if !is_expiring && !checks_posts {
        table.fault(
            "files",
            "`of-posts` needs the scheduled posts, which `ayrshare.scheduled_posts = false` leaves out; use `expiring`",
        );
    }
    table.finish();
    let files = if is_expiring { RescueFiles::Expiring(within?) } else { RescueFiles::OfPosts };
    Some(RescueConfig { files, max_file_bytes: max_file_bytes? })
}

/// Parses a size like `500MB` or `2GB`. The units are powers of 1,000.
fn size(text: &TextField<'_>) -> Result<u64, String> {
    const REASON: &str = "is not a size; write a whole number above 0 and `MB` or `GB`, like `500MB` or `2GB`";
    let value = text.value.trim();
    let (digits, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let unit_bytes: u64 = match unit {
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(REASON.to_owned()),
    };
    // Digits that cannot be parsed are a number that is too large.
    let number: u64 = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    match number.saturating_mul(unit_bytes) {
        0 => Err(REASON.to_owned()),
        bytes if bytes <= MAX_FILE_BYTES => Ok(bytes),
        _ => Err(format!("is too large; the maximum is {} GB", MAX_FILE_BYTES / 1_000_000_000)),
    }
}
