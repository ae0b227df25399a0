//! Runs over the expired rows of all tables.

use std::time::Duration;

use store::{
    PruneBatch, PruneOutcome, PrunePace, PruneRun, PruneStart, PrunedTable, Receipt, Retention, RetentionTimes,
};

use crate::sample::receipt;

/// Retention times of these tests.
pub(crate) const TIMES: RetentionTimes = RetentionTimes {
    dead_tasks: Duration::from_hours(90 * 24),
    ended_sessions: Duration::from_hours(400 * 24),
    max_app_webhooks: 1_000_000,
};

/// Deletes the expired rows of all tables and returns their number.
pub(crate) async fn prune(retention: &dyn Retention) -> u64 {
    let mut rows = 0;
    for table in PrunedTable::ALL {
        rows += prune_table(retention, table, &TIMES).await;
    }
    rows
}

/// Deletes the expired rows of one table and returns their number.
pub(crate) async fn prune_table(retention: &dyn Retention, table: PrunedTable, times: &RetentionTimes) -> u64 {
    let run = PruneRun {
        retention,
        times,
        receipt: &receipt("prune"),
        pace: PrunePace::AtOnce,
    };
    run.prune(table).await.unwrap()
}

/// Deletes one batch of at most this many rows.
pub(crate) async fn batch(
    retention: &dyn Retention,
    (table, start): (PrunedTable, PruneStart),
    limit: u16,
) -> PruneOutcome {
    let receipt: Receipt = receipt("prune");
    let batch = PruneBatch {
        table,
        limit,
        start,
        times: &TIMES,
        receipt: &receipt,
    };
    retention.prune_batch(&batch).await.unwrap()
}
