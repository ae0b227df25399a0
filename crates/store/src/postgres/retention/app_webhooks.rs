//! Webhooks to the application at the end of their retention, and the oldest of too many.

use super::{Deleted, expired};
use crate::postgres::error::Failure;
use crate::postgres::transaction::Transaction;
use crate::retention::{PruneBatch, log_dropped_app_webhooks};

/// Deletes webhooks whose retention is over; where none is left, the oldest above the bound.
pub(super) async fn delete(tx: &Transaction<'_>, batch: &PruneBatch<'_>) -> Result<Deleted, Failure> {
    let kept = batch.times.dead_tasks;
    let expired = expired::delete(tx, batch.limit, (expired::APP_WEBHOOKS, kept)).await?;
    if expired.next.is_some() {
        return Ok(expired);
    }
    let (limit, bound) = (i64::from(batch.limit), i64::from(batch.times.max_app_webhooks));
    let excess = tx.execute(DELETE_EXCESS, &[&limit, &bound]).await?;
    if excess > 0 {
        log_dropped_app_webhooks(excess);
    }
    Ok(Deleted {
        rows: expired.rows + excess,
        next: (excess >= u64::from(batch.limit)).then_some(0),
        dropped: None,
    })
}

/// Deletes the oldest webhooks above the bound `$2`, at most `$1`.
const DELETE_EXCESS: &str = "DELETE FROM app_webhooks WHERE ctid = ANY(ARRAY(SELECT ctid FROM app_webhooks ORDER BY created_at, id \
                             LIMIT least($1, greatest(0, (SELECT count(*) FROM app_webhooks) - $2)) FOR UPDATE SKIP LOCKED))";
