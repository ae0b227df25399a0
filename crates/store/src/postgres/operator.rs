//! Reads and changes of operators, and reads of the audit log for the application. Each is recorded in the audit log by the transaction that reads or changes, or before.
//!
//! They are methods of [`PgStore`] itself: only commands beside a deployment call them, and those have Postgres.

mod app_webhooks;
mod change_app_webhook;
mod erase;
mod read_audit;
mod retry_task;
mod tasks;
mod user;

use async_trait::async_trait;
use protocol::id::UserId;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::transaction::Transaction;
use super::{PgStore, audit, locks};
use crate::StoreError;
use crate::answers::Receipt;
use crate::audit::{AuditEvent, AuditFilter, AuditFound, Entry};
use crate::operator::{
    AppWebhookChange, AppWebhookChangeOutcome, AppWebhookFilter, AppWebhookOverview, TaskFilter, TaskOverview,
    TaskRetryOutcome, UserOverview,
};
use crate::step::Step;
use crate::vault::AuditKeys;

impl PgStore {
    /// Records an operator's command: in the chain of its user, if the store knows the user, else in the chain of operators.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_operator_command(
        &self,
        user: Option<&UserId>,
        command: &str,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let work = RecordCommand(self.operator_command(user, command, receipt));
        self.pool.transact(Step::RecordOperatorCommand, &work).await
    }

    /// Records what an operator is about to do, in the chain that [`PgStore::record_operator_command`] chooses.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_operator_action(
        &self,
        user: Option<&UserId>,
        action: &AuditEvent,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let work = RecordCommand(OperatorCommand {
            entry: Entry::of_event(action),
            ..self.operator_command(user, "", receipt)
        });
        self.pool.transact(Step::RecordOperatorCommand, &work).await
    }

    /// Reads what the store has about a user, and records the command. None if the store does not know the user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_overview(
        &self,
        user: &UserId,
        command: &str,
        receipt: &Receipt,
    ) -> Result<Option<UserOverview>, StoreError> {
        let work = user::ReadUser {
            user,
            command: self.operator_command(Some(user), command, receipt),
        };
        self.pool.transact(Step::ReadUser, &work).await
    }

    /// Lists tasks, and records the command.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_tasks(
        &self,
        filter: &TaskFilter,
        command: &str,
        receipt: &Receipt,
    ) -> Result<Vec<TaskOverview>, StoreError> {
        let command = self.operator_command(filter.user.as_ref(), command, receipt);
        let work = tasks::ListTasks { filter, command };
        self.pool.transact(Step::ListTasks, &work).await
    }

    /// Has a task that no worker has leased tried again at once, with all its tries. A link of the same platform account since then
    /// limits the revocation to the task's tokens. The retry is recorded in the chain of the task's user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry_task_now(&self, id: i64, receipt: &Receipt) -> Result<TaskRetryOutcome, StoreError> {
        let work = retry_task::RetryTask {
            id,
            receipt,
            keys: &self.audit,
        };
        self.pool.transact(Step::RetryTask, &work).await
    }

    /// Lists webhooks to the application, and records the command.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_app_webhooks(
        &self,
        filter: &AppWebhookFilter,
        command: &str,
        receipt: &Receipt,
    ) -> Result<Vec<AppWebhookOverview>, StoreError> {
        let command = self.operator_command(filter.user.as_ref(), command, receipt);
        let work = app_webhooks::ListAppWebhooks { filter, command };
        self.pool.transact(Step::ListAppWebhooks, &work).await
    }

    /// Changes a webhook to the application that no worker has leased. The change is recorded in the chain of the webhook's user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_app_webhook(
        &self,
        id: i64,
        change: AppWebhookChange,
        receipt: &Receipt,
    ) -> Result<AppWebhookChangeOutcome, StoreError> {
        let work = change_app_webhook::ChangeAppWebhook {
            id,
            change,
            receipt,
            keys: &self.audit,
        };
        let step = match change {
            AppWebhookChange::Retry => Step::RetryAppWebhook,
            AppWebhookChange::Discard => Step::DiscardAppWebhook,
        };
        self.pool.transact(step, &work).await
    }

    /// Reads the newest rows of a user's audit log, and records it.
    pub(super) async fn read_audit_log(
        &self,
        user: &UserId,
        filter: &AuditFilter,
        receipt: &Receipt,
    ) -> Result<AuditFound, StoreError> {
        let work = read_audit::ReadAudit {
            user,
            filter,
            command: OperatorCommand {
                entry: Entry::of_audit_read(&filter.to_string()),
                ..self.operator_command(Some(user), "", receipt)
            },
        };
        self.pool.transact(Step::ReadAuditLogOfUser, &work).await
    }

    fn operator_command<'a>(
        &'a self,
        user: Option<&'a UserId>,
        command: &str,
        receipt: &'a Receipt,
    ) -> OperatorCommand<'a> {
        OperatorCommand {
            user,
            entry: Entry::of_operator_command(command),
            receipt,
            keys: &self.audit,
        }
    }
}

/// Command of an operator, to be recorded.
struct OperatorCommand<'a> {
    user: Option<&'a UserId>,
    entry: Entry,
    receipt: &'a Receipt,
    keys: &'a AuditKeys,
}

impl OperatorCommand<'_> {
    /// Records the command. Returns whether its user is known, whose head row is then locked. In the chain of operators the command
    /// names its user.
    async fn record(&self, tx: &Transaction<'_>) -> Result<bool, Failure> {
        let entry = self.entry.clone();
        let Some(user) = self.user else {
            audit::append_for_operators(tx, self.keys, entry, self.receipt).await?;
            return Ok(false);
        };
        let is_known = locks::lock_known_user(tx, user).await?;
        if is_known {
            audit::append(tx, self.keys, user, entry, self.receipt).await?;
        } else {
            let subject = format!("{} {user}", entry.subject);
            audit::append_for_operators(tx, self.keys, Entry { subject, ..entry }, self.receipt).await?;
        }
        Ok(is_known)
    }

    fn commit<T>(&self, outcome: T) -> Ending<T> {
        Ending::CommitBefore(self.receipt.deadline, outcome)
    }
}

struct RecordCommand<'a>(OperatorCommand<'a>);

#[async_trait]
impl Work for RecordCommand<'_> {
    type Outcome = ();

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        self.0.record(tx).await?;
        Ok(self.0.commit(()))
    }
}
