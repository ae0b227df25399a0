//! Tasks that were given up, at the end of their retention: one a batch, under its user's lock, with a row in the audit log.

use protocol::account::AccountType;
use protocol::id::UserId;

use super::Deleted;
use crate::audit::Entry;
use crate::postgres::error::Failure;
use crate::postgres::row::{account_type, user};
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, locks};
use crate::retention::PruneBatch;
use crate::vault::AuditKeys;

/// Deleted task.
#[derive(Debug)]
pub(super) struct DroppedTask {
    pub(super) user: UserId,
    pub(super) platform: AccountType,
}

/// Deletes the task that was given up first, if its retention is over.
pub(super) async fn drop_one(
    tx: &Transaction<'_>,
    batch: &PruneBatch<'_>,
    keys: &AuditKeys,
) -> Result<Deleted, Failure> {
    let find = "SELECT id, user_id FROM tasks \
                WHERE kind = 'revocation' AND dead_at <= now() - $1 * interval '1 second' ORDER BY dead_at LIMIT 1";
    // The task may be retried until its user is locked.
    let delete = "DELETE FROM tasks WHERE id = $1 AND dead_at <= now() - $2 * interval '1 second' \
                  RETURNING account_type, platform_user_id";
    let kept = batch.times.dead_tasks.as_secs_f64();
    let Some(found) = tx.query_opt(find, &[&kept]).await? else {
        return Ok(Deleted::last(0));
    };
    let owner = user(&found)?;
    locks::lock_user(tx, &owner, None).await?;
    let task: i64 = found.try_get("id")?;
    let deleted = tx.query_opt(delete, &[&task, &kept]).await?;
    let dropped = match &deleted {
        None => None,
        Some(row) => {
            let platform = account_type(row)?;
            let entry = Entry::of_dropped_revocation(platform, row.try_get("platform_user_id")?);
            audit::append(tx, keys, &owner, entry, batch.receipt).await?;
            Some(DroppedTask { user: owner, platform })
        }
    };
    Ok(Deleted {
        rows: u64::from(dropped.is_some()),
        next: Some(0),
        dropped,
    })
}
