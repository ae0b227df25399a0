//! Security alerts.

use async_trait::async_trait;
use protocol::api::AlertState;
use protocol::cluster::envelope::Envelope;
use protocol::id::{AlertId, UserId};
use protocol::security::Alert;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::alert_groups::RaiseAlertGroup;
use super::error::Failure;
use super::parameter::Parameter;
use super::pool::{Ending, Work};
use super::row::written;
use super::transaction::Transaction;
use super::{PgStore, audit, locks, outbox, row};
use crate::StoreError;
use crate::alerts::{Acknowledged, AlertPageQuery, AlertRequest, Alerts, FoundAlert, FoundAlerts, RaisedAlert, SignIn};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::outbox::SentEvent;
use crate::rules::{self, Examined, MOST_EXAMINED, PAGE};
use crate::step::Step;
use crate::vault::AuditKeys;

#[async_trait]
impl Alerts for PgStore {
    async fn raise_alert(&self, alert: &Alert, receipt: &Receipt) -> Result<(), StoreError> {
        let work = RaiseAlert {
            alert,
            receipt,
            keys: &self.audit,
        };
        self.pool.transact(Step::RaiseAlert, &work).await
    }

    async fn raise_alerts(&self, group: &[AlertRequest], sent: &[SentEvent]) -> Result<Vec<RaisedAlert>, StoreError> {
        let work = RaiseAlertGroup {
            group,
            sent,
            keys: &self.audit,
        };
        let raised = self.pool.transact(Step::RaiseAlertGroup, &work).await?;
        self.metrics.published_all(sent);
        Ok(raised)
    }

    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError> {
        let step = Step::ReadAlerts;
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
        let step = Step::ReadOpenAlerts;
        let read = "SELECT user_id, alert_id, severity, type, message, at, requires_action FROM alerts \
                    WHERE user_id = $1 AND requires_action AND acked_at IS NULL ORDER BY id LIMIT $2";
        let rows = self.pool.query(step, read, &[&user.as_str(), &i64::from(PAGE)]).await?;
        self.page(step, &rows)
    }

    async fn find_alert(&self, user: &UserId, alert: &AlertId) -> Result<Option<Alert>, StoreError> {
        let step = Step::ReadAlert;
        let read = "SELECT user_id, alert_id, severity, type, message, at, requires_action FROM alerts \
                    WHERE user_id = $1 AND alert_id = $2";
        let rows = self.pool.query(step, read, &[&user.as_str(), &alert.as_str()]).await?;
        let found = rows.first().map(row::alert).transpose();
        found.map_err(|failure| self.pool.report(step, failure))
    }

    async fn find_alerts(&self, user: &UserId, query: &AlertPageQuery) -> Result<FoundAlerts, StoreError> {
        let step = Step::ReadAlertPage;
        let parameters: [&dyn Parameter; 5] = [
            &user.as_str(),
            &query.before.unwrap_or(i64::MAX),
            &MOST_EXAMINED,
            &(query.state == Some(AlertState::Acknowledged)),
            &i64::from(query.limit),
        ];
        // The condition of the index of open alerts.
        let open = match query.state {
            Some(AlertState::Open) => " AND requires_action AND acked_at IS NULL",
            Some(AlertState::Acknowledged) | None => "",
        };
        let rows = self.pool.query(step, &find_sql(open), &parameters).await?;
        found_alerts(&rows, query.limit).map_err(|failure| self.pool.report(step, failure))
    }

    async fn acknowledge_alert(
        &self,
        user: &UserId,
        alert: &AlertId,
        by: &SignIn,
        receipt: &Receipt,
    ) -> Result<Acknowledged, StoreError> {
        let work = Acknowledge {
            user,
            alert,
            by,
            receipt,
            keys: &self.audit,
        };
        self.pool.transact(Step::MarkAlertAsAcknowledged, &work).await
    }
}

impl PgStore {
    fn page(&self, step: Step, rows: &[Row]) -> Result<Vec<Alert>, StoreError> {
        let alerts = rows.iter().map(row::alert).collect::<Result<Vec<_>, _>>();
        alerts
            .map(rules::page)
            .map_err(|failure| self.pool.report(step, failure))
    }
}

