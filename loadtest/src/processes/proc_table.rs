//! One reading of proc(5): CPU time of all processes, and memory of a process with its children.

use std::collections::BTreeMap;
use std::fs;

/// CPU time and parent of every process at one moment.
pub(super) struct ProcTable {
    processes: BTreeMap<u32, Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// CPU time, of its ended children too, in ticks.
    ticks: u64,
}

/// CPU time and memory of a process with its children.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tree {
    /// CPU time, in seconds.
    pub(super) cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub(super) resident_bytes: u64,
}

impl ProcTable {
    /// Reads `/proc`. A process that ends meanwhile is left out.
    pub(super) fn read() -> std::io::Result<Self> {
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(process) = fs::read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|stat| Process::parse(&stat))
            {
                processes.insert(pid, process);
            }
        }
        Ok(Self { processes })
    }

    /// Sums up a process and its children; `None` if there is no such process.
    pub(super) fn tree(&self, root: u32) -> Option<Tree> {
        if !self.processes.contains_key(&root) {
            return None;
        }
        let (mut ticks, mut private, mut shared) = (0, 0, 0);
        for (pid, process) in self.processes.iter().filter(|(pid, _)| self.is_below(**pid, root)) {
            ticks += process.ticks;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            private += kib(&status, "RssAnon:");
            // Forked processes map the same files and shared memory: the largest share stands for all.
            shared = shared.max(kib(&status, "RssFile:") + kib(&status, "RssShmem:"));
        }
        Some(Tree {
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: (private + shared) * 1024,
        })
    }

    fn is_below(&self, pid: u32, root: u32) -> bool {
        let mut at = pid;
        // Ids of parents form no cycle, but a table that is read while processes end may.
        for _ in 0..DEEPEST {
            if at == root {
                return true;
            }
            match self.processes.get(&at) {
                Some(process) => at = process.parent,
                None => return false,
            }
        }
        false
    }
}

const DEEPEST: usize = 64;

impl Process {
    /// Parses `/proc/PID/stat`: the command, in parentheses, may contain anything, so that fields are counted behind the last one.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |field: usize| fields.get(field - FIRST)?.parse::<u64>().ok();
        Some(Self {
            parent: number(PPID)?.try_into().ok()?,
            ticks: number(UTIME)? + number(STIME)? + number(CUTIME)? + number(CSTIME)?,
        })
    }
}

/// Field behind the command, and numbers of the fields in proc(5).
const FIRST: usize = 3;
const PPID: usize = 4;
const UTIME: usize = 14;
const STIME: usize = 15;
const CUTIME: usize = 16;
const CSTIME: usize = 17;

/// Value of a line of `/proc/PID/status`, in KiB; 0 if it has none.
fn kib(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 7 1 1 0 -1 4194560 10 20 30 40 1 2 3 4 20 0 1 0 99 1000 200";
        assert_eq!(Process::parse(stat), Some(Process { parent: 7, ticks: 10 }));
        assert_eq!(Process::parse("42 (truncated) S 7"), None);
    }

    #[test]
    fn tree_sums_children_and_children_of_children_and_leaves_out_others() {
        let table = ProcTable {
            processes: [(1, 0, 100), (10, 1, 200), (11, 10, 300), (12, 11, 400), (20, 1, 900)]
                .map(|(pid, parent, ticks)| (pid, Process { parent, ticks }))
                .into(),
        };
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        let cpu = |root| table.tree(root).map(|tree| tree.cpu_seconds * per_second);
        assert_eq!(cpu(10), Some(900.0));
        assert_eq!(cpu(20), Some(900.0));
        assert_eq!(cpu(99), None);
    }

    #[test]
    fn resident_memory_of_this_process_grows_by_what_it_writes() {
        let resident = || {
            let tree = ProcTable::read().unwrap().tree(std::process::id()).unwrap();
            tree.resident_bytes
        };
        let before = resident();
        let written = vec![1u8; 64 << 20];
        assert!(resident() >= before + (60 << 20), "{before} -> {}", resident());
        assert_eq!(written.last(), Some(&1));
    }
}
