//! Answers of completed jobs, and deletion of expired rows.

use async_trait::async_trait;
use protocol::id::{JobId, SessionId, UserId};
use tokio_postgres::Row;

use super::error::Failure;
use super::parameter::Parameter;
use super::{PgStore, session_check};
use crate::StoreError;
use crate::answers::{Actor, Answers, Idempotency, PreviousAnswer};
use crate::rules::{ALERTS_KEPT_FOR, DELIVERIES_KEPT_FOR, REMEMBERED_FOR, SEEN_KEPT_FOR};
use crate::step::Step;
use crate::vault::Ciphertext;

#[async_trait]
impl Answers for PgStore {
    async fn previous_answer(
        &self,
        (user, by): (&UserId, &Actor),
        job: &JobId,
        idempotency: Option<&Idempotency>,
    ) -> Result<PreviousAnswer, StoreError> {
        let step = Step::LookUpPreviousAnswer;
        let find = "SELECT answer, job_id = $1 AS own, job_id = $1 OR body = $3 AS same FROM answers \
                    WHERE (job_id = $1 OR scope = $2) AND expires_at > now() ORDER BY job_id = $1 DESC LIMIT 1";
        let scope = idempotency.map(|key| key.scope.as_slice());
        let body = idempotency.map(|key| key.body.as_slice());
        let (user, session) = (user.as_str(), by.session().map(SessionId::as_str));
        let answer: [&dyn Parameter; 3] = [&job.as_str(), &scope, &body];
        let ended: [&dyn Parameter; 2] = [&user, &session];
        let both = self
            .pool
            .query_both(step, (find, &answer), (session_check::ENDED, &ended));
        let (found, ended) = both.await?;
        let previous_answer = previous_answer(found.first(), !ended.is_empty());
        previous_answer.map_err(|failure| self.pool.report(step, failure))
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        let (kept, batch) = (REMEMBERED_FOR.as_secs_f64(), i64::from(BATCH));
        let answers = "DELETE FROM answers WHERE job_id IN \
                       (SELECT job_id FROM answers WHERE expires_at <= now() LIMIT $1) RETURNING 1";
        let exchanges = "DELETE FROM exchanges WHERE code_hash IN \
                         (SELECT code_hash FROM exchanges WHERE started_at <= now() - $2 * interval '1 second' LIMIT $1) \
                         RETURNING 1";
        let events = "DELETE FROM outbox WHERE id IN \
                      (SELECT id FROM outbox WHERE sent_at <= now() - $2 * interval '1 second' LIMIT $1) RETURNING 1";
        let confirmations = "DELETE FROM confirmations WHERE hash IN \
                             (SELECT hash FROM confirmations WHERE used_at <= now() - $2 * interval '1 second' LIMIT $1) \
                             RETURNING 1";
        let alerts = "DELETE FROM alerts WHERE id IN \
                      (SELECT id FROM alerts WHERE raised_at <= now() - $2 * interval '1 second' LIMIT $1) RETURNING 1";
        let seen = "DELETE FROM seen WHERE (user_id, kind, name) IN \
                    (SELECT user_id, kind, name FROM seen WHERE seen_at <= now() - $2 * interval '1 second' LIMIT $1) \
                    RETURNING 1";
        let deliveries = "DELETE FROM webhook_deliveries WHERE (account_type, delivery_id) IN \
                          (SELECT account_type, delivery_id FROM webhook_deliveries \
                          WHERE delivered_at <= now() - $2 * interval '1 second' LIMIT $1) RETURNING 1";
        let deliveries_kept = DELIVERIES_KEPT_FOR.as_secs_f64();
        let seen_kept = SEEN_KEPT_FOR.as_secs_f64();
        let alerts_kept = ALERTS_KEPT_FOR.as_secs_f64();
        Ok(self.delete(Step::DeleteExpiredAnswers, answers, &[&batch]).await?
            + self
                .delete(Step::DeleteExpiredExchanges, exchanges, &[&batch, &kept])
                .await?
            + self
                .delete(Step::DeleteExpiredConfirmations, confirmations, &[&batch, &kept])
                .await?
            + self
                .delete(Step::DeleteExpiredAlerts, alerts, &[&batch, &alerts_kept])
                .await?
            + self
                .delete(Step::DeleteExpiredDeliveries, deliveries, &[&batch, &deliveries_kept])
                .await?
            + self
                .delete(Step::DeleteExpiredDevices, seen, &[&batch, &seen_kept])
                .await?
            + self.delete(Step::DeleteSentEvents, events, &[&batch, &kept]).await?)
    }
}

impl PgStore {
    /// Deletes in batches, so that no statement runs, or holds locks, for long.
    async fn delete(&self, step: Step, batch: &str, values: &[&dyn Parameter]) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for _ in 0..MAX_BATCHES {
            let rows = self.pool.query(step, batch, values).await?.len();
            deleted += rows as u64;
            if rows < usize::from(BATCH) {
                break;
            }
        }
        Ok(deleted)
    }
}

fn previous_answer(row: Option<&Row>, is_ended: bool) -> Result<PreviousAnswer, Failure> {
    let is_own = row.map_or(Ok(false), |row| row.try_get("own"))?;
    if is_ended && !is_own {
        return Err(Failure::SessionEnded);
    }
    let Some(row) = row else {
        return Ok(PreviousAnswer::Nothing);
    };
    // NULL without an idempotency key: then the row was found by the job id.
    let same: Option<bool> = row.try_get("same")?;
    if same == Some(false) {
        return Ok(PreviousAnswer::OtherBody);
    }
    Ok(PreviousAnswer::Answer(Ciphertext::from_bytes(row.try_get("answer")?)))
}

/// Rows per DELETE statement.
const BATCH: u16 = 1_000;

/// Batches per run. The next run deletes the rest.
const MAX_BATCHES: u32 = 100;
