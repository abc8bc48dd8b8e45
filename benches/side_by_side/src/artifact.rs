//! The size of the zip that is uploaded to Lambda.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// The bytes that a zip archive needs per file, apart from the content and twice the name.
const ZIP_BYTES_A_FILE: usize = 30 + 46;
/// The bytes at the end of a zip archive.
const ZIP_BYTES_AT_THE_END: u64 = 22;

/// The size of a zip archive of these files and directories, with the highest compression level.
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
        // Python bytecode is not uploaded.
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
