//! The command line program `expiry-alerts`; see [`media_expiry_alerts::cli`].

use std::process::ExitCode;

use media_expiry_alerts::cli;
use media_expiry_alerts::net::environment::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::main(std::env::args_os(), Environment::process()).await
}
