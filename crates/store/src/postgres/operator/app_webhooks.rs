//! List of webhooks to the application.

use async_trait::async_trait;
use protocol::id::{EventId, UserId};
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::OperatorCommand;
use crate::operator::{AppWebhookFilter, AppWebhookOverview, TaskState};
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::{timestamp, user};
use crate::postgres::transaction::Transaction;

pub(super) struct ListAppWebhooks<'a> {
    pub(super) filter: &'a AppWebhookFilter,
    pub(super) command: OperatorCommand<'a>,
}

#[async_trait]
impl Work for ListAppWebhooks<'_> {
    type Outcome = Vec<AppWebhookOverview>;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Vec<AppWebhookOverview>>, Failure> {
        self.command.record(tx).await?;
        let select = format!(
            "SELECT {COLUMNS} FROM app_webhooks WHERE id > $1 AND ($2::text IS NULL OR user_id = $2) \
             AND (NOT $3::boolean OR dead_at IS NOT NULL) ORDER BY id LIMIT $4"
        );
        let AppWebhookFilter {
            user,
            dead,
            after,
            limit,
        } = self.filter;
        let user = user.as_ref().map(UserId::as_str);
        let rows = tx.query(&select, &[after, &user, dead, &i64::from(*limit)]).await?;
        let webhooks = rows.iter().map(overview).collect::<Result<_, _>>()?;
        Ok(self.command.commit(webhooks))
    }
}

/// Webhook from the columns [`COLUMNS`].
pub(super) fn overview(row: &Row) -> Result<AppWebhookOverview, Failure> {
    let tries: i32 = row.try_get("tries")?;
    let dead_at: Option<OffsetDateTime> = row.try_get("dead_at")?;
    let state = match (dead_at, row.try_get("is_leased")?) {
        (Some(_), _) => TaskState::Dead,
        (None, true) => TaskState::Leased,
        (None, false) => TaskState::Waiting,
    };
    Ok(AppWebhookOverview {
        id: row.try_get("id")?,
        event_id: EventId::new(row.try_get::<_, &str>("event_id")?).map_err(Failure::row)?,
        user: user(row)?,
        kind: row.try_get("type")?,
        state,
        tries: u32::try_from(tries).map_err(Failure::row)?,
        created_at: timestamp(row.try_get("created_at")?),
        due_at: timestamp(row.try_get("due_at")?),
        last_error: row.try_get("last_error")?,
        dead_at: dead_at.map(timestamp),
    })
}

/// Columns of a webhook without its data.
pub(super) const COLUMNS: &str = "id, event_id, user_id, type, tries, created_at, due_at, last_error, dead_at, \
                                  coalesce(leased_until > now(), false) AS is_leased";
