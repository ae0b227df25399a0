//! Webhooks to the application.

use std::time::Duration;

use async_trait::async_trait;
use protocol::app_webhook::{AppWebhookType, data};
use protocol::cluster::envelope::Envelope;
use protocol::id::{EventId, UserId, WorkerId};
use protocol::json::Json;
use tokio_postgres::Row;

use super::error::Failure;
use super::queue::printable;
use super::transaction::Transaction;
use super::{PgStore, row};
use crate::StoreError;
use crate::app_webhooks::{
    APP_WEBHOOK_TRIES, AppWebhook, AppWebhookBacklog, AppWebhookId, AppWebhooks, LAST_LEASE_EXPIRED,
    MAX_WAIT_FOR_EARLIER, NextTry,
};
use crate::step::Step;

#[async_trait]
impl AppWebhooks for PgStore {
    async fn lease_app_webhooks(
        &self,
        worker: &WorkerId,
        limit: u32,
        ttl: Duration,
    ) -> Result<Vec<AppWebhook>, StoreError> {
        let step = Step::LeaseAppWebhooks;
        let tries = i64::from(APP_WEBHOOK_TRIES);
        let (_given_up, leased) = self
            .pool
            .query_both(
                step,
                (GIVE_UP_EXPIRED, &[&tries, &LAST_LEASE_EXPIRED]),
                (
                    LEASE,
                    &[&worker.as_str(), &ttl.as_secs_f64(), &tries, &i64::from(limit)],
                ),
            )
            .await?;
        let webhooks = leased.iter().map(app_webhook).collect::<Result<Vec<_>, _>>();
        let mut webhooks = webhooks.map_err(|failure| self.pool.report(step, failure))?;
        // The statement returns them in any order.
        webhooks.sort_by_key(|webhook| webhook.id.row);
        Ok(webhooks)
    }

    async fn finish_app_webhook(&self, webhook: &AppWebhookId) -> Result<bool, StoreError> {
        let AppWebhookId { row, fence } = webhook;
        let finished = self.pool.query(Step::FinishAppWebhook, FINISH, &[row, fence]).await?;
        Ok(!finished.is_empty())
    }

    async fn retry_app_webhook(&self, webhook: &AppWebhookId, next: NextTry, reason: &str) -> Result<bool, StoreError> {
        let AppWebhookId { row, fence } = webhook;
        let after = match next {
            NextTry::After(delay) => Some(delay.as_secs_f64()),
            NextTry::Never => None,
        };
        let rescheduled = self
            .pool
            .query(
                Step::RescheduleAppWebhook,
                RESCHEDULE,
                &[row, fence, &after, &printable(reason)],
            )
            .await?;
        Ok(!rescheduled.is_empty())
    }

    async fn app_webhook_backlog(&self) -> Result<AppWebhookBacklog, StoreError> {
        let step = Step::MeasureAppWebhooks;
        let [waiting, dead] = [AppWebhookBacklog::MAX_WAITING, AppWebhookBacklog::MAX_DEAD].map(i64::from);
        let rows = self.pool.query(step, MEASURE, &[&waiting, &dead]).await?;
        let backlog = rows.first().map(backlog).transpose();
        let backlog = backlog.map_err(|failure| self.pool.report(step, failure))?;
        Ok(backlog.unwrap_or_default())
    }
}

/// Queues the webhook of an event that is new, if the application receives its type.
pub(super) async fn queue(tx: &Transaction<'_>, user: &UserId, event: &Envelope) -> Result<(), Failure> {
    queue_all(tx, &[(user.as_str(), event)]).await
}

/// Queues the webhooks of events that are new, of any users, in their order.
pub(super) async fn queue_all(tx: &Transaction<'_>, events: &[(&str, &Envelope)]) -> Result<(), Failure> {
    let received = events.iter().filter_map(|(user, event)| {
        let kind = AppWebhookType::of(event).filter(|kind| tx.app_webhooks().contains(kind))?;
        Some((*user, event.id.as_str(), kind.as_str(), data(event).into_text()))
    });
    let received: Vec<_> = received.collect();
    if received.is_empty() {
        return Ok(());
    }
    let users: Vec<_> = received.iter().map(|received| received.0).collect();
    let ids: Vec<_> = received.iter().map(|received| received.1).collect();
    let kinds: Vec<_> = received.iter().map(|received| received.2).collect();
    let data: Vec<_> = received.iter().map(|received| received.3.as_str()).collect();
    let wait = MAX_WAIT_FOR_EARLIER.as_secs_f64();
    tx.execute(QUEUE, &[&users, &ids, &kinds, &data, &wait]).await?;
    Ok(())
}

