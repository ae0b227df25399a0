//! Read of the newest rows of a user's audit log.

use async_trait::async_trait;
use protocol::id::UserId;
use protocol::time::Timestamp;
use time::{Duration, OffsetDateTime, Time};
use tokio::time::Instant;
use tokio_postgres::Row;

use super::OperatorCommand;
use crate::audit::{AuditFilter, AuditFound};
use crate::postgres::audit;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::{timestamp, written};
use crate::postgres::transaction::Transaction;
use crate::rules::{Examined, MOST_EXAMINED};

/// Reads before it records, so that the page does not have the row of its own read.
pub(super) struct ReadAudit<'a> {
    pub(super) user: &'a UserId,
    pub(super) filter: &'a AuditFilter,
    pub(super) command: OperatorCommand<'a>,
}

#[async_trait]
impl Work for ReadAudit<'_> {
    type Outcome = AuditFound;

    fn deadline(&self) -> Option<Instant> {
        Some(self.command.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<AuditFound>, Failure> {
        let found = self.read(tx).await?;
        self.command.record(tx).await?;
        Ok(self.command.commit(found))
    }
}

impl ReadAudit<'_> {
    async fn read(&self, tx: &Transaction<'_>) -> Result<AuditFound, Failure> {
        let filter = self.filter;
        let since = filter.since.map_or(i64::MIN, Timestamp::as_millis);
        let until = filter.until.map_or(i64::MAX, Timestamp::as_millis);
        // Whole months are examined: other partitions are not read, and each row of these counts, whatever its time.
        let first_month = filter.since.map_or(i64::MIN, begin_of_month);
        let last_month = filter.until.map_or(i64::MAX, end_of_month);
        let rows = tx
            .query(
                READ,
                &[
                    &self.user.as_str(),
                    &filter.before.unwrap_or(i64::MAX),
                    &first_month,
                    &last_month,
                    &MOST_EXAMINED,
                    &since,
                    &until,
                    &filter.action.as_deref(),
                    &i64::from(filter.limit),
                ],
            )
            .await?;
        self.found(&rows)
    }

    fn found(&self, rows: &[Row]) -> Result<AuditFound, Failure> {
        let mut examined = Examined { count: 0, last: None };
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            examined.count = row.try_get("examined")?;
            examined.last = row.try_get("last")?;
            // A filter that no row meets returns one, of the bounds alone.
            if row.try_get::<_, Option<i64>>("seq")?.is_some() {
                let row = audit::row(row)?;
                let personal = row.shown_personal_data(self.command.keys);
                found.push((row, personal));
            }
        }
        let is_full = found.len() >= usize::from(self.filter.limit);
        let next = examined.next(is_full, found.last().map(|(row, _)| row.seq));
        Ok(AuditFound { rows: found, next })
    }
}

fn begin_of_month(time: Timestamp) -> i64 {
    let month = month_of(written(time));
    timestamp(month).as_millis()
}

fn end_of_month(time: Timestamp) -> i64 {
    let next = month_of(written(time)).saturating_add(Duration::days(31));
    timestamp(month_of(next)).as_millis()
}

/// Begin of the month of a time.
fn month_of(time: OffsetDateTime) -> OffsetDateTime {
    let first = time.replace_day(1).unwrap_or(time);
    first.replace_time(Time::MIDNIGHT)
}

/// Rows of user `$1` before number `$2`, newest first: `$5` at most of the months from `$3` to `$4` are examined, of which `$9` at most are
/// returned: those of the times from `$6` to `$7` and of the action `$8`, if one is given.
const READ: &str = "WITH examined AS MATERIALIZED (SELECT user_id, seq, v, at, action, subject, result, count, session_id, connection_id, \
                    address, device, job_id, trace_id, key_id, mac, personal FROM audit \
                    WHERE user_id = $1 AND seq < $2 AND at >= $3 AND at < $4 ORDER BY seq DESC LIMIT $5), \
                    found AS (SELECT * FROM examined WHERE at >= $6 AND at < $7 AND ($8::text IS NULL OR action = $8) \
                    ORDER BY seq DESC LIMIT $9) \
                    SELECT bounds.examined, bounds.last, found.*, user_keys.key AS user_key \
                    FROM (SELECT count(*) AS examined, min(seq) AS last FROM examined) AS bounds \
                    LEFT JOIN found ON true LEFT JOIN user_keys ON user_keys.user_id = found.user_id ORDER BY found.seq DESC";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examined_months_include_the_time() {
        let millis = |text: &str| -> i64 {
            let time: Timestamp = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            time.as_millis()
        };
        for (time, begin, end) in [
            (
                "2026-11-30T23:59:59.999Z",
                "2026-11-01T00:00:00.000Z",
                "2026-12-01T00:00:00.000Z",
            ),
            (
                "2026-12-01T00:00:00.000Z",
                "2026-12-01T00:00:00.000Z",
                "2027-01-01T00:00:00.000Z",
            ),
            (
                "2028-02-29T12:00:00.000Z",
                "2028-02-01T00:00:00.000Z",
                "2028-03-01T00:00:00.000Z",
            ),
        ] {
            let time = Timestamp::from_millis(millis(time));
            assert_eq!((begin_of_month(time), end_of_month(time)), (millis(begin), millis(end)));
        }
        let last = Timestamp::from_millis(i64::MAX);
        assert!(end_of_month(last) >= begin_of_month(last));
    }
}
