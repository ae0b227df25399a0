//! Retry or deletion of a webhook to the application.

use async_trait::async_trait;

use super::app_webhooks::{COLUMNS, overview};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::operator::{AppWebhookChange, AppWebhookChangeOutcome, AppWebhookOverview, TaskState};
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, locks};
use crate::vault::AuditKeys;

pub(super) struct ChangeAppWebhook<'a> {
    pub(super) id: i64,
    pub(super) change: AppWebhookChange,
    pub(super) receipt: &'a Receipt,
    pub(super) keys: &'a AuditKeys,
}

#[async_trait]
impl Work for ChangeAppWebhook<'_> {
    type Outcome = AppWebhookChangeOutcome;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<AppWebhookChangeOutcome>, Failure> {
        // Its user, who decides on the lock, never changes.
        let Some(found) = self.read(tx, "").await? else {
            return Ok(Ending::RollBack(AppWebhookChangeOutcome::Unknown));
        };
        locks::lock_user(tx, &found.user, None).await?;
        match self.read(tx, "FOR UPDATE").await? {
            None => return Ok(Ending::RollBack(AppWebhookChangeOutcome::Unknown)),
            Some(webhook) if webhook.state == TaskState::Leased => {
                return Ok(Ending::RollBack(AppWebhookChangeOutcome::Leased));
            }
            Some(_) => {}
        }
        let (statement, entry) = match self.change {
            AppWebhookChange::Retry => (RETRY, Entry::of_retried_webhook(&found.kind, &found.event_id)),
            AppWebhookChange::Discard => (DISCARD, Entry::of_discarded_webhook(&found.kind, &found.event_id)),
        };
        let change = format!("{statement} RETURNING {COLUMNS}");
        let changed = overview(&tx.query_one(&change, &[&self.id]).await?)?;
        audit::append(tx, self.keys, &changed.user, entry, self.receipt).await?;
        let outcome = AppWebhookChangeOutcome::Changed(changed);
        Ok(Ending::CommitBefore(self.receipt.deadline, outcome))
    }
}

impl ChangeAppWebhook<'_> {
    async fn read(&self, tx: &Transaction<'_>, lock: &str) -> Result<Option<AppWebhookOverview>, Failure> {
        let read = format!("SELECT {COLUMNS} FROM app_webhooks WHERE id = $1 {lock}");
        let row = tx.query_opt(&read, &[&self.id]).await?;
        row.as_ref().map(overview).transpose()
    }
}

/// A lease of before, which has expired, becomes invalid.
const RETRY: &str = "UPDATE app_webhooks SET dead_at = NULL, tries = 0, due_at = now(), leased_by = NULL, leased_until = NULL, \
                     fence = fence + 1 WHERE id = $1";

const DISCARD: &str = "DELETE FROM app_webhooks WHERE id = $1";
