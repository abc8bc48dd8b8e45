//! The CPU share of a small function: a cgroup with a quota.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The period of the quota, which is 20 ms as on Lambda. A function with 1,769 MB has one whole core.
const PERIOD_US: u64 = 20_000;
const QUOTA_US: u64 = PERIOD_US * 128 / 1_769;

/// A group of processes that together have the CPU share of a 128 MB function, which is 7.2 % of a core.
pub struct Share {
    directory: PathBuf,
}

impl Share {
    /// Creates the group with version 1 or 2 of cgroups.
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
        // In version 2, the parent must enable the controller. An error is ignored, because it may be enabled already.
        let _ = fs::write(root.join("cgroup.subtree_control"), "+cpu");
        let directory = root.join(name);
        let failed = |error: io::Error| format!("a cgroup with a CPU quota cannot be created: {error}");
        fs::create_dir(&directory).map_err(failed)?;
        let share = Self { directory };
        for (name, value) in settings {
            fs::write(share.directory.join(name), value).map_err(failed)?;
        }
        share.try_out().map_err(failed)?;
        Ok(share)
    }

    /// Checks that processes can join the group. On some systems it can be created but not joined.
    fn try_out(&self) -> io::Result<()> {
        let mut process = Command::new("sleep").arg("10").spawn()?;
        let taken = self.put(process.id());
        process.kill()?;
        process.wait()?;
        taken
    }

    /// Moves a process with all its threads into the group.
    pub fn put(&self, process: u32) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // An error is ignored, because an empty group does no harm.
        let _ = fs::remove_dir(&self.directory);
    }
}
