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
    /// The file has no line of a worker's log: it is another file, or its lines are wrapped.
    #[error("{} has no line of a worker's log (JSON with a message)", .0.display())]
    NoLog(PathBuf),
}

/// Line of a log, with the fields that are read.
#[derive(Deserialize)]
struct LogLine {
    message: String,
    #[serde(default)]
    heads: String,
}

/// Reads the heads from the lines of a worker's log; other lines are skipped. A young log has none.
///
/// # Errors
/// [`HeadsError`].
pub(super) fn read(file: &Path) -> Result<Vec<ChainHead>, HeadsError> {
    let unread = |error| HeadsError::Read(file.to_owned(), error);
    let (mut heads, mut is_log) = (Vec::new(), false);
    for (number, line) in (1..).zip(BufReader::new(File::open(file).map_err(unread)?).lines()) {
        let line = line.map_err(unread)?;
        let Ok(LogLine { message, heads: listed }) = serde_json::from_str(&line) else {
            continue;
        };
        is_log = true;
        if message != MESSAGE {
            continue;
        }
        let listed: Vec<ChainHead> = serde_json::from_str(&listed).map_err(|source| HeadsError::LogLine {
            file: file.to_owned(),
            line: number,
            source,
        })?;
        heads.extend(listed);
    }
    if is_log {
        Ok(heads)
    } else {
        Err(HeadsError::NoLog(file.to_owned()))
    }
}

/// Message of the lines that `worker::audit` logs.
const MESSAGE: &str = "audit heads";
