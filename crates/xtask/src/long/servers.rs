//! Contract and traps of the bus on other Redis servers than the installed one.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

/// Installs the servers, runs the suites on each that `name` selects, and prints which passed. Needs Python 3 with `venv`.
pub(crate) fn servers(root: &Path, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let folder = root.join("crates/testkit/servers");
    let installed = Command::new(folder.join("install")).status();
    if !installed.context("run crates/testkit/servers/install")?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let mut programs = programs(&folder.join("target"))?;
    programs.retain(|(server, _)| name.is_none_or(|name| name == server));
    if programs.is_empty() {
        bail!("no server of this name: see crates/testkit/servers");
    }
    let mut failed = Vec::new();
    for (server, program) in programs {
        let mut tests = Command::new(env!("CARGO"));
        tests.args(["test", "--locked", "--package", "bus", "--test", "it", "--"]);
        tests.args(SUITES).env("POSTERN_TEST_REDIS_SERVER", program);
        let passed = tests.current_dir(root).status().context("run cargo test")?.success();
        if !passed {
            failed.push(server);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("the suites failed on {}", failed.join(", "))
}

/// Names of the installed servers and their programs.
fn programs(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(folder).context("read the installed servers")? {
        let path = entry?.path();
        let (name, program) = (path.file_name(), path.join("redis-server"));
        if let Some(name) = name.filter(|_| program.exists()) {
            programs.push((name.to_string_lossy().into_owned(), program));
        }
    }
    programs.sort();
    Ok(programs)
}

/// Suites that need no TLS, which these servers are built without.
const SUITES: [&str; 8] = [
    "contract::",
    "traps::",
    "expiries::",
    "refusals::",
    "permissions::",
    "sentinel::",
    "--skip",
    "protected",
];
