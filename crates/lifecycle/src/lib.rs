//! Lifecycle of a node: tasks with an owner and an end, readiness, retries and periodic loops, reports of outages, values that
//! are reloaded, and time and randomness as arguments.
//!
//! Bus, store, gateway, worker and the composition in `postern` build on this crate. It must not know any of them,
//! nor what a node is for: it depends on no other crate of the workspace.
//!
//! In reading order: [`Tasks`], [`Readiness`], [`Dependencies`]; [`PeriodicLoop`], [`Backoff`] and [`OutageReporter`] for
//! recurring work of a task; [`KeyedLocks`] for work that only one task does at a time; [`Reloadable`] and [`FileWatch`] for
//! values that change while the node runs; [`Clock`] and [`Entropy`].

mod backoff;
mod clock;
mod dependency;
mod entropy;
mod file_watch;
mod keyed_locks;
mod outage;
mod periodic;
mod readiness;
mod reloadable;
mod tasks;

pub use backoff::Backoff;
pub use clock::{Clock, ManualClock, SystemClock};
pub use dependency::{Dependencies, Dependency, DependencyError, DependencyState, DependencyStatus};
pub use entropy::{BufferedEntropy, Entropy, OsEntropy, SeededEntropy};
pub use file_watch::{FileContents, FileError, FileWatch, ReloadStatus};
pub use keyed_locks::{KeyedLock, KeyedLocks};
pub use outage::OutageReporter;
pub use periodic::PeriodicLoop;
pub use readiness::{Condition, Latch, Part, Readiness};
pub use reloadable::Reloadable;
pub use tasks::{DrainReport, Tasks};
