//! Run over the expired rows of a table.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::batch_size::BatchSize;
use super::{PruneBatch, PruneOutcome, PruneStart, PrunedTable, Retention, RetentionTimes};
use crate::StoreError;
use crate::answers::Receipt;

/// Deletes the expired rows of tables, batch by batch. May be dropped at any time.
pub struct PruneRun<'a> {
    /// Store.
    pub retention: &'a dyn Retention,
    /// Retention times that an operator sets.
    pub times: &'a RetentionTimes,
    /// Receipt of the run, for the audit log.
    pub receipt: &'a Receipt,
    /// Pace.
    pub pace: PrunePace,
}

/// Pace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrunePace {
    /// Only a table that is due, with a pause after each batch as long as that took: half of one connection at most. Ends where another
    /// process prunes the table, and after 10 s, so that a table with many expired rows does not keep others waiting.
    Scheduled,
    /// The whole table, now and without pauses.
    AtOnce,
}

impl PruneRun<'_> {
    /// Deletes the expired rows of this table. Returns their number.
    ///
    /// # Errors
    /// [`StoreError`]; the rows of earlier batches are deleted.
    pub async fn prune(&self, table: PrunedTable) -> Result<u64, StoreError> {
        let (mut size, mut deleted, run_started) = (BatchSize::FIRST, 0, Instant::now());
        let (mut start, next) = match self.pace {
            PrunePace::Scheduled => (PruneStart::IfDue, PruneStart::IfDue),
            PrunePace::AtOnce => (PruneStart::First, PruneStart::Next),
        };
        loop {
            let started = Instant::now();
            let batch = PruneBatch {
                table,
                limit: size.rows(),
                start,
                times: self.times,
                receipt: self.receipt,
            };
            match self.retention.prune_batch(&batch).await? {
                PruneOutcome::Busy if self.pace == PrunePace::AtOnce => {
                    sleep(BUSY_DELAY).await;
                    continue;
                }
                PruneOutcome::Busy | PruneOutcome::NotDue => return Ok(deleted),
                PruneOutcome::Pruned { rows, is_last } => {
                    deleted += rows;
                    if is_last {
                        return Ok(deleted);
                    }
                }
            }
            let took = started.elapsed();
            size = size.after(took);
            start = next;
            if self.pace == PrunePace::Scheduled {
                if run_started.elapsed() >= MAX_SCHEDULED {
                    return Ok(deleted);
                }
                sleep(took).await;
            }
        }
    }
}

/// Longest scheduled run.
const MAX_SCHEDULED: Duration = Duration::from_secs(10);

/// Time after which a run at once tries again while another process deletes a batch.
const BUSY_DELAY: Duration = Duration::from_millis(20);
