//! Erasure of a user: everything but the rows of the audit log, the ends of the sessions and the revocations that are to be finished.

use std::time::Duration;

use async_trait::async_trait;
use protocol::event::name::SESSION_EXPIRED;
use protocol::id::UserId;

use crate::StoreError;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::operator::UserErasure;
use crate::postgres::accounts::unlink_everything;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{PgStore, audit, locks};
use crate::step::Step;
use crate::vault::AuditKeys;

impl PgStore {
    /// Erases a user whose sessions have ended: deletes the key of the personal data in the audit log, and all other rows of the user;
    /// grants are revoked by tasks, as after an unlink. None if the store does not know the user. A repeat erases what was written since,
    /// and what a failure has left.
    ///
    /// # Errors
    /// [`StoreError`]. Alerts and published events may be deleted then; a repeat is harmless.
    pub async fn erase_user(&self, user: &UserId, receipt: &Receipt) -> Result<Option<UserErasure>, StoreError> {
        // A user may have more of these than one transaction deletes in its time.
        for delete in [DELETE_ALERTS, DELETE_APP_WEBHOOKS, DELETE_SENT_EVENTS] {
            while self.delete_batch(delete, user).await? == BATCH {}
        }
        let work = EraseUser {
            user,
            receipt,
            keys: &self.audit,
        };
        let Some(erased) = self.pool.transact(Step::EraseUser, &work).await? else {
            return Ok(None);
        };
        Ok(Some(UserErasure {
            clear_audit_rows: self.clear_audit_rows(user).await?,
            ..erased
        }))
    }

    /// Reports whether the store has any trace of a user.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn is_known(&self, user: &UserId) -> Result<bool, StoreError> {
        let found = self.pool.query(Step::FindUser, FIND_USER, &[&user.as_str()]).await?;
        Ok(!found.is_empty())
    }

    async fn delete_batch(&self, delete: &str, user: &UserId) -> Result<i64, StoreError> {
        let step = Step::EraseRowsOfUser;
        let deleted = self.pool.query(step, delete, &[&user.as_str(), &BATCH]).await?;
        let rows = deleted.first().map_or(Ok(0), |row| row.try_get("rows"));
        rows.map_err(|error| self.pool.report(step, error.into()))
    }

    /// Number of rows that have their personal data in clear text. The chain is read page by page, as it may be long.
    async fn clear_audit_rows(&self, user: &UserId) -> Result<u64, StoreError> {
        let step = Step::CountClearAuditRows;
        let (mut rows, mut after) = (0_u64, i64::MIN);
        loop {
            let found = self
                .pool
                .query(step, COUNT_CLEAR_ROWS, &[&user.as_str(), &after, &AUDIT_PAGE])
                .await?;
            let Some(page) = found.first() else { return Ok(rows) };
            let read = || {
                Ok::<_, Failure>((
                    page.try_get::<_, i64>("clear")?,
                    page.try_get::<_, Option<i64>>("last")?,
                ))
            };
            let (clear, last) = read().map_err(|failure| self.pool.report(step, failure))?;
            rows += clear.unsigned_abs();
            let Some(last) = last else { return Ok(rows) };
            after = last;
        }
    }
}

struct EraseUser<'a> {
    user: &'a UserId,
    receipt: &'a Receipt,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for EraseUser<'_> {
    type Outcome = Option<UserErasure>;

    const TIME_LIMIT: Duration = Duration::from_secs(10);

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Option<UserErasure>>, Failure> {
        let Self { user, receipt, keys } = *self;
        let user_id = user.as_str();
        if tx.query_opt(FIND_USER, &[&user_id]).await?.is_none() {
            return Ok(Ending::RollBack(None));
        }
        locks::lock_user(tx, user, None).await?;
        let accounts = unlink_everything(tx, keys, user, receipt).await?;
        for delete in DELETES {
            tx.execute(delete, &[&user_id]).await?;
        }
        // Notices of the ends of sessions have gateways close the sockets of the user, and say nothing else.
        tx.execute(DELETE_EVENTS, &[&user_id, &SESSION_EXPIRED]).await?;
        // The rows above have lost their key with this; the last row needs none.
        audit::append(tx, keys, user, Entry::of_erasure(), receipt).await?;
        tx.execute(MARK_ERASED, &[&user_id]).await?;
        let pending = tx.query_one(COUNT_REVOCATIONS, &[&user_id]).await?;
        audit::append_for_operators(tx, keys, Entry::of_erased_user(user), receipt).await?;
        let erased = UserErasure {
            accounts_unlinked: accounts as u64,
            pending_revocations: pending.try_get::<_, i64>("revocations")?.unsigned_abs(),
            clear_audit_rows: 0,
        };
        Ok(Ending::CommitBefore(receipt.deadline, Some(erased)))
    }
}

