//! Long forms of tests, by hand: they need more time, or more tools, than CI has.

mod autobahn;
mod fuzz;
mod servers;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

pub(crate) use self::autobahn::autobahn;
pub(crate) use self::fuzz::{fuzz, targets as fuzz_targets};
pub(crate) use self::servers::servers;

/// Client libraries of all languages that run here against a cluster. Needs Python, a JDK, Maven and Go.
pub(crate) fn clients(root: &Path) -> anyhow::Result<ExitCode> {
    let mut install = Command::new(root.join("crates/testkit/clients/install"));
    install.args(["python", "java", "go"]);
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--locked", "--workspace", "--test", "clients"]);
    run_all([install, test], root)
}

/// Fault drill of every dependency, under a real Prometheus. It takes some 20 minutes and prints a table of faults and alerts.
pub(crate) fn drill(root: &Path) -> anyhow::Result<ExitCode> {
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--locked", "--package", "postern", "--test", "drill"]);
    test.args(["--", "--nocapture"]);
    test.env("POSTERN_DRILL_ALL", "1");
    run_all([test], root)
}

/// Deletion of expired sessions from 10 million, and archive of 10 million audit rows, each beside 200 commands a second. It takes some
/// minutes and 10 GB of disk, and prints how long the commands took.
pub(crate) fn prune(root: &Path) -> anyhow::Result<ExitCode> {
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--locked", "--package", "store", "--test", "it"]);
    let tests = ["retention_scale::", "audit_scale::"];
    test.arg("--").args(tests).args(["--nocapture", "--test-threads", "1"]);
    test.env("POSTERN_PRUNED_SESSIONS", "10000000")
        .env("POSTERN_ARCHIVED_ROWS", "10000000");
    run_all([test], root)
}

/// Upgrades from the previous release, by either role first, and rollbacks, a minute of random faults after each step.
pub(crate) fn releases(root: &Path) -> anyhow::Result<ExitCode> {
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--locked", "--package", "postern", "--test", "it"]);
    test.args(["releases::", "--", "--nocapture", "--test-threads", "1"]);
    test.env("POSTERN_RELEASES_SECONDS", "60");
    run_all([test], root)
}

/// Rollouts behind `HAProxy`: each gateway is replaced five times, and Redis is stopped for 30 s.
pub(crate) fn rollout(root: &Path) -> anyhow::Result<ExitCode> {
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--locked", "--package", "postern", "--test", "it"]);
    test.args(["rollout::", "--", "--nocapture"]);
    test.env("POSTERN_ROLLOUT_TIMES", "5")
        .env("POSTERN_REDIS_AWAY_SECONDS", "30");
    run_all([test], root)
}

/// Requests to the internal API that schemathesis generates, for ten minutes.
pub(crate) fn schemathesis(root: &Path) -> anyhow::Result<ExitCode> {
    let mut install = Command::new(root.join("crates/testkit/clients/install"));
    install.arg("python");
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--locked", "--package", "postern", "--test", "clients"]);
    test.args(["python_generates", "--", "--nocapture"]);
    test.env("POSTERN_SCHEMATHESIS_SECONDS", "600");
    run_all([install, test], root)
}

/// Runs commands in turn, until one fails.
fn run_all<const N: usize>(commands: [Command; N], root: &Path) -> anyhow::Result<ExitCode> {
    for mut command in commands {
        let status = command
            .current_dir(root)
            .status()
            .with_context(|| format!("run {}", command.get_program().display()))?;
        if !status.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
