//! Concurrency of the account commands at each platform.

use crate::metrics::Metrics;
use crate::platform::PlatformPermits;
use crate::settings::{JobConcurrency, PlatformConcurrency};

/// Permits of the account commands.
pub(crate) struct AccountPermits {
    /// Connects and hosted callbacks.
    pub(super) exchanges: PlatformPermits,
    /// Syncs that clients request.
    pub(super) syncs: PlatformPermits,
    /// Unlinks that wait for the sync lease of their account.
    pub(super) unlinks: PlatformPermits,
}

impl AccountPermits {
    pub(crate) fn new(concurrency: JobConcurrency, metrics: &Metrics) -> Self {
        Self {
            exchanges: PlatformPermits::new(concurrency.exchanges, metrics.clone()),
            syncs: PlatformPermits::new(concurrency.syncs, metrics.clone()),
            unlinks: PlatformPermits::new(UNLINKS, metrics.clone()),
        }
    }
}

/// Unlinks that wait at once; above the bound an unlink does not wait.
const UNLINKS: PlatformConcurrency = PlatformConcurrency {
    running: 32,
    waiting: 0,
};