fn app_webhook(row: &Row) -> Result<AppWebhook, Failure> {
    let tries: i32 = row.try_get("tries")?;
    Ok(AppWebhook {
        id: AppWebhookId {
            row: row.try_get("id")?,
            fence: row.try_get("fence")?,
        },
        event: EventId::new(row.try_get::<_, &str>("event_id")?).map_err(Failure::row)?,
        user: row::user(row)?,
        kind: row.try_get("type")?,
        data: Json::parse(row.try_get("data")?).map_err(Failure::row)?,
        created_at: row::timestamp(row.try_get("created_at")?),
        // The lease has already counted this try.
        tries: u32::try_from(tries - 1).map_err(Failure::row)?,
    })
}

fn backlog(row: &Row) -> Result<AppWebhookBacklog, Failure> {
    let count = |column| Ok::<_, Failure>(row.try_get::<_, i64>(column)?.unsigned_abs());
    Ok(AppWebhookBacklog {
        waiting: count("waiting")?,
        oldest: row::seconds(row, "oldest")?,
        dead: count("dead")?,
    })
}

/// Queues webhooks. One behind another of its user that has not been tried, or is being tried, waits for the end of that try; the last
/// parameter bounds the wait in seconds, for a worker that queues this one while another ends that try.
const QUEUE: &str = "INSERT INTO app_webhooks (user_id, event_id, type, data, due_at) \
                     SELECT user_id, event_id, type, data, now() + CASE WHEN is_behind \
                     OR EXISTS (SELECT FROM app_webhooks AS earlier WHERE earlier.user_id = new.user_id AND dead_at IS NULL AND tries = 0) \
                     OR EXISTS (SELECT FROM app_webhooks AS earlier WHERE earlier.user_id = new.user_id AND dead_at IS NULL \
                     AND leased_until IS NOT NULL) \
                     THEN $5 * interval '1 second' ELSE interval '0' END \
                     FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY position) > 1 AS is_behind \
                     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY \
                     AS queued (user_id, event_id, type, data, position)) AS new \
                     ORDER BY position ON CONFLICT (event_id) DO NOTHING";

const GIVE_UP_EXPIRED: &str = "UPDATE app_webhooks SET dead_at = now(), last_error = $2 \
                               WHERE dead_at IS NULL AND due_at <= now() AND tries >= $1::bigint AND leased_until <= now()";

const LEASE: &str = "UPDATE app_webhooks SET fence = fence + 1, tries = tries + 1, leased_by = $1, \
                     leased_until = now() + $2 * interval '1 second' \
                     WHERE id = ANY(ARRAY(SELECT id FROM app_webhooks WHERE dead_at IS NULL AND due_at <= now() \
                     AND (leased_until IS NULL OR leased_until <= now()) AND tries < $3::bigint \
                     ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED)) \
                     RETURNING id, fence, event_id, user_id, type, data, created_at, tries";

/// Makes the user's next webhook due, behind the webhook `$1` that `ended` has.
macro_rules! with_next_due {
    ($ended:literal) => {
        concat!(
            "WITH ended AS (",
            $ended,
            " RETURNING user_id), next AS (UPDATE app_webhooks SET due_at = now() WHERE due_at > now() \
             AND id = (SELECT later.id FROM ended CROSS JOIN LATERAL (SELECT id FROM app_webhooks \
             WHERE user_id = ended.user_id AND id > $1 AND dead_at IS NULL AND tries = 0 ORDER BY id LIMIT 1) AS later)) \
             SELECT FROM ended"
        )
    };
}

/// Removes the webhook `$1` of the lease `$2`.
const FINISH: &str = with_next_due!(
    "DELETE FROM app_webhooks WHERE id = $1 AND fence = $2 AND leased_until IS NOT NULL AND dead_at IS NULL"
);

/// Schedules the webhook `$1` of the lease `$2` for a try in `$3` seconds, or gives it up where that is NULL.
const RESCHEDULE: &str = with_next_due!(
    "UPDATE app_webhooks SET leased_by = NULL, leased_until = NULL, last_error = $4, \
     due_at = now() + coalesce($3::float8, 0) * interval '1 second', \
     dead_at = CASE WHEN $3::float8 IS NULL THEN now() END \
     WHERE id = $1 AND fence = $2 AND leased_until IS NOT NULL AND dead_at IS NULL"
);

const MEASURE: &str = "SELECT (SELECT count(*) FROM (SELECT FROM app_webhooks WHERE dead_at IS NULL LIMIT $1) AS waiting) AS waiting, \
                       (SELECT extract(epoch FROM now() - created_at)::double precision FROM app_webhooks \
                       WHERE dead_at IS NULL ORDER BY created_at LIMIT 1) AS oldest, \
                       (SELECT count(*) FROM (SELECT FROM app_webhooks WHERE dead_at IS NOT NULL LIMIT $2) AS dead) AS dead";
