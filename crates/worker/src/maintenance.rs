//! Periodic work for no user in particular: deletes expired rows, measures backlogs.

mod measure;
mod prune;

pub(crate) use measure::BacklogMonitor;
pub(crate) use prune::Pruner;
