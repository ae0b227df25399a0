//! Overview of a user.

use async_trait::async_trait;
use protocol::id::{SessionId, UserId};
use protocol::security::Alert;
use protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::{OperatorCommand, tasks};
use crate::operator::{
    AccountOverview, FactorOverview, MAX_LISTED, SecurityOverview, SeenOverview, SessionsOverview, TaskFilter,
    TaskOverview, UserOverview,
};
use crate::postgres::accounts::states;
use crate::postgres::devices::seen;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::{alert, timestamp};
use crate::postgres::security::columns;
use crate::postgres::transaction::Transaction;
use crate::security::SecurityRecord;

/// Reads a user in one transaction, under the lock of the head row.
pub(super) struct ReadUser<'a> {
    pub(super) user: &'a UserId,
    pub(super) command: OperatorCommand<'a>,
}

#[async_trait]
impl Work for ReadUser<'_> {
    type Outcome = Option<UserOverview>;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Option<UserOverview>>, Failure> {
        if !self.command.record(tx).await? {
            return Ok(self.command.commit(None));
        }
        let counts = self.counts(tx).await?;
        let overview = UserOverview {
            user: self.user.clone(),
            accounts: self.accounts(tx).await?,
            pending_links: counts.try_get("pending_links")?,
            sessions: sessions(&counts)?,
            security: self.security(tx).await?,
            open_alerts: self.open_alerts(tx).await?,
            seen: self.seen(tx).await?,
            tasks: self.tasks(tx).await?,
            unsent_events: counts.try_get("unsent_events")?,
            audit_rows: counts.try_get("audit_rows")?,
        };
        Ok(self.command.commit(Some(overview)))
    }
}

impl ReadUser<'_> {
    async fn counts(&self, tx: &Transaction<'_>) -> Result<Row, Failure> {
        let count = "SELECT sessions_ended_at, sessions_ended_except, \
                     (SELECT count(*) FROM pending_links WHERE user_id = $1) AS pending_links, \
                     (SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND exp_at > now()) AS live, \
                     (SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NOT NULL) AS ended, \
                     (SELECT count(*) FROM sessions WHERE user_id = $1 AND end_unconfirmed) AS unconfirmed_ends, \
                     (SELECT count(*) FROM outbox WHERE user_id = $1 AND sent_at IS NULL) AS unsent_events, \
                     (SELECT seq FROM audit_heads WHERE user_id = $1) AS audit_rows FROM users WHERE user_id = $1";
        tx.query_one(count, &[&self.user.as_str()]).await
    }

    async fn accounts(&self, tx: &Transaction<'_>) -> Result<Vec<AccountOverview>, Failure> {
        states::read(&tx.query(states::READ, &[&self.user.as_str()]).await?)
    }

    async fn security(&self, tx: &Transaction<'_>) -> Result<SecurityOverview, Failure> {
        let row = tx.query_opt(columns::READ, &[&self.user.as_str()]).await?;
        let record: SecurityRecord = row.as_ref().map(columns::record).transpose()?.unwrap_or_default();
        Ok(SecurityOverview {
            session_timeout: record.session_timeout,
            factor: record.factor.map(|factor| FactorOverview {
                method: factor.method,
                failures: factor.failures,
                last_failed_at: factor.last_failed,
                recovery_codes: factor.recovery_codes.len(),
                locked_at: factor.lock.map(|lock| lock.since),
                locked_until: factor.lock.and_then(|lock| lock.until),
            }),
            pending_factor: record.pending.map(|pending| pending.method),
        })
    }

    async fn open_alerts(&self, tx: &Transaction<'_>) -> Result<Vec<Alert>, Failure> {
        let select = "SELECT user_id, alert_id, severity, type, message, at, requires_action FROM alerts \
                      WHERE user_id = $1 AND requires_action AND acked_at IS NULL ORDER BY id LIMIT $2";
        let rows = tx.query(select, &[&self.user.as_str(), &i64::from(MAX_LISTED)]).await?;
        rows.iter().map(alert).collect()
    }

    async fn seen(&self, tx: &Transaction<'_>) -> Result<Vec<SeenOverview>, Failure> {
        seen::read(
            &tx.query(seen::READ, &[&self.user.as_str(), &i64::from(MAX_LISTED)])
                .await?,
        )
    }

    async fn tasks(&self, tx: &Transaction<'_>) -> Result<Vec<TaskOverview>, Failure> {
        let filter = TaskFilter {
            user: Some(self.user.clone()),
            limit: MAX_LISTED,
            ..TaskFilter::default()
        };
        tasks::select(tx, &filter).await
    }
}

fn sessions(row: &Row) -> Result<SessionsOverview, Failure> {
    let except: Option<&str> = row.try_get("sessions_ended_except")?;
    Ok(SessionsOverview {
        live: row.try_get("live")?,
        ended: row.try_get("ended")?,
        unconfirmed_ends: row.try_get("unconfirmed_ends")?,
        all_ended_at: time(row, "sessions_ended_at")?,
        all_ended_except: except.map(SessionId::new).transpose().map_err(Failure::row)?,
    })
}

fn time(row: &Row, column: &str) -> Result<Option<Timestamp>, Failure> {
    Ok(row.try_get::<_, Option<OffsetDateTime>>(column)?.map(timestamp))
}
