//! Files of a running node's settings: polled, and read again when their contents change.

mod contents;
mod status;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::PeriodicLoop;

pub use self::contents::{FileContents, FileError};
pub use self::status::ReloadStatus;

/// Watch of `N` files that configure one value of a running node.
///
/// Contents are compared, not times: Kubernetes replaces a mounted secret by swapping a symbolic link. Contents that
/// changed are read twice and must be the same, because a writer may be halfway through. Files that are missing or
/// whose contents are rejected leave the last valid value in use: that is logged once, and tried again at every poll.
#[derive(Debug)]
pub struct FileWatch<const N: usize> {
    name: &'static str,
    paths: [PathBuf; N],
    applied: [FileContents; N],
    rejected: Option<Rejected<N>>,
    status: Arc<ReloadStatus>,
}

/// Files that could not be applied: their contents, none if they could not be read.
#[derive(Debug, PartialEq, Eq)]
struct Rejected<const N: usize>(Option<[FileContents; N]>);

impl<const N: usize> FileWatch<N> {
    /// Watch of files whose contents were read and applied before. `name` is the variable of the files or the use of their
    /// contents, for log lines.
    #[must_use]
    pub fn new(name: &'static str, paths: [PathBuf; N], applied: [FileContents; N]) -> Self {
        Self {
            name,
            paths,
            applied,
            rejected: None,
            status: Arc::default(),
        }
    }

    /// Reads the files at startup. Their contents are those of the watch, [`FileWatch::contents`].
    ///
    /// # Errors
    /// [`FileError`] of the first file that cannot be read.
    pub async fn open(name: &'static str, paths: [PathBuf; N]) -> Result<Self, FileError> {
        let contents = read_all(&paths).await?;
        Ok(Self::new(name, paths, contents))
    }

    /// Contents that were applied last.
    #[must_use]
    pub fn contents(&self) -> &[FileContents; N] {
        &self.applied
    }

    /// Name of the watch: the variable of its files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Counts of this watch, for metrics.
    #[must_use]
    pub fn status(&self) -> Arc<ReloadStatus> {
        Arc::clone(&self.status)
    }

    /// Polls the files until `end`. `apply` replaces the value, or returns why it rejects the contents, in words that do not
    /// repeat them.
    pub async fn run<A, F, E>(mut self, every: Duration, end: CancellationToken, mut apply: A)
    where
        A: FnMut([FileContents; N]) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut ticks = PeriodicLoop::new(every, end.clone());
        while ticks.next().await {
            tokio::select! {
                () = end.cancelled() => return,
                () = self.poll(&mut apply) => {}
            }
        }
    }

    /// Reads the files once, and applies contents that have changed: one step of [`FileWatch::run`].
    pub async fn poll<A, F, E>(&mut self, mut apply: A)
    where
        A: FnMut([FileContents; N]) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut read = read_all(&self.paths).await;
        if self.is_new(&read) {
            sleep(SETTLE).await;
            let settled = read_all(&self.paths).await;
            if settled.as_ref().ok() != read.as_ref().ok() {
                return;
            }
            read = settled;
        }
        match read {
            Ok(contents) if contents == self.applied => self.recover(),
            Ok(contents) => match apply(contents.clone()).await {
                Ok(()) => self.accept(contents),
                Err(error) => self.reject(Some(contents), &error),
            },
            Err(error) => self.reject(None, &error),
        }
    }

    /// Reports whether these contents, or a failure to read them, were not seen at the last poll.
    fn is_new(&self, read: &Result<[FileContents; N], FileError>) -> bool {
        let read = read.as_ref().ok();
        match &self.rejected {
            Some(Rejected(rejected)) => rejected.as_ref() != read,
            None => Some(&self.applied) != read,
        }
    }

    fn accept(&mut self, contents: [FileContents; N]) {
        self.applied = contents;
        self.rejected = None;
        self.status.reloaded();
        tracing::info!(variable = self.name, "changed file re-read, new value in use");
    }

    fn recover(&mut self) {
        if self.rejected.take().is_some() {
            self.status.recovered();
            tracing::info!(variable = self.name, "file has its last valid contents again");
        }
    }

    fn reject(&mut self, contents: Option<[FileContents; N]>, error: &dyn Display) {
        let rejected = Some(Rejected(contents));
        if self.rejected != rejected {
            self.rejected = rejected;
            self.status.failed();
            tracing::error!(variable = self.name, %error, "changed file rejected, keeping the last valid value");
        }
    }
}

async fn read_all<const N: usize>(paths: &[PathBuf; N]) -> Result<[FileContents; N], FileError> {
    let mut contents = std::array::from_fn(|_| FileContents::default());
    for (contents, path) in contents.iter_mut().zip(paths) {
        *contents = FileContents::read(Path::new(path)).await?;
    }
    Ok(contents)
}

/// Time between the two reads of a changed file.
const SETTLE: Duration = Duration::from_millis(100);
