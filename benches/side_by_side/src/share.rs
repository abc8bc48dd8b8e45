//! The CPU share of a small function: a cgroup with a quota.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A function of 1,769 MB has one whole core; the quota is told out in pieces of 20 ms, as Lambda does.
const PERIOD_US: u64 = 20_000;
const QUOTA_US: u64 = PERIOD_US * 128 / 1_769;

/// A group of processes that together have the share of a function of 128 MB: 7.2 % of a core.
pub struct Share {
    directory: PathBuf,
}

impl Share {
    /// Makes the group, in whichever version of cgroups there is.
    pub fn new() -> Result<Self, String> {
        let name = format!("media-expiry-alerts-bench-{}", std::process::id());
        let old = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"].map(Path::new);
        let set: (&Path, Vec<(&str, String)>) = match old.into_iter().find(|root| root.join("cgroup.procs").exists()) {
            Some(root) => {
                let quota = ("cpu.cfs_quota_us", QUOTA_US.to_string());
                (root, vec![("cpu.cfs_period_us", PERIOD_US.to_string()), quota])
            }
            None => (Path::new("/sys/fs/cgroup"), vec![("cpu.max", format!("{QUOTA_US} {PERIOD_US}"))]),
        };
        let (root, settings) = set;
        // In the newer version a group hands its controllers down; that they are handed down already is no fault.
        let _ = fs::write(root.join("cgroup.subtree_control"), "+cpu");
        let directory = root.join(name);
        let told = |error: io::Error| format!("a cgroup with a CPU quota cannot be made: {error}");
        fs::create_dir(&directory).map_err(told)?;
        let share = Self { directory };
        for (name, value) in settings {
            fs::write(share.directory.join(name), value).map_err(told)?;
        }
        share.try_out().map_err(told)?;
        Ok(share)
    }

    /// Whether it takes processes: some groups may be made and not be entered.
    fn try_out(&self) -> io::Result<()> {
        let mut process = Command::new("sleep").arg("10").spawn()?;
        let taken = self.put(process.id());
        process.kill()?;
        process.wait()?;
        taken
    }

    /// Puts a process into the group, with all its threads.
    pub fn put(&self, process: u32) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // A group that is left behind is empty and does no harm.
        let _ = fs::remove_dir(&self.directory);
    }
}
