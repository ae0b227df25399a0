//! Retry of a task.

use async_trait::async_trait;

use super::tasks;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::operator::{TaskOverview, TaskRetryOutcome, TaskState};
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::queue::is_linked;
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, locks};
use crate::rules;
use crate::vault::AuditKeys;

pub(super) struct RetryTask<'a> {
    pub(super) id: i64,
    pub(super) receipt: &'a Receipt,
    pub(super) keys: &'a AuditKeys,
}

#[async_trait]
impl Work for RetryTask<'_> {
    type Outcome = TaskRetryOutcome;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<TaskRetryOutcome>, Failure> {
        // Its user and its account, which decide on the locks, never change once the owner of the grant is known.
        let Some(found) = self.read(tx, "").await? else {
            return Ok(Ending::RollBack(TaskRetryOutcome::Unknown));
        };
        locks::lock_user(tx, &found.user, None).await?;
        locks::lock_platform_account(tx, found.platform, &found.platform_user_id).await?;
        let task = match self.read(tx, "FOR UPDATE").await? {
            None => return Ok(Ending::RollBack(TaskRetryOutcome::Unknown)),
            Some(task) if task.state == TaskState::Leased || task.platform_user_id != found.platform_user_id => {
                return Ok(Ending::RollBack(TaskRetryOutcome::Leased));
            }
            Some(task) => task,
        };
        let is_linked = is_linked(tx, task.platform, &task.platform_user_id).await?;
        let due = self
            .make_due(tx, rules::narrowed(task.scope, is_linked).as_str())
            .await?;
        let entry = Entry::of_retried_task(task.platform, &task.platform_user_id);
        audit::append(tx, self.keys, &task.user, entry, self.receipt).await?;
        Ok(Ending::CommitBefore(self.receipt.deadline, TaskRetryOutcome::Due(due)))
    }
}

impl RetryTask<'_> {
    async fn read(&self, tx: &Transaction<'_>, lock: &str) -> Result<Option<TaskOverview>, Failure> {
        let read = format!(
            "SELECT {} FROM tasks WHERE id = $1 AND kind = 'revocation' {lock}",
            tasks::COLUMNS
        );
        let row = tx.query_opt(&read, &[&self.id]).await?;
        row.as_ref().map(tasks::task).transpose()
    }

    /// A lease of before, which has expired, becomes invalid.
    async fn make_due(&self, tx: &Transaction<'_>, scope: &str) -> Result<TaskOverview, Failure> {
        let update = format!(
            "UPDATE tasks SET dead_at = NULL, tries = 0, due_at = now(), leased_by = NULL, leased_until = NULL, \
             fence = fence + 1, scope = $2 WHERE id = $1 RETURNING {}",
            tasks::COLUMNS
        );
        tasks::task(&tx.query_one(&update, &[&self.id, &scope]).await?)
    }
}
