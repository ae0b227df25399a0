//! The workspace's own tools: `cargo xtask tidy`, `cargo xtask export` for the documents of the API, `cargo xtask site` for a site of all pages, and `cargo xtask long` for long
//! forms of tests.
//!
//! It depends on nothing of ours, so that it answers in seconds and before anything else is built.

mod export;
mod long;
mod markdown;
mod site;
mod tidy;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use cargo_metadata::{Metadata, MetadataCommand};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let metadata = MetadataCommand::new().no_deps().exec().context("read the workspace")?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy(&metadata),
        ["export"] => export::export(
            metadata.workspace_root.as_std_path(),
            metadata.target_directory.join("reference").as_std_path(),
        ),
        ["export", "--out", directory] => export::export(metadata.workspace_root.as_std_path(), Path::new(directory)),
        ["site"] => site::site(
            metadata.workspace_root.as_std_path(),
            metadata.target_directory.as_std_path(),
        ),
        ["long", "autobahn"] => long::autobahn(
            metadata.workspace_root.as_std_path(),
            metadata.target_directory.as_std_path(),
        ),
        ["long", "clients"] => long::clients(metadata.workspace_root.as_std_path()),
        ["long", "drill"] => long::drill(metadata.workspace_root.as_std_path()),
        ["long", "prune"] => long::prune(metadata.workspace_root.as_std_path()),
        ["long", "releases"] => long::releases(metadata.workspace_root.as_std_path()),
        ["long", "rollout"] => long::rollout(metadata.workspace_root.as_std_path()),
        ["long", "schemathesis"] => long::schemathesis(metadata.workspace_root.as_std_path()),
        ["long", "servers"] => long::servers(metadata.workspace_root.as_std_path(), None),
        ["long", "servers", name] => long::servers(metadata.workspace_root.as_std_path(), Some(*name)),
        ["long", "fuzz", rest @ ..] => long_fuzz(metadata.workspace_root.as_std_path(), rest),
        _ => bail!(
            "usage: cargo xtask tidy | export [--out DIR] | site | long autobahn | long clients | long drill | long prune | long releases \
             | long rollout | long schemathesis | long servers [NAME] | long fuzz [TARGET [SECONDS]]"
        ),
    }
}

fn tidy(metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let findings = tidy::findings(metadata).context("read the source tree")?;
    print_lines(findings.iter().map(ToString::to_string));
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Fuzzes one target, or lists all without an argument.
fn long_fuzz(root: &Path, arguments: &[&str]) -> anyhow::Result<ExitCode> {
    match arguments {
        [] => {
            print_lines(long::fuzz_targets(root)?.into_iter());
            Ok(ExitCode::SUCCESS)
        }
        [target] => long::fuzz(root, target, FUZZED_FOR),
        [target, seconds] => {
            let seconds = seconds.parse().context("read SECONDS")?;
            long::fuzz(root, target, Duration::from_secs(seconds))
        }
        _ => bail!("usage: cargo xtask long fuzz [TARGET [SECONDS]]"),
    }
}

/// Default time for one target.
const FUZZED_FOR: Duration = Duration::from_mins(15);

#[expect(clippy::print_stdout, reason = "a tool's findings are its output")]
fn print_lines(lines: impl Iterator<Item = String>) {
    for line in lines {
        println!("{line}");
    }
}
