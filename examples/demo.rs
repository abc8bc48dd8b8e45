//! `cargo demo`: the main job on embedded stand-ins, without a key and without the network.

use std::path::PathBuf;
use std::process::ExitCode;

use media_expiry_alerts::demo::{self, Look};
use media_expiry_alerts::environment::Environment;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "this is a program for a terminal")]
async fn main() -> ExitCode {
    let environment = Environment::process();
    // Cargo says where the package is, from whichever directory it was called.
    let root = environment.var("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    match demo::run(&root, Look::of_stdout(&environment), &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}
