//! How large what is uploaded to Lambda is.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// What a zip archive holds beside a file's bytes and twice its name.
const ZIP_BYTES_A_FILE: usize = 30 + 46;
/// What it holds at its end.
const ZIP_BYTES_AT_THE_END: u64 = 22;

/// The size of a zip archive of these files and directories, packed as tightly as deflate does.
pub fn zip_bytes(paths: &[impl AsRef<Path>]) -> io::Result<u64> {
    let mut bytes = ZIP_BYTES_AT_THE_END;
    for path in paths {
        let path = path.as_ref();
        let above = path.parent().unwrap_or(path);
        bytes += entries(path, above)?;
    }
    Ok(bytes)
}

fn entries(path: &Path, above: &Path) -> io::Result<u64> {
    if path.is_dir() {
        // What Python compiled is not uploaded.
        if path.ends_with("__pycache__") {
            return Ok(0);
        }
        return fs::read_dir(path)?.map(|entry| entries(&entry?.path(), above)).sum();
    }
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&fs::read(path)?)?;
    let name = path.strip_prefix(above).unwrap_or(path).as_os_str().len();
    Ok((packed.finish()?.len() + ZIP_BYTES_A_FILE + 2 * name) as u64)
}
