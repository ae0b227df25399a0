//! List of tasks.

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::UserId;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::OperatorCommand;
use crate::operator::{TaskFilter, TaskOverview, TaskState};
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::{account_type, scope, timestamp, user};
use crate::postgres::transaction::Transaction;

pub(super) struct ListTasks<'a> {
    pub(super) filter: &'a TaskFilter,
    pub(super) command: OperatorCommand<'a>,
}

#[async_trait]
impl Work for ListTasks<'_> {
    type Outcome = Vec<TaskOverview>;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Vec<TaskOverview>>, Failure> {
        self.command.record(tx).await?;
        Ok(self.command.commit(select(tx, self.filter).await?))
    }
}

/// Tasks that meet the filter.
pub(super) async fn select(tx: &Transaction<'_>, filter: &TaskFilter) -> Result<Vec<TaskOverview>, Failure> {
    let select = format!(
        "SELECT {COLUMNS} FROM tasks WHERE id > $1 AND ($2::text IS NULL OR user_id = $2) \
         AND ($3::text IS NULL OR account_type = $3) AND (NOT $4::boolean OR dead_at IS NOT NULL) ORDER BY id LIMIT $5"
    );
    let user = filter.user.as_ref().map(UserId::as_str);
    let platform = filter.platform.map(AccountType::as_str);
    let limit = i64::from(filter.limit);
    let rows = tx
        .query(&select, &[&filter.after, &user, &platform, &filter.dead, &limit])
        .await?;
    rows.iter().map(task).collect()
}

/// Task from the columns [`COLUMNS`].
pub(super) fn task(row: &Row) -> Result<TaskOverview, Failure> {
    let tries: i32 = row.try_get("tries")?;
    let dead_at: Option<OffsetDateTime> = row.try_get("dead_at")?;
    let state = match (dead_at, row.try_get("is_leased")?) {
        (Some(_), _) => TaskState::Dead,
        (None, true) => TaskState::Leased,
        (None, false) => TaskState::Waiting,
    };
    Ok(TaskOverview {
        id: row.try_get("id")?,
        user: user(row)?,
        platform: account_type(row)?,
        platform_user_id: row.try_get("platform_user_id")?,
        scope: scope(row)?,
        state,
        tries: u32::try_from(tries).map_err(Failure::row)?,
        created_at: timestamp(row.try_get("created_at")?),
        due_at: timestamp(row.try_get("due_at")?),
        last_error: row.try_get("last_error")?,
        dead_at: dead_at.map(timestamp),
    })
}

/// Columns of a task without its tokens.
pub(super) const COLUMNS: &str = "id, user_id, account_type, platform_user_id, scope, tries, created_at, due_at, last_error, \
                                  dead_at, coalesce(leased_until > now(), false) AS is_leased";
