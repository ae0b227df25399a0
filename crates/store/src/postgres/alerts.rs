//! Alerts.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use protocol::cluster::envelope::Envelope;
use protocol::id::{AlertId, UserId};
use protocol::security::Alert;
use tokio_postgres::Row;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::row::written;
use super::{PgStore, head, outbox, row};
use crate::StoreError;
use crate::alerts::Alerts;
use crate::rules::{self, PAGE};

#[async_trait]
impl Alerts for PgStore {
    async fn raise_alert(&self, alert: &Alert) -> Result<(), StoreError> {
        self.pool.transact("raise the alert", &RaiseAlert(alert)).await
    }

    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError> {
        let step = "read the alerts";
        let read = "SELECT user_id, alert_id, severity, type, message, at, requires_action FROM alerts \
                    WHERE user_id = $1 \
                    AND id > coalesce((SELECT id FROM alerts WHERE user_id = $1 AND alert_id = $2), 0) \
                    ORDER BY id LIMIT $3";
        let after = after.map(AlertId::as_str);
        let rows = self
            .pool
            .query(step, read, &[&user.as_str(), &after, &i64::from(PAGE)])
            .await?;
        self.page(step, &rows)
    }

    async fn open_alerts(&self, user: &UserId) -> Result<Vec<Alert>, StoreError> {
        let step = "read the open alerts";
        let read = "SELECT user_id, alert_id, severity, type, message, at, requires_action FROM alerts \
                    WHERE user_id = $1 AND requires_action AND acked_at IS NULL ORDER BY id LIMIT $2";
        let rows = self.pool.query(step, read, &[&user.as_str(), &i64::from(PAGE)]).await?;
        self.page(step, &rows)
    }

    async fn acknowledge_alert(&self, user: &UserId, alert: &AlertId) -> Result<bool, StoreError> {
        let acknowledge = "UPDATE alerts SET acked_at = coalesce(acked_at, now()) \
                           WHERE user_id = $1 AND alert_id = $2 RETURNING 1";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&user.as_str(), &alert.as_str()];
        let rows = self.pool.query("acknowledge the alert", acknowledge, &values).await?;
        Ok(!rows.is_empty())
    }
}

impl PgStore {
    fn page(&self, step: &'static str, rows: &[Row]) -> Result<Vec<Alert>, StoreError> {
        let alerts = rows.iter().map(row::alert).collect::<Result<Vec<_>, _>>();
        alerts
            .map(rules::page)
            .map_err(|failure| self.pool.report(step, failure))
    }
}

struct RaiseAlert<'a>(&'a Alert);

#[async_trait]
impl Work for RaiseAlert<'_> {
    type Outcome = ();

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        let Self(alert) = self;
        head::lock_user(tx, &alert.user_id).await?;
        outbox::send(tx, &alert.user_id, &[Envelope::of_alert((*alert).clone())]).await?;
        Ok(Ending::Commit(()))
    }
}

/// Writes an alert's row; false when it is there already. Only the outbox calls this: a row comes with its event.
pub(super) async fn keep(tx: &Transaction<'_>, user: &UserId, alert: &Alert) -> Result<bool, Failure> {
    let insert = tx
        .prepare_cached(
            "INSERT INTO alerts (user_id, alert_id, severity, type, message, at, requires_action) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id, alert_id) DO NOTHING",
        )
        .await?;
    // Postgres holds no NUL in a text.
    let message = alert.message.replace('\0', "\u{fffd}");
    let inserted = tx
        .execute(
            &insert,
            &[
                &user.as_str(),
                &alert.alert_id.as_str(),
                &alert.severity.as_str(),
                &alert.kind.as_str(),
                &message,
                &written(alert.timestamp),
                &alert.requires_action,
            ],
        )
        .await?;
    Ok(inserted == 1)
}
