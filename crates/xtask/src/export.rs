//! Documents of the API, written by the crate `reference`: this one depends on nothing of ours.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

/// Writes the documents into a folder.
pub(crate) fn export(root: &Path, directory: &Path) -> anyhow::Result<ExitCode> {
    let directory = std::path::absolute(directory).context("find the folder")?;
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--locked", "--package", "reference", "--"]);
    command.arg(&directory).current_dir(root);
    let status = command.status().context("run cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
