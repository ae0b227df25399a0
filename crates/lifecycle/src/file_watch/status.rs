//! Counts of a file watch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of one [`FileWatch`](super::FileWatch), which its metrics show.
#[derive(Debug, Default)]
pub struct ReloadStatus {
    reloads: AtomicU64,
    failures: AtomicU64,
    is_failing: AtomicBool,
}

impl ReloadStatus {
    /// Number of changes that were applied.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// Number of changes that were rejected.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Reports whether the files have contents now that are not in use.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    pub(super) fn reloaded(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.recovered();
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.is_failing.store(true, Ordering::Relaxed);
    }

    pub(super) fn recovered(&self) {
        self.is_failing.store(false, Ordering::Relaxed);
    }
}
