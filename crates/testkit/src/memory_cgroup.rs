//! Control group with a memory limit, of version 1 or 2, for a process of a test.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wait;

/// Control group below that of the test process. It is removed with this value, after its processes have ended.
#[derive(Debug)]
pub struct MemoryCgroup {
    path: PathBuf,
    is_v2: bool,
}

impl MemoryCgroup {
    /// Creates a group with this limit in bytes.
    ///
    /// # Errors
    /// The reason why this machine permits none, for a test that cannot run without.
    pub fn new(name: &str, limit: u64) -> io::Result<Self> {
        let name = format!("testkit-{name}-{}", std::process::id());
        let (parent, is_v2) = match own_group(":memory:") {
            Some(path) => (Path::new("/sys/fs/cgroup/memory").join(path), false),
            // A group of version 2 with processes of its own has no groups below it, except for the root.
            None => (PathBuf::from("/sys/fs/cgroup"), true),
        };
        let group = Self {
            path: parent.join(name),
            is_v2,
        };
        std::fs::create_dir(&group.path)?;
        let file = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
        std::fs::write(group.path.join(file), limit.to_string())?;
        Ok(group)
    }

    /// Shell command that moves the shell into the group.
    pub fn enter(&self) -> String {
        format!("echo $$ > '{}'", self.path.join("cgroup.procs").display())
    }

    /// Number of processes of the group that the kernel has killed for lack of memory.
    pub fn oom_kills(&self) -> u64 {
        let file = if self.is_v2 {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        let text = self.read(file);
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|kills| kills.trim().parse().ok()).unwrap_or(0)
    }

    /// Largest memory in use so far, in bytes.
    pub fn peak(&self) -> u64 {
        let file = if self.is_v2 {
            "memory.peak"
        } else {
            "memory.max_usage_in_bytes"
        };
        self.read(file).trim().parse().unwrap_or(0)
    }

    /// Removes the group, once its processes have ended.
    pub async fn remove(self) {
        wait::until_true("the end of a control group", Duration::from_secs(20), async || {
            std::fs::remove_dir(&self.path).is_ok()
        })
        .await;
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path.join(file)).unwrap_or_default()
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        // Gone after `remove`; a group with a process stays, and is empty after the test process.
        drop(std::fs::remove_dir(&self.path));
    }
}

/// Relative path of this process' group in a hierarchy.
fn own_group(hierarchy: &str) -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.split_once(hierarchy))?;
    Some(group.1.trim_start_matches('/').to_owned())
}