/// Any trace of user `$1`. The head row may be pruned while the key and the chain are kept.
const FIND_USER: &str = "SELECT WHERE EXISTS (SELECT FROM users WHERE user_id = $1) \
                         OR EXISTS (SELECT FROM user_keys WHERE user_id = $1) \
                         OR EXISTS (SELECT FROM audit_heads WHERE user_id = $1)";

/// Deletes the events of user `$1` except unsent ones of name `$2`.
const DELETE_EVENTS: &str =
    "DELETE FROM outbox WHERE user_id = $1 AND (sent_at IS NOT NULL OR envelope::jsonb ->> 'event' <> $2)";

/// Statements that erase user `$1`, whose head row is locked. Sessions stay to refuse their tokens, without their origin.
const DELETES: [&str; 7] = [
    "DELETE FROM alerts WHERE user_id = $1",
    "DELETE FROM app_webhooks WHERE user_id = $1",
    "DELETE FROM seen WHERE user_id = $1",
    "DELETE FROM security WHERE user_id = $1",
    "UPDATE sessions SET address = '', device_id = NULL, device_name = NULL, user_agent = NULL WHERE user_id = $1 \
     AND (address <> '' OR device_id IS NOT NULL OR device_name IS NOT NULL OR user_agent IS NOT NULL)",
    "UPDATE users SET had_device = false WHERE user_id = $1",
    "DELETE FROM user_keys WHERE user_id = $1",
];

/// Names the last row of user `$1` as the newest erasure.
const MARK_ERASED: &str = "UPDATE audit_heads SET erased = seq WHERE user_id = $1";

const COUNT_REVOCATIONS: &str = "SELECT count(*) AS revocations FROM tasks WHERE user_id = $1 AND kind = 'revocation'";

const DELETE_ALERTS: &str = "WITH deleted AS (DELETE FROM alerts WHERE id = ANY(ARRAY(SELECT id FROM alerts WHERE user_id = $1 \
                             LIMIT $2 FOR UPDATE)) RETURNING 1) SELECT count(*) AS rows FROM deleted";

const DELETE_APP_WEBHOOKS: &str = "WITH deleted AS (DELETE FROM app_webhooks WHERE id = ANY(ARRAY(SELECT id FROM app_webhooks \
                                   WHERE user_id = $1 LIMIT $2 FOR UPDATE)) RETURNING 1) SELECT count(*) AS rows FROM deleted";

const DELETE_SENT_EVENTS: &str = "WITH deleted AS (DELETE FROM outbox WHERE id = ANY(ARRAY(SELECT id FROM outbox WHERE user_id = $1 \
                                  AND sent_at IS NOT NULL LIMIT $2 FOR UPDATE)) RETURNING 1) SELECT count(*) AS rows FROM deleted";

/// Rows of user `$1` behind number `$2`, at most `$3`.
const COUNT_CLEAR_ROWS: &str = "SELECT count(*) FILTER (WHERE v < 3 AND (address <> '' OR device <> '' OR subject <> '')) AS clear, \
                                max(seq) AS last FROM (SELECT seq, v, address, device, subject FROM audit WHERE user_id = $1 AND seq > $2 \
                                ORDER BY seq LIMIT $3) AS page";

/// Alerts, webhooks or events that one statement deletes.
const BATCH: i64 = 2_000;

/// Rows of the audit log that one statement reads.
const AUDIT_PAGE: i64 = 20_000;
