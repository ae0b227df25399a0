//! Rows that expire at an age of theirs, which an index finds.

use std::time::Duration;

use super::Deleted;
use crate::postgres::error::Failure;
use crate::postgres::transaction::Transaction;

/// Statement that deletes at most `$1` rows of a table whose time is `$2` seconds ago, found by their primary key. Rows that another
/// transaction has locked are left out. The selection is materialized, as a join may otherwise run it for each row.
macro_rules! delete_expired {
    ($table:literal, $key:literal, $time:literal) => {
        concat!(
            "WITH expired AS MATERIALIZED (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $time,
            " <= now() - $2 * interval '1 second' LIMIT $1 FOR UPDATE SKIP LOCKED) DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM expired)"
        )
    };
}

pub(super) const ALERTS: &str = delete_expired!("alerts", "id", "raised_at");
pub(super) const ANSWERS: &str = delete_expired!("answers", "job_id", "expires_at");
pub(super) const CONFIRMATIONS: &str = delete_expired!("confirmations", "hash", "used_at");
pub(super) const EXCHANGES: &str = delete_expired!("exchanges", "code_hash", "started_at");
/// Events that are not sent have no time.
pub(super) const OUTBOX: &str = delete_expired!("outbox", "id", "sent_at");
pub(super) const SEEN: &str = delete_expired!("seen", "user_id, kind, name", "seen_at");
pub(super) const WEBHOOK_DELIVERIES: &str =
    delete_expired!("webhook_deliveries", "account_type, delivery_id", "delivered_at");

/// Deletes the next rows that expired at the age `kept`.
pub(super) async fn delete(
    tx: &Transaction<'_>,
    limit: u16,
    (statement, kept): (&str, Duration),
) -> Result<Deleted, Failure> {
    let rows = tx.execute(statement, &[&i64::from(limit), &kept.as_secs_f64()]).await?;
    Ok(Deleted {
        rows,
        next: (rows >= u64::from(limit)).then_some(0),
        dropped: None,
    })
}
