//! Settings that a running node reads again from their files.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{FileContents, FileWatch, ReloadStatus, Tasks};
use opentelemetry::metrics::Meter;
use protocol::secret::Secret;

use crate::metrics;

/// Watches of one node, each a task of its own.
pub(crate) struct Reloads {
    tasks: Tasks,
    watched: Vec<(&'static str, Arc<ReloadStatus>)>,
}

impl Reloads {
    /// No watches yet; `tasks` own those to come.
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            watched: Vec::new(),
        }
    }

    /// Watches the file of a setting, if it has one. `apply` replaces the value, or returns why it keeps the current one, in words
    /// that repeat nothing of the file.
    pub(crate) fn watch<A, F, E>(&mut self, file: Option<FileWatch<1>>, mut apply: A)
    where
        A: FnMut(Secret) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let apply = move |[contents]: [FileContents; 1]| {
            let applied = contents.as_text().map(Secret::new).map(&mut apply);
            async move {
                match applied {
                    Ok(applied) => applied.await.map_err(|error| error.to_string()),
                    Err(_position) => Err("it is not UTF-8".to_owned()),
                }
            }
        };
        self.watch_files(file, apply);
    }

    /// Watches the files of a setting, if it has any, as [`Self::watch`] does.
    pub(crate) fn watch_files<const N: usize, A, F, E>(&mut self, files: Option<FileWatch<N>>, apply: A)
    where
        A: FnMut([FileContents; N]) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let Some(watch) = files else {
            return;
        };
        self.watched.push((watch.name(), watch.status()));
        let run = watch.run(EVERY, self.tasks.soft(), apply);
        self.tasks.essential("reload of a file", run);
    }

    /// Creates the metrics of all watches.
    pub(crate) fn observe(self, meter: &Meter) {
        metrics::observe_reloads(meter, self.watched.into());
    }
}

/// Interval of the polls, that of the certificate.
const EVERY: Duration = Duration::from_secs(5);
