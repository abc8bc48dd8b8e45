//! Programs that run beside a test and end with it.

use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::binary;

/// Where `make tools` puts the tools.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin");
/// How long a program may take to end once it is asked to.
const MAX_TO_END: Duration = Duration::from_secs(10);

/// A program that runs beside a test. It ends when this is dropped, and what it started with it.
pub struct Program {
    name: String,
    child: Child,
    log: Scratch,
}

impl Program {
    /// Starts `command`. What it says goes to a file, which [`Program::log`] reads.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let log = Scratch::new(name);
        let file = File::create(log.path()).expect("a file in the target folder");
        let same_file = file.try_clone().expect("a second handle of an open file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(same_file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}; run `make tools`"));
        Self { name: name.to_owned(), child, log }
    }

    /// Waits until `is_ready` says so. A program that ends before, or that takes longer, fails the test.
    pub async fn wait_until<F: Future<Output = bool>>(&mut self, longest: Duration, mut is_ready: impl FnMut() -> F) {
        let began = Instant::now();
        while !is_ready().await {
            let ended = self.child.try_wait().expect("the state of a child");
            assert!(ended.is_none(), "{} ended ({ended:?}) before it was ready:\n{}", self.name, self.log());
            assert!(began.elapsed() < longest, "{} is not ready after {longest:?}:\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the program has said until now.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The polite way first: a program that is killed leaves what it started behind.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().is_ok_and(|status| status.success());
        let began = Instant::now();
        while asked && began.elapsed() < MAX_TO_END && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what {} said\n{}", self.name, self.log());
        }
    }
}

/// A file in the target folder that goes away when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A path that nothing else has.
    pub fn new(name: &str) -> Self {
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", uuid::Uuid::new_v4())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A command that finds the tools, with nothing of the surroundings in it that could change what a test sees.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env("PATH", path());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| is_of_the_function(name) || binary::is_of_the_test(name)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Whether a variable configures the function.
fn is_of_the_function(name: &str) -> bool {
    ["AWS_", "AYRSHARE_", "LEDGER_", "MEDIA_ALERTS_", "SLACK_", "SNS_", "THRESHOLDS"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The program of a tool: the one that `make tools` installed, else the one that is on the path.
pub fn tool(name: &str) -> PathBuf {
    let installed = Path::new(TOOLS).join(name);
    if installed.exists() { installed } else { PathBuf::from(name) }
}

fn path() -> OsString {
    let given = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(PathBuf::from(TOOLS)).chain(std::env::split_paths(&given));
    std::env::join_paths(all).expect("a path that came from the path")
}

/// A port of this machine that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("the address of a bound port").port()
}
