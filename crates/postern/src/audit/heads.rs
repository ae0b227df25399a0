//! Chain heads from the logs of workers.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use store::ChainHead;

/// Failure to read logged heads.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// The file cannot be read.
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A line of heads does not decode.
    #[error("line {line} of {}", .file.display())]
    LogLine {
        /// File.
        file: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// The file has no heads to compare with.
    #[error("{} has no line `audit heads`", .0.display())]
    None(PathBuf),
}

/// Line of a log, with the fields that are read.
#[derive(Deserialize)]
struct LogLine {
    #[serde(default)]
    message: String,
    #[serde(default)]
    heads: String,
}

/// Reads the heads from the lines of a worker's log; other lines are skipped.
///
/// # Errors
/// [`HeadsError`].
pub(super) fn read(file: &Path) -> Result<Vec<ChainHead>, HeadsError> {
    let unread = |error| HeadsError::Read(file.to_owned(), error);
    let mut heads = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(File::open(file).map_err(unread)?).lines()) {
        let line = line.map_err(unread)?;
        let parsed = serde_json::from_str(&line).ok();
        let Some(LogLine { heads: listed, .. }) = parsed.filter(|line: &LogLine| line.message == MESSAGE) else {
            continue;
        };
        let listed: Vec<ChainHead> = serde_json::from_str(&listed).map_err(|source| HeadsError::LogLine {
            file: file.to_owned(),
            line: number,
            source,
        })?;
        heads.extend(listed);
    }
    if heads.is_empty() {
        return Err(HeadsError::None(file.to_owned()));
    }
    Ok(heads)
}

/// Message of the lines that `worker::audit` logs.
const MESSAGE: &str = "audit heads";
