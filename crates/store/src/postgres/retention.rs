//! Deletion of expired rows. A batch first locks the row of its table in `prune_progress`: a lock of the transaction, which a pooler
//! keeps with it.

mod app_webhooks;
mod expired;
mod sweep;
mod tasks;

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;

use self::tasks::DroppedTask;
use super::PgStore;
use super::error::Failure;
use super::pool::{Ending, Work};
use super::row::seconds;
use super::transaction::Transaction;
use crate::StoreError;
use crate::retention::{PruneBatch, PruneOutcome, PruneStart, PrunedTable, Retention, log_dropped_task};
use crate::rules::{ALERTS_KEPT_FOR, DELIVERIES_KEPT_FOR, REMEMBERED_FOR, SEEN_KEPT_FOR};
use crate::step::Step;
use crate::vault::AuditKeys;

#[async_trait]
impl Retention for PgStore {
    async fn prune_batch(&self, batch: &PruneBatch<'_>) -> Result<PruneOutcome, StoreError> {
        let work = DeleteBatch {
            batch,
            keys: &self.audit,
        };
        let (outcome, dropped) = self.pool.transact(step(batch.table), &work).await?;
        if let PruneOutcome::Pruned { rows, .. } = outcome {
            self.metrics.pruned(batch.table, rows);
        }
        if let Some(DroppedTask { user, platform }) = dropped {
            log_dropped_task(&user, platform);
        }
        Ok(outcome)
    }

    async fn prune_ages(&self) -> Result<Vec<(PrunedTable, Duration)>, StoreError> {
        let step = Step::ReadPruneProgress;
        let read = "SELECT pruned_table, extract(epoch FROM now() - finished_at)::float8 AS age FROM prune_progress";
        let rows = self.pool.query(step, read, &[]).await?;
        let ages: Result<Vec<_>, Failure> = rows.iter().map(age).collect();
        let ages = ages.map_err(|failure| self.pool.report(step, failure))?;
        Ok(ages.into_iter().flatten().collect())
    }
}

/// One batch.
struct DeleteBatch<'a> {
    batch: &'a PruneBatch<'a>,
    keys: &'a AuditKeys,
}

/// Rows that a batch deleted.
struct Deleted {
    rows: u64,
    /// Page of the next batch; none after the last one.
    next: Option<i64>,
    dropped: Option<DroppedTask>,
}

impl Deleted {
    /// Rows of the last batch.
    fn last(rows: u64) -> Self {
        Self {
            rows,
            next: None,
            dropped: None,
        }
    }
}

#[async_trait]
impl Work for DeleteBatch<'_> {
    type Outcome = (PruneOutcome, Option<DroppedTask>);

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Self::Outcome>, Failure> {
        let PruneBatch { table, start, .. } = *self.batch;
        let lock = "SELECT page, finished_at <= now() - $2 * interval '1 second' AS is_due FROM prune_progress \
                    WHERE pruned_table = $1 FOR UPDATE SKIP LOCKED";
        let interval = table.interval().as_secs_f64();
        let Some(progress) = tx.query_opt(lock, &[&table.as_str(), &interval]).await? else {
            return Ok(Ending::RollBack((PruneOutcome::Busy, None)));
        };
        if start == PruneStart::IfDue && !progress.try_get::<_, bool>("is_due")? {
            return Ok(Ending::RollBack((PruneOutcome::NotDue, None)));
        }
        let page = match start {
            PruneStart::First => 0,
            PruneStart::IfDue | PruneStart::Next => progress.try_get("page")?,
        };
        let deleted = self.delete(tx, page).await?;
        let save = "UPDATE prune_progress SET page = $2, finished_at = CASE WHEN $3 THEN now() ELSE finished_at END \
                    WHERE pruned_table = $1";
        let (page, is_last) = (deleted.next.unwrap_or(0), deleted.next.is_none());
        tx.execute(save, &[&table.as_str(), &page, &is_last]).await?;
        let rows = deleted.rows;
        Ok(Ending::Commit((
            PruneOutcome::Pruned { rows, is_last },
            deleted.dropped,
        )))
    }
}

impl DeleteBatch<'_> {
    async fn delete(&self, tx: &Transaction<'_>, page: i64) -> Result<Deleted, Failure> {
        let expired = match self.batch.table {
            PrunedTable::Sessions => return sweep::delete_sessions(tx, self.batch, page).await,
            PrunedTable::Users => return sweep::delete_users(tx, self.batch, page).await,
            PrunedTable::Tasks => return tasks::drop_one(tx, self.batch, self.keys).await,
            PrunedTable::AppWebhooks => return app_webhooks::delete(tx, self.batch).await,
            PrunedTable::Alerts => (expired::ALERTS, ALERTS_KEPT_FOR),
            PrunedTable::Answers => (expired::ANSWERS, Duration::ZERO),
            PrunedTable::Confirmations => (expired::CONFIRMATIONS, REMEMBERED_FOR),
            PrunedTable::Exchanges => (expired::EXCHANGES, REMEMBERED_FOR),
            PrunedTable::Outbox => (expired::OUTBOX, REMEMBERED_FOR),
            PrunedTable::Seen => (expired::SEEN, SEEN_KEPT_FOR),
            PrunedTable::WebhookDeliveries => (expired::WEBHOOK_DELIVERIES, DELIVERIES_KEPT_FOR),
        };
        expired::delete(tx, self.batch.limit, expired).await
    }
}

fn step(table: PrunedTable) -> Step {
    match table {
        PrunedTable::Alerts => Step::DeleteExpiredAlerts,
        PrunedTable::Answers => Step::DeleteExpiredAnswers,
        PrunedTable::AppWebhooks => Step::DeleteExpiredAppWebhooks,
        PrunedTable::Confirmations => Step::DeleteExpiredConfirmations,
        PrunedTable::Exchanges => Step::DeleteExpiredExchanges,
        PrunedTable::Outbox => Step::DeleteSentEvents,
        PrunedTable::Seen => Step::DeleteExpiredDevices,
        PrunedTable::Sessions => Step::DeleteExpiredSessions,
        PrunedTable::Tasks => Step::DeleteDeadTask,
        PrunedTable::Users => Step::DeleteUnusedUsers,
        PrunedTable::WebhookDeliveries => Step::DeleteExpiredDeliveries,
    }
}

/// Table and age of a row of `prune_progress`; none for a table of a newer build.
fn age(row: &Row) -> Result<Option<(PrunedTable, Duration)>, Failure> {
    let table = PrunedTable::named(row.try_get("pruned_table")?);
    table
        .map(|table| Ok::<_, Failure>((table, seconds(row, "age")?)))
        .transpose()
}
