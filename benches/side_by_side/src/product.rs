//! What is measured: a process under the Runtime API, its time, its CPU time and its memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::Error;
use crate::runtime_api::RuntimeApi;
use crate::share::Share;

/// A pause in which a process that waits for an event comes to rest, so that its CPU time is whole.
const TO_SETTLE: Duration = Duration::from_millis(30);

/// Something that answers events.
#[derive(Clone, Debug)]
pub struct Product {
    /// What it is called in the table.
    pub name: &'static str,
    /// The program and its arguments.
    pub command: Vec<PathBuf>,
    /// Its environment, beside what Lambda gives.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// Whether it does the job; the bare handler does nothing.
    pub does_the_job: bool,
    /// What is uploaded to Lambda, in bytes.
    pub zip_bytes: u64,
}

/// What one life of a process came to.
#[derive(Clone, Debug)]
pub struct Life {
    /// Until it asked for its first event.
    pub init: Cost,
    /// Each of its invocations.
    pub invocations: Vec<Cost>,
    /// The most memory that it ever held, in bytes.
    pub peak_memory: u64,
}

/// Time.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// On the clock.
    pub wall: Duration,
    /// Of a core.
    pub cpu: Duration,
}

impl Product {
    /// Starts it cold, wakes it so many times, and ends it. The share is that of the invocations: as on Lambda, a
    /// process has a whole core until it is ready.
    pub fn live(
        &self,
        runtime: &Handle,
        surroundings: &[(&str, String)],
        invocations: usize,
        share: Option<&Share>,
        log: &Path,
    ) -> Result<Life, Error> {
        let api = RuntimeApi::start(runtime)?;
        let out = File::create(log)?;
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .env_clear()
            .envs(surroundings.iter().map(|(name, value)| (name, value)))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out);
        let began = Instant::now();
        let process = Process(command.spawn()?);
        let ready = api.ready()?;
        let mut used = process.cpu()?;
        let init = Cost { wall: ready - began, cpu: used };
        if let Some(share) = share {
            share.put(process.0.id())?;
        }
        let mut costs = Vec::new();
        for _ in 0..invocations {
            let (wall, answer) = api.invoke()?;
            if answer["status"].as_str().is_some_and(|status| status != "ok") {
                return Err(format!("it answers {answer}").into());
            }
            api.ready()?;
            let before = used;
            used = process.cpu()?;
            costs.push(Cost { wall, cpu: used.saturating_sub(before) });
        }
        Ok(Life { init, invocations: costs, peak_memory: process.peak_memory()? })
    }
}

/// A process that ends when it is let go of.
struct Process(Child);

impl Process {
    /// The CPU time of all threads so far, to the nanosecond: the time of `/proc/PID/stat` is counted in steps of 10 ms.
    fn cpu(&self) -> Result<Duration, Error> {
        sleep(TO_SETTLE);
        let mut nanoseconds = 0;
        for thread in fs::read_dir(self.file("task"))? {
            let times = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += times.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn peak_memory(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(self.file("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.0.id().to_string()).join(name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
