//! The function as it is deployed, which the tests start.
//!
//! Not `CARGO_BIN_EXE_media-expiry-alerts`: cargo builds that with the features of the tests, so with the terminal and the
//! stand-ins compiled in, and such a build refuses to start.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

const NAME: &str = "media-expiry-alerts";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The binary of the function: the one that `FUNCTION_BINARY` names, relative to the root of the repository, else a debug
/// build without features. `make test` names what `cargo lambda build --release` has made.
pub fn function() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("FUNCTION_BINARY") {
        Some(path) => Path::new(ROOT).join(path),
        None => build(),
    });
    assert!(BINARY.exists(), "FUNCTION_BINARY: there is no {}", BINARY.display());
    &BINARY
}

/// Builds the function once in the life of this process. It is quick when nothing has changed.
fn build() -> PathBuf {
    // The folder that cargo gives to tests is one below the target folder, which need not be the one that cargo would use now.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--message-format", "json-render-diagnostics", "--bin", NAME, "--target-dir"])
        .arg(target)
        .current_dir(ROOT)
        .stderr(Stdio::inherit());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_the_test)) {
        cargo.env_remove(name);
    }
    let output = cargo.output().expect("cargo to start");
    assert!(output.status.success(), "the function cannot be built; the reason is above");
    // A line for each artifact; that of a program says where it is.
    let artifacts = String::from_utf8(output.stdout).expect("text");
    let executable = |line: &str| -> Option<PathBuf> {
        let artifact: Value = serde_json::from_str(line).ok()?;
        (artifact["target"]["name"] == NAME).then(|| artifact["executable"].as_str().map(PathBuf::from))?
    };
    artifacts.lines().find_map(executable).expect("cargo to say where the function is")
}

/// Whether a variable is one that cargo sets for a test. Build scripts that look at them would run again, and everything
/// on top of them would be compiled again, in the cargo that a test starts and in the next one after it.
pub fn is_of_the_test(name: &str) -> bool {
    ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
