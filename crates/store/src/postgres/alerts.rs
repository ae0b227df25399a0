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
use super::{PgStore, audit, head, outbox, row};
use crate::StoreError;
use crate::alerts::Alerts;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::rules::{self, PAGE};
use crate::vault::AuditKeys;

#[async_trait]
impl Alerts for PgStore {
    async fn raise_alert(&self, alert: &Alert, receipt: &Receipt) -> Result<(), StoreError> {
        let work = RaiseAlert {
            alert,
            receipt,
            keys: &self.audit,
        };
        self.pool.transact("raise the alert", &work).await
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

    async fn acknowledge_alert(&self, user: &UserId, alert: &AlertId, receipt: &Receipt) -> Result<bool, StoreError> {
        let work = Acknowledge {
            user,
            alert,
            receipt,
            keys: &self.audit,
        };
        self.pool.transact("acknowledge the alert", &work).await
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

struct RaiseAlert<'a> {
    alert: &'a Alert,
    receipt: &'a Receipt,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for RaiseAlert<'_> {
    type Outcome = ();

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        let Self { alert, receipt, keys } = self;
        let user = &alert.user_id;
        head::lock_user(tx, user, receipt.actor.session()).await?;
        if outbox::send(tx, user, &[Envelope::of_alert((*alert).clone())]).await? > 0 {
            audit::append(tx, keys, user, Entry::of_raised_alert(alert), receipt).await?;
        }
        Ok(Ending::CommitBefore(receipt.deadline, ()))
    }
}

struct Acknowledge<'a> {
    user: &'a UserId,
    alert: &'a AlertId,
    receipt: &'a Receipt,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for Acknowledge<'_> {
    type Outcome = bool;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<bool>, Failure> {
        let Self {
            user,
            alert,
            receipt,
            keys,
        } = self;
        head::lock_user(tx, user, receipt.actor.session()).await?;
        let look = tx
            .prepare_cached("SELECT type, acked_at IS NOT NULL FROM alerts WHERE user_id = $1 AND alert_id = $2")
            .await?;
        let Some(row) = tx.query_opt(&look, &[&user.as_str(), &alert.as_str()]).await? else {
            return Ok(Ending::RollBack(false));
        };
        let (kind, acknowledged): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        if acknowledged {
            return Ok(Ending::RollBack(true));
        }
        let mark = tx
            .prepare_cached("UPDATE alerts SET acked_at = now() WHERE user_id = $1 AND alert_id = $2")
            .await?;
        tx.execute(&mark, &[&user.as_str(), &alert.as_str()]).await?;
        audit::append(tx, keys, user, Entry::of_acknowledged(&kind, alert), receipt).await?;
        Ok(Ending::CommitBefore(receipt.deadline, true))
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
