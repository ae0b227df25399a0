//! How much of each account command is at each platform at once.

use crate::metrics::Metrics;
use crate::platform::PlatformPermits;
use crate::settings::{JobConcurrency, PlatformConcurrency};

/// The permits of the account commands.
pub(crate) struct AccountPermits {
    /// Connects, and browsers that came back.
    pub(super) exchanges: PlatformPermits,
    /// Syncs that clients ask for.
    pub(super) syncs: PlatformPermits,
    /// Unlinks that wait for whoever asks a platform about their account.
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

/// Beyond these an unlink does not wait.
const UNLINKS: PlatformConcurrency = PlatformConcurrency {
    running: 32,
    waiting: 0,
};
