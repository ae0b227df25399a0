//! Rows that expire at an age of theirs, which an index finds.

use std::time::Duration;

use super::Deleted;
use crate::postgres::error::Failure;
use crate::postgres::transaction::Transaction;

/// Statement that deletes at most `$1` rows of a table whose time is `$2` seconds ago. Rows that another transaction has locked are left
/// out. The others are found by their row ids, which their locks keep in place: a join by the primary key may read the whole table.
macro_rules! delete_expired {
    ($table:literal, $time:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY(ARRAY(SELECT ctid FROM ",
            $table,
            " WHERE ",
            $time,
            " <= now() - $2 * interval '1 second' LIMIT $1 FOR UPDATE SKIP LOCKED))"
        )
    };
}

pub(super) const ALERTS: &str = delete_expired!("alerts", "raised_at");
pub(super) const ANSWERS: &str = delete_expired!("answers", "expires_at");
pub(super) const APP_WEBHOOKS: &str = delete_expired!("app_webhooks", "created_at");
pub(super) const CONFIRMATIONS: &str = delete_expired!("confirmations", "used_at");
pub(super) const EXCHANGES: &str = delete_expired!("exchanges", "started_at");
/// Events that are not sent have no time.
pub(super) const OUTBOX: &str = delete_expired!("outbox", "sent_at");
pub(super) const SEEN: &str = delete_expired!("seen", "seen_at");
pub(super) const WEBHOOK_DELIVERIES: &str = delete_expired!("webhook_deliveries", "delivered_at");

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
