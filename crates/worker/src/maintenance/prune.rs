//! Deletion of expired rows, on a schedule that all workers share through the store.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Entropy, OutageReporter, PeriodicLoop};
use store::{PrunePace, PruneRun, PrunedTable, Retention, RetentionTimes, StoreError};
use tokio_util::sync::CancellationToken;

use crate::call::background_receipt;
use crate::outage::report_failure;

/// Deletes expired rows.
pub(crate) struct Pruner {
    pub(crate) retention: Arc<dyn Retention>,
    pub(crate) times: RetentionTimes,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Pruner {
    /// Deletes the expired rows of each table that is due, once a minute, until the node drains.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let outage = OutageReporter::new("delete expired rows");
        let mut ticks = PeriodicLoop::new(PERIOD, drain.clone());
        while ticks.next().await {
            match drain.run_until_cancelled(self.prune_all()).await {
                Some(Ok(rows)) => {
                    outage.succeeded();
                    tracing::debug!(rows, "expired rows deleted");
                }
                Some(Err(error)) => report_failure(&outage, &error),
                None => return,
            }
        }
    }

    async fn prune_all(&self) -> Result<u64, StoreError> {
        let receipt = background_receipt(&*self.entropy, PERIOD);
        let run = PruneRun {
            retention: &*self.retention,
            times: &self.times,
            receipt: &receipt,
            pace: PrunePace::Scheduled,
        };
        let (mut rows, mut failed) = (0, None);
        for table in PrunedTable::ALL {
            match run.prune(table).await {
                Ok(deleted) => rows += deleted,
                // A table that always fails does not keep the others.
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(rows), Err)
    }
}

const PERIOD: Duration = Duration::from_secs(60);
