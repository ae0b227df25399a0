//! Sweeps over the pages of a table. An index on the times of sessions would cost a write for each live session and minute.

use super::Deleted;
use crate::postgres::error::Failure;
use crate::postgres::parameter::Parameter;
use crate::postgres::transaction::Transaction;
use crate::retention::{PruneBatch, PrunedTable};
use crate::session_rules::{EXPIRED_KEPT_FOR, SLACK};

/// Deletes sessions that may be forgotten, as [`crate::session_rules::may_be_forgotten`] decides, from the next pages of their table.
pub(super) async fn delete_sessions(
    tx: &Transaction<'_>,
    batch: &PruneBatch<'_>,
    page: i64,
) -> Result<Deleted, Failure> {
    let range = PageRange::new(page, SESSION_PAGES);
    let kept = batch.times.ended_sessions.as_secs_f64();
    let (slack, expired_kept) = (SLACK.as_secs_f64(), EXPIRED_KEPT_FOR.as_secs_f64());
    let limit = i64::from(batch.limit);
    let values: [&dyn Parameter; 6] = [&range.first, &range.end, &limit, &kept, &slack, &expired_kept];
    let rows = tx.execute(DELETE_SESSIONS, &values).await?;
    range
        .deleted(tx, PrunedTable::Sessions, rows, rows >= u64::from(batch.limit))
        .await
}

/// Deletes users without anything from the next pages of their table. Their rows are locked first: every transaction about a user locks
/// its row before it writes, so the second statement sees all that was written.
pub(super) async fn delete_users(tx: &Transaction<'_>, batch: &PruneBatch<'_>, page: i64) -> Result<Deleted, Failure> {
    let range = PageRange::new(page, USER_PAGES);
    let kept = batch.times.ended_sessions.as_secs_f64();
    let limit = i64::from(batch.limit);
    let values: [&dyn Parameter; 4] = [&kept, &range.first, &range.end, &limit];
    let unused = tx.query(LOCK_UNUSED_USERS, &values).await?;
    let users = unused.iter().map(|row| row.try_get("user_id"));
    let users: Vec<&str> = users.collect::<Result<_, _>>()?;
    let rows = tx.execute(DELETE_UNUSED_USERS, &[&kept, &users]).await?;
    range
        .deleted(tx, PrunedTable::Users, rows, users.len() >= usize::from(batch.limit))
        .await
}

/// Pages of one batch, as ids of rows.
struct PageRange {
    page: i64,
    pages: i64,
    /// First row.
    first: String,
    /// Row after the last one.
    end: String,
}

impl PageRange {
    fn new(page: i64, pages: i64) -> Self {
        let row = |page| format!("({page},0)");
        Self {
            page,
            pages,
            first: row(page),
            end: row(page + pages),
        }
    }

    /// Result of the batch. A full one may have left rows on its pages, which are then read again.
    async fn deleted(
        self,
        tx: &Transaction<'_>,
        table: PrunedTable,
        rows: u64,
        is_full: bool,
    ) -> Result<Deleted, Failure> {
        let count = "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint AS pages";
        let end: i64 = tx.query_one(count, &[&table.as_str()]).await?.try_get("pages")?;
        let next = if is_full { self.page } else { self.page + self.pages };
        Ok(Deleted {
            rows,
            next: (next < end).then_some(next),
            dropped: None,
        })
    }
}

/// Deletes at most `$3` sessions with row ids from `$1` to `$2`, exclusive. `$4`: retention of ended sessions; `$5`: lag of stored
/// deadlines; `$6`: retention of expired ones, all in seconds. Under its lock, a row keeps its id; one that was reopened before has another.
const DELETE_SESSIONS: &str = "DELETE FROM sessions WHERE ctid = ANY(ARRAY(SELECT ctid FROM sessions \
                               WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND NOT end_unconfirmed \
                               AND CASE WHEN ended_at IS NOT NULL \
                               THEN greatest(ended_at, newest_exp) + $4 * interval '1 second' <= now() \
                               ELSE exp_at + $5 * interval '1 second' < (SELECT copied_at FROM session_deadlines) \
                               AND greatest(exp_at, coalesce(newest_exp, exp_at + $4 * interval '1 second')) \
                               + $6 * interval '1 second' <= now() END \
                               LIMIT $3 FOR UPDATE OF sessions SKIP LOCKED))";

/// Condition of a user without anything. `$1`: retention of the time at which all sessions were ended, in seconds.
macro_rules! is_unused {
    () => {
        "NOT sessions_end_unconfirmed \
         AND (sessions_ended_at IS NULL OR sessions_ended_at + $1 * interval '1 second' <= now()) \
         AND NOT EXISTS (SELECT FROM sessions WHERE sessions.user_id = users.user_id) \
         AND NOT EXISTS (SELECT FROM accounts WHERE accounts.user_id = users.user_id) \
         AND NOT EXISTS (SELECT FROM pending_links WHERE pending_links.user_id = users.user_id) \
         AND NOT EXISTS (SELECT FROM security WHERE security.user_id = users.user_id) \
         AND NOT EXISTS (SELECT FROM seen WHERE seen.user_id = users.user_id) \
         AND NOT EXISTS (SELECT FROM alerts WHERE alerts.user_id = users.user_id) \
         AND NOT EXISTS (SELECT FROM outbox WHERE outbox.user_id = users.user_id AND sent_at IS NULL) \
         AND NOT EXISTS (SELECT FROM audit WHERE audit.user_id = users.user_id COLLATE \"C\")"
    };
}

/// Locks at most `$4` users without anything, with row ids from `$2` to `$3`, exclusive.
const LOCK_UNUSED_USERS: &str = concat!(
    "SELECT user_id FROM users WHERE ctid >= $2::text::tid AND ctid < $3::text::tid AND ",
    is_unused!(),
    " LIMIT $4 FOR UPDATE OF users SKIP LOCKED"
);

/// Deletes those of the users `$2` that are still without anything.
const DELETE_UNUSED_USERS: &str = concat!("DELETE FROM users WHERE user_id = ANY($2) AND ", is_unused!());

/// Pages of a batch of sessions, which have some 4,000.
const SESSION_PAGES: i64 = 64;

/// Pages of a batch of users, which have some 1,200: each is looked up in eight tables.
const USER_PAGES: i64 = 8;
