//! The binary of the function, as it is deployed.
//!
//! `CARGO_BIN_EXE_media-expiry-alerts` cannot be used, because cargo builds it with the features of the tests. The function
//! refuses to start if it was built with the feature `demo`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

const NAME: &str = "media-expiry-alerts";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The path of the binary. `FUNCTION_BINARY` overrides it, relative to the root of the repository; `make test` sets it to the
/// release build. The default is a debug build without features.
pub fn function() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("FUNCTION_BINARY") {
        Some(path) => Path::new(ROOT).join(path),
        None => build(),
    });
    assert!(BINARY.exists(), "FUNCTION_BINARY: {} does not exist", BINARY.display());
    &BINARY
}

/// Builds the function. This is fast if nothing has changed.
fn build() -> PathBuf {
    // The target folder of this test, which may differ from cargo's default. Its temporary folder is directly inside it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--message-format", "json-render-diagnostics", "--bin", NAME, "--target-dir"])
        .arg(target)
        .current_dir(ROOT)
        .stderr(Stdio::inherit());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_set_for_tests)) {
        cargo.env_remove(name);
    }
    let output = cargo.output().expect("cargo to start");
    assert!(output.status.success(), "the function cannot be built; the reason is above");
    // There is one line of JSON per artifact. That of a program contains its path.
    let artifacts = String::from_utf8(output.stdout).expect("text");
    let executable = |line: &str| -> Option<PathBuf> {
        let artifact: Value = serde_json::from_str(line).ok()?;
        (artifact["target"]["name"] == NAME).then(|| artifact["executable"].as_str().map(PathBuf::from))?
    };
    artifacts.lines().find_map(executable).expect("the path of the function")
}

/// Whether cargo sets this variable for tests. The variables must be removed, because some build scripts depend on them. If
/// they change, these crates and everything that depends on them are compiled again, now and in the next build.
pub fn is_set_for_tests(name: &str) -> bool {
    ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