/// Statement that examines the newest alerts of user `$1` before number `$2`, at most `$3`, and returns at most `$5` of them, only
/// acknowledged ones if `$4` says so.
fn find_sql(examined: &str) -> String {
    format!(
        "WITH examined AS MATERIALIZED (SELECT id, user_id, alert_id, severity, type, message, at, requires_action, acked_at FROM alerts \
         WHERE user_id = $1 AND id < $2{examined} ORDER BY id DESC LIMIT $3), \
         found AS (SELECT * FROM examined WHERE NOT $4 OR acked_at IS NOT NULL ORDER BY id DESC LIMIT $5) \
         SELECT bounds.examined, bounds.last, found.* FROM (SELECT count(*) AS examined, min(id) AS last FROM examined) AS bounds \
         LEFT JOIN found ON true ORDER BY found.id DESC"
    )
}

/// Page from the columns of [`find_sql`].
fn found_alerts(rows: &[Row], limit: u16) -> Result<FoundAlerts, Failure> {
    let mut examined = Examined { count: 0, last: None };
    let mut alerts = Vec::with_capacity(rows.len());
    for row in rows {
        examined.count = row.try_get("examined")?;
        examined.last = row.try_get("last")?;
        // A query that no alert meets returns one row, of the bounds alone.
        if let Some(number) = row.try_get("id")? {
            let acknowledged_at: Option<OffsetDateTime> = row.try_get("acked_at")?;
            alerts.push(FoundAlert {
                number,
                alert: row::alert(row)?,
                acknowledged_at: acknowledged_at.map(row::timestamp),
            });
        }
    }
    Ok(rules::found_alerts(alerts, limit, &examined))
}

struct RaiseAlert<'a> {
    alert: &'a Alert,
    receipt: &'a Receipt,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for RaiseAlert<'_> {
    type Outcome = ();

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        let Self { alert, receipt, keys } = self;
        let user = &alert.user_id;
        locks::lock_user(tx, user, receipt.actor.session()).await?;
        if outbox::send(tx, user, &[Envelope::of_alert((*alert).clone())]).await? > 0 {
            audit::append(tx, keys, user, Entry::of_raised_alert(alert), receipt).await?;
        }
        Ok(Ending::CommitBefore(receipt.deadline, ()))
    }
}

struct Acknowledge<'a> {
    user: &'a UserId,
    alert: &'a AlertId,
    by: &'a SignIn,
    receipt: &'a Receipt,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for Acknowledge<'_> {
    type Outcome = Acknowledged;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Acknowledged>, Failure> {
        let Self {
            user,
            alert,
            by,
            receipt,
            keys,
        } = self;
        locks::lock_user(tx, user, receipt.actor.session()).await?;
        let find = FIND;
        let (session, signed_in) = (by.session.as_str(), by.at.map(written));
        let found = tx
            .query_opt(find, &[&user.as_str(), &alert.as_str(), &session, &signed_in])
            .await?;
        let Some(row) = found else {
            return Ok(Ending::RollBack(Acknowledged::Unknown));
        };
        if row.try_get("acknowledged")? {
            return Ok(Ending::RollBack(Acknowledged::Yes));
        }
        if row.try_get("own_session")? {
            return Ok(Ending::RollBack(Acknowledged::OwnSession));
        }
        let kind: String = row.try_get("type")?;
        let mark = "UPDATE alerts SET acked_at = now() WHERE user_id = $1 AND alert_id = $2";
        tx.execute(mark, &[&user.as_str(), &alert.as_str()]).await?;
        audit::append(tx, keys, user, Entry::of_acknowledged(&kind, alert), receipt).await?;
        Ok(Ending::CommitBefore(receipt.deadline, Acknowledged::Yes))
    }
}

/// An alert as the session `$3`, whose user signed in at `$4`, sees it. A session that gave wrong second factors is also a
/// subject of a later suspicious login. A new sign-in must be later than the alert and than the session's sign-in at that time,
/// because clocks differ.
const FIND: &str = "SELECT type, acked_at IS NOT NULL AS acknowledged, EXISTS (SELECT FROM alerts AS own \
                    WHERE own.user_id = $1 AND own.subject_session = $3 AND (own.id = alerts.id \
                    OR alerts.type = 'suspicious_login' AND own.type = 'failed_2fa' AND own.id < alerts.id) \
                    AND coalesce($4 <= greatest(alerts.raised_at, own.subject_signed_in_at), true)) AS own_session \
                    FROM alerts WHERE user_id = $1 AND alert_id = $2";
