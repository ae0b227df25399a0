//! The workspace's own tools: `cargo xtask tidy`, and `cargo xtask long` for long forms of tests.
//!
//! It depends on nothing of ours, so that it answers in seconds and before anything else is built.

mod long;
mod tidy;

use std::process::ExitCode;

use anyhow::{Context, bail};
use cargo_metadata::{Metadata, MetadataCommand};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let metadata = MetadataCommand::new().no_deps().exec().context("read the workspace")?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy(&metadata),
        ["long", "clients"] => long::clients(metadata.workspace_root.as_std_path()),
        _ => bail!("usage: cargo xtask tidy | long clients"),
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

#[expect(clippy::print_stdout, reason = "a tool's findings are its output")]
fn print_lines(lines: impl Iterator<Item = String>) {
    for line in lines {
        println!("{line}");
    }
}
