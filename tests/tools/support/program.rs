//! External programs that run during a test.

use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::binary;

/// The folder where `make tools` installs the tools.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin");
/// The time that a program has to exit after it was asked to.
const MAX_TO_END: Duration = Duration::from_secs(10);

/// A program that runs during a test. Dropping it ends the program and its children.
pub struct Program {
    name: String,
    child: Child,
    log: Scratch,
}

impl Program {
    /// Starts `command`. Its output goes to a file, which [`Program::log`] reads.
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

    /// Waits until `is_ready` returns true. Fails the test if the program exits or the time runs out before that.
    pub async fn wait_until<F: Future<Output = bool>>(&mut self, longest: Duration, mut is_ready: impl FnMut() -> F) {
        let began = Instant::now();
        while !is_ready().await {
            let ended = self.child.try_wait().expect("the state of a child");
            assert!(ended.is_none(), "{} ended ({ended:?}) before it was ready:\n{}", self.name, self.log());
            assert!(began.elapsed() < longest, "{} is not ready after {longest:?}:\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The peak memory of the program, in bytes.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.expect("a peak").parse::<usize>().expect("a number") * 1024
    }

    /// The output so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Terminated first, because a killed program would leave its children running.
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

/// A temporary file in the target folder. Dropping it deletes the file.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A unique path.
    pub fn new(name: &str) -> Self {
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", uuid::Uuid::new_v4())))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An error is ignored, because the file may never have been written.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A command with the tools in its `PATH`, without environment variables that could affect the test.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env("PATH", path());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| is_of_the_function(name) || binary::is_set_for_tests(name)) {
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

/// The path of a tool: the one installed by `make tools`, otherwise the one in `PATH`.
pub fn tool(name: &str) -> PathBuf {
    let installed = Path::new(TOOLS).join(name);
    if installed.exists() { installed } else { PathBuf::from(name) }
}

fn path() -> OsString {
    let given = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(PathBuf::from(TOOLS)).chain(std::env::split_paths(&given));
    std::env::join_paths(all).expect("a path that came from the path")
}

/// A port of this machine that is currently free.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("the address of a bound port").port()
}
