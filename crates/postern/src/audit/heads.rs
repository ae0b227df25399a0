//! The heads that workers have logged.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use store::ChainHead;

/// Why there are no logged heads to compare with.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// The file.
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A line of heads that is none.
    #[error("line {line} of {}", .file.display())]
    Line {
        /// Where.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A comparison with nothing proves nothing.
    #[error("{} has no line `audit heads`", .0.display())]
    None(PathBuf),
}

/// A line of the log, as far as we look at it.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: String,
    #[serde(default)]
    heads: String,
}

/// Reads the heads from lines of a worker's log; lines that say something else are passed over.
///
/// # Errors
/// [`HeadsError`].
pub(super) fn read(file: &Path) -> Result<Vec<ChainHead>, HeadsError> {
    let unread = |error| HeadsError::Read(file.to_owned(), error);
    let mut heads = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(File::open(file).map_err(unread)?).lines()) {
        let line = line.map_err(unread)?;
        let said = serde_json::from_str(&line).ok();
        let Some(Line { heads: listed, .. }) = said.filter(|line: &Line| line.message == MESSAGE) else {
            continue;
        };
        let listed: Vec<ChainHead> = serde_json::from_str(&listed).map_err(|source| HeadsError::Line {
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

/// What `worker::audit` calls its lines.
const MESSAGE: &str = "audit heads";
