//! Runs a product under the Runtime API and measures its wall time, its CPU time and its memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::Error;
use crate::runtime_api::RuntimeApi;
use crate::share::Share;

/// A pause after which a waiting process is idle, so that its CPU time is complete.
const TO_SETTLE: Duration = Duration::from_millis(30);

/// A program to measure.
#[derive(Clone, Debug)]
pub struct Product {
    /// The name in the tables.
    pub name: &'static str,
    /// The program and its arguments.
    pub command: Vec<PathBuf>,
    /// The environment variables, apart from those that Lambda sets.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// Whether it does the job. The bare handler does nothing.
    pub does_the_job: bool,
    /// The size of the zip, in bytes.
    pub zip_bytes: u64,
}

/// The measurements of one process.
#[derive(Clone, Debug)]
pub struct Life {
    /// The cost until it asked for its first event.
    pub init: Cost,
    /// The cost of each invocation.
    pub invocations: Vec<Cost>,
    /// The peak memory, in bytes.
    pub peak_memory: u64,
}

/// The time that something takes.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The wall time.
    pub wall: Duration,
    /// The CPU time.
    pub cpu: Duration,
}

impl Product {
    /// Starts the product cold, invokes it with each event, and ends it. The CPU share applies only to the invocations, because on Lambda a
    /// process has a whole core until it is ready.
    pub fn live(
        &self,
        runtime: &Handle,
        surroundings: &[(&str, String)],
        events: &[&str],
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
        for event in events {
            let (wall, answer) = api.invoke(event)?;
            let is_ok = answer["status"].as_str().is_none_or(|status| status == "ok");
            if !is_ok || answer["statusCode"].as_u64().is_some_and(|status| status != 200) {
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

/// A process that is killed when it is dropped.
struct Process(Child);

impl Process {
    /// The CPU time of all threads so far, in nanoseconds. `/proc/PID/stat` would be too coarse, with steps of 10 ms.
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
