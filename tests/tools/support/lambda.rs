//! Runs the function under the Runtime API of cargo-lambda.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;

use super::program::{self, Program, Scratch, command, tool};

const ADDRESS: &str = "127.0.0.1";
/// The time limit of an invocation.
const MAX_TO_ANSWER: Duration = Duration::from_mins(4);

/// Environment variables for the function.
pub type Variables = Vec<(String, String)>;

/// The function under a Runtime API.
pub struct Lambda {
    port: String,
    /// In drop order: the function, and then its Runtime API.
    programs: Vec<Program>,
    /// The configuration that the function reads.
    _document: Option<Scratch>,
}

impl Lambda {
    /// Serves an existing binary.
    pub async fn serve(function: &Path, variables: Variables) -> Self {
        let port = program::free_port().to_string();
        let mut watch = command(tool("cargo-lambda"));
        watch
            .args(["lambda", "watch", "--only-lambda-apis"])
            .args(["--invoke-address", ADDRESS, "--invoke-port", &port])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let watch = listening(Program::start("cargo-lambda-watch", &mut watch), &port).await;
        let mut function = command(function);
        function
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{ADDRESS}:{port}/.rt/_"))
            .env("AWS_LAMBDA_FUNCTION_NAME", "media-expiry-alerts")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .envs(variables);
        Self { port, programs: vec![Program::start("function", &mut function), watch], _document: None }
    }

    /// Serves an existing binary with a configuration.
    pub async fn serve_with(function: &Path, mut variables: Variables, configuration: &Value) -> Self {
        let document = Scratch::new("configuration.json");
        std::fs::write(document.path(), configuration.to_string()).expect("a file in the target folder");
        variables.push(("MEDIA_ALERTS_CONFIG".to_owned(), document.path().display().to_string()));
        Self { _document: Some(document), ..Self::serve(function, variables).await }
    }

    /// Sends an event that the test has made.
    pub async fn send(&self, event: &Value) -> Answer {
        let file = Scratch::new("event.json");
        std::fs::write(file.path(), event.to_string()).expect("a file in the target folder");
        self.invoke(file.path()).await
    }

    /// Sends the event of a file with `cargo lambda invoke`.
    pub async fn invoke(&self, event: &Path) -> Answer {
        let mut invoke = command(env!("CARGO"));
        invoke
            .args(["lambda", "invoke", "--color", "never"])
            .args(["--invoke-address", ADDRESS, "--invoke-port", &self.port, "--data-file"])
            .arg(event)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let invoke = tokio::process::Command::from(invoke).kill_on_drop(true).output();
        let output = tokio::time::timeout(MAX_TO_ANSWER, invoke)
            .await
            .unwrap_or_else(|_| panic!("{} has no answer after {MAX_TO_ANSWER:?}:\n{}", event.display(), self.log()))
            .expect("cargo lambda invoke to start");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() {
            let json = serde_json::from_str(&stdout);
            return Ok(json.unwrap_or_else(|error| panic!("{} is not JSON ({error}): {stdout}", event.display())));
        }
        // It prints `Error: TYPE`, followed by the wrapped message.
        let report = stderr.split_once("Error: ").and_then(|(_, report)| report.split_once('\n'));
        let Some((error_type, message)) = report else {
            panic!("{} failed without an error of the function: {stderr}\n{}", event.display(), self.log());
        };
        let message = message.split_whitespace().filter(|word| !matches!(*word, "×" | "│")).collect::<Vec<_>>();
        Err(FunctionError { error_type: error_type.to_owned(), message: message.join(" ") })
    }

    /// The peak memory of the function, in bytes.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self) -> usize {
        self.programs[0].peak_memory()
    }

    /// The output of the function and of the Runtime API so far.
    pub fn log(&self) -> String {
        self.programs.iter().map(Program::log).collect()
    }
}

/// The outcome of an invocation.
pub type Answer = Result<Value, FunctionError>;

/// An error that the function returned.
#[derive(Debug)]
pub struct FunctionError {
    /// Lambda's `errorType`.
    pub error_type: String,
    /// The message, with the output of cargo-lambda after it.
    pub message: String,
}

/// The path of an event file in `events/`.
pub fn event(name: &str) -> PathBuf {
    events().join(format!("{name}.json"))
}

/// The folder of the events.
pub fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

async fn listening(mut program: Program, port: &str) -> Program {
    let address = format!("{ADDRESS}:{port}");
    program.wait_until(Duration::from_secs(60), || async { TcpStream::connect(&address).await.is_ok() }).await;
    program
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
