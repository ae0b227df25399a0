//! `cargo xtask long fuzz`: searches new inputs of a target of `crates/fuzz`. It needs cargo-fuzz and a C++ compiler.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::run_all;

/// Names of all targets: the folders of the corpus.
pub(crate) fn targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join(CORPUS);
    let entries = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<std::io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Builds the targets and runs one. New inputs go to the build folder, beside the corpus that is checked in; an input that made the
/// target panic, hang or use too much memory is named at the end.
pub(crate) fn fuzz(root: &Path, target: &str, within: Duration) -> anyhow::Result<ExitCode> {
    let known = targets(root)?.join(", ");
    ensure!(known.split(", ").any(|name| name == target), "the targets are {known}");
    let build = root.join("target/fuzz");
    let (found, findings) = (build.join("corpus").join(target), build.join("findings").join(target));
    for folder in [&found, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let mut command = Command::new("cargo");
    command.args(["fuzz", "run", "--fuzz-dir", "crates/fuzz", "--sanitizer", "none"]);
    command.arg("--target-dir").arg(&build).arg("fuzz");
    command.arg(&found).arg(root.join(CORPUS).join(target));
    command.args(["--", "-timeout=10", "-rss_limit_mb=1024", "-max_len=16384"]);
    command.arg(format!("-max_total_time={}", within.as_secs()));
    command.arg(format!("-artifact_prefix={}/", findings.display()));
    command.env("FUZZ_TARGET", target).envs(PROFILE);
    run_all([command], root)
}

/// Differences from the release profile, for faster linking.
const PROFILE: [(&str, &str); 2] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
];

/// Checked-in inputs.
const CORPUS: &str = "crates/fuzz/corpus";
