//! Memory of a process.

use std::path::PathBuf;

use anyhow::Context;

/// Resident memory of a process, in bytes (`VmRSS` of proc(5), which counts in KiB).
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let status = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS: is it a process of this user?")?;
    let kib: u64 = line
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .context("read VmRSS")?;
    Ok(kib * 1024)
}
