//! Sweeps over the pages of a table. An index on the times of sessions would cost a write for each live session and minute.

use super::Deleted;
use crate::postgres::error::Failure;
use crate::postgres::transaction::Transaction;
use crate::retention::PruneBatch;
use crate::session_rules::{EXPIRED_KEPT_FOR, SLACK};

/// Deletes sessions that may be forgotten, as [`crate::session_rules::may_be_forgotten`] decides, from the next pages of their table.
pub(super) async fn delete_sessions(
    tx: &Transaction<'_>,
    batch: &PruneBatch<'_>,
    page: i64,
) -> Result<Deleted, Failure> {
    let count = "SELECT pg_relation_size('sessions') / current_setting('block_size')::bigint AS pages";
    let pages: i64 = tx.query_one(count, &[]).await?.try_get("pages")?;
    let [first, last] = [page, page + PAGES].map(|page| format!("({page},0)"));
    let kept = batch.times.ended_sessions.as_secs_f64();
    let (slack, expired_kept) = (SLACK.as_secs_f64(), EXPIRED_KEPT_FOR.as_secs_f64());
    let limit = i64::from(batch.limit);
    let rows = tx
        .execute(DELETE_SESSIONS, &[&first, &last, &limit, &kept, &slack, &expired_kept])
        .await?;
    // A full batch may have left rows on its pages.
    let next = if rows >= u64::from(batch.limit) {
        page
    } else {
        page + PAGES
    };
    Ok(Deleted {
        rows,
        next: (next < pages).then_some(next),
        dropped: None,
    })
}

/// Deletes at most `$3` sessions with row ids from `$1` to `$2`, exclusive. `$4`: retention of ended sessions; `$5`: lag of stored
/// deadlines; `$6`: retention of expired ones, all in seconds. A row that was reopened meanwhile is checked again under its lock.
const DELETE_SESSIONS: &str = "WITH forgotten AS MATERIALIZED (SELECT user_id, session_id FROM sessions \
                               WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND NOT end_unconfirmed \
                               AND CASE WHEN ended_at IS NOT NULL \
                               THEN greatest(ended_at, newest_exp) + $4 * interval '1 second' <= now() \
                               ELSE exp_at + $5 * interval '1 second' < (SELECT copied_at FROM session_deadlines) \
                               AND greatest(exp_at, coalesce(newest_exp, exp_at + $4 * interval '1 second')) \
                               + $6 * interval '1 second' <= now() END \
                               LIMIT $3 FOR UPDATE OF sessions SKIP LOCKED) \
                               DELETE FROM sessions USING forgotten \
                               WHERE sessions.user_id = forgotten.user_id AND sessions.session_id = forgotten.session_id";

/// Pages of a batch: some 2,500 sessions.
const PAGES: i64 = 64;
