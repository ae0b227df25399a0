//! Deletion of expired rows: all of a table in one batch.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use protocol::time::Timestamp;

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::audit::Entry;
use crate::retention::{
    PruneBatch, PruneOutcome, PruneStart, PrunedTable, Retention, log_dropped_app_webhooks, log_dropped_task,
};
use crate::rules::{ALERTS_KEPT_FOR, DELIVERIES_KEPT_FOR, REMEMBERED_FOR, SEEN_KEPT_FOR};
use crate::session_rules::may_be_forgotten;
use crate::vault::AuditKeys;

#[async_trait]
impl Retention for MemoryStore {
    async fn prune_batch(&self, batch: &PruneBatch<'_>) -> Result<PruneOutcome, StoreError> {
        let (table, now) = (batch.table, self.now());
        let mut state = self.state();
        let pruned_at = state.pruned_at.get(&table).copied();
        if batch.start == PruneStart::IfDue && pruned_at.is_some_and(|at| now < at + table.interval()) {
            return Ok(PruneOutcome::NotDue);
        }
        let rows = state.delete_expired(batch, &self.audit, now);
        state.pruned_at.insert(table, now);
        Ok(PruneOutcome::Pruned { rows, is_last: true })
    }

    async fn prune_ages(&self) -> Result<Vec<(PrunedTable, Duration)>, StoreError> {
        let (state, now) = (self.state(), self.now());
        let pruned = state.pruned_at.iter();
        let age = |at: &SystemTime| now.duration_since(*at).unwrap_or_default();
        Ok(pruned.map(|(table, at)| (*table, age(at))).collect())
    }
}

impl State {
    fn delete_expired(&mut self, batch: &PruneBatch<'_>, keys: &AuditKeys, now: SystemTime) -> u64 {
        let before = self.rows();
        match batch.table {
            PrunedTable::Alerts => self.alerts.retain(|_, raised| now < raised.raised_at + ALERTS_KEPT_FOR),
            PrunedTable::AppWebhooks => self.delete_app_webhooks(batch, now),
            PrunedTable::Answers => {
                let Self { answers, asked, .. } = self;
                answers.retain(|_, answer| now < answer.expires_at);
                asked.retain(|_, job| answers.contains_key(job));
            }
            // Both are in one map.
            PrunedTable::Confirmations | PrunedTable::Exchanges => {
                self.spent.retain(|_, at| now < *at + REMEMBERED_FOR);
            }
            PrunedTable::Outbox => self.delete_sent_events(now),
            PrunedTable::Seen => self.seen.retain(|_, at| now < *at + SEEN_KEPT_FOR),
            PrunedTable::Sessions => self.forget_sessions(batch, now.into()),
            PrunedTable::Tasks => self.delete_dead_tasks(batch, keys, now),
            // A user has no row here, only what belongs to it.
            PrunedTable::Users => {}
            PrunedTable::WebhookDeliveries => self.deliveries.retain(|_, at| now < *at + DELIVERIES_KEPT_FOR),
        }
        (before - self.rows()) as u64
    }

    fn delete_app_webhooks(&mut self, batch: &PruneBatch<'_>, now: SystemTime) {
        let kept = batch.times.dead_tasks;
        self.app_webhooks.retain(|_, row| now < row.created_at + kept);
        let excess = self
            .app_webhooks
            .len()
            .saturating_sub(batch.times.max_app_webhooks as usize);
        for _ in 0..excess {
            self.app_webhooks.pop_first();
        }
        if excess > 0 {
            log_dropped_app_webhooks(excess as u64);
        }
    }

    fn forget_sessions(&mut self, batch: &PruneBatch<'_>, now: Timestamp) {
        let (saved_at, kept) = (self.deadlines_kept_at, batch.times.ended_sessions);
        self.sessions
            .retain(|_, row| row.end_unconfirmed || !may_be_forgotten(&row.known, saved_at, kept, now));
    }

    fn delete_sent_events(&mut self, now: SystemTime) {
        let Self {
            outbox, known_events, ..
        } = self;
        outbox.retain(|_, outgoing| {
            let kept = outgoing.sent_at.is_none_or(|sent_at| now < sent_at + REMEMBERED_FOR);
            if !kept {
                known_events.remove(&outgoing.event.id);
            }
            kept
        });
    }

    fn delete_dead_tasks(&mut self, batch: &PruneBatch<'_>, keys: &AuditKeys, now: SystemTime) {
        let has_expired = |dead_at: SystemTime| dead_at + batch.times.dead_tasks <= now;
        let dropped = self
            .tasks
            .extract_if(.., |_, task| task.dead_at.is_some_and(has_expired));
        let dropped: Vec<_> = dropped.map(|(_, task)| task).collect();
        for task in dropped {
            let platform = task.revocation.account;
            let entry = Entry::of_dropped_revocation(platform, &task.revocation.platform_user_id);
            self.audit(keys, &task.user, entry, batch.receipt, now);
            log_dropped_task(&task.user, platform);
        }
    }

    /// Rows of all tables that are pruned.
    fn rows(&self) -> usize {
        let answers = self.answers.len() + self.spent.len();
        let events = self.outbox.len() + self.alerts.len() + self.deliveries.len();
        answers + events + self.app_webhooks.len() + self.seen.len() + self.sessions.len() + self.tasks.len()
    }
}
