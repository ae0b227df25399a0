//! Webhooks to the application.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use protocol::app_webhook::{AppWebhookType, data};
use protocol::cluster::envelope::Envelope;
use protocol::id::{UserId, WorkerId};

use super::MemoryStore;
use super::rows::AppWebhookRow;
use super::state::State;
use crate::StoreError;
use crate::app_webhooks::{
    APP_WEBHOOK_TRIES, AppWebhook, AppWebhookBacklog, AppWebhookId, AppWebhooks, MAX_WAIT_FOR_EARLIER, NextTry,
};

#[async_trait]
impl AppWebhooks for MemoryStore {
    async fn lease_app_webhooks(
        &self,
        _worker: &WorkerId,
        limit: u32,
        ttl: Duration,
    ) -> Result<Vec<AppWebhook>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let free = |webhook: &AppWebhookRow| {
            let is_free = webhook.leased_until.is_none_or(|until| until <= now);
            webhook.dead_at.is_none() && webhook.due_at <= now && is_free
        };
        let mut due: Vec<_> = state.app_webhooks.iter_mut().filter(|(_, row)| free(row)).collect();
        due.sort_by_key(|(number, row)| (row.due_at, **number));
        let mut leased = Vec::new();
        for (number, row) in due {
            if row.tries >= APP_WEBHOOK_TRIES {
                // The worker of its last try did not return it.
                row.dead_at = Some(now);
                continue;
            }
            if leased.len() >= limit as usize {
                break;
            }
            row.fence += 1;
            row.leased_until = Some(now + ttl);
            leased.push(AppWebhook {
                id: AppWebhookId {
                    row: *number,
                    fence: row.fence,
                },
                event: row.event.clone(),
                user: row.user.clone(),
                kind: row.kind.as_str().to_owned(),
                data: row.data.clone(),
                created_at: row.created_at.into(),
                tries: row.tries,
            });
            row.tries += 1;
        }
        Ok(leased)
    }

    async fn finish_app_webhook(&self, webhook: &AppWebhookId) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let Some(user) = state.leased_app_webhook(webhook).map(|row| row.user.clone()) else {
            return Ok(false);
        };
        state.app_webhooks.remove(&webhook.row);
        state.make_next_app_webhook_due(&user, webhook.row, now);
        Ok(true)
    }

    async fn retry_app_webhook(
        &self,
        webhook: &AppWebhookId,
        next: NextTry,
        _reason: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let Some(row) = state.leased_app_webhook(webhook) else {
            return Ok(false);
        };
        row.leased_until = None;
        match next {
            NextTry::After(delay) => row.due_at = now + delay,
            NextTry::Never => row.dead_at = Some(now),
        }
        let user = row.user.clone();
        state.make_next_app_webhook_due(&user, webhook.row, now);
        Ok(true)
    }

    async fn app_webhook_backlog(&self) -> Result<AppWebhookBacklog, StoreError> {
        let now = self.now();
        let state = self.state();
        let (dead, waiting): (Vec<_>, Vec<_>) = state.app_webhooks.values().partition(|row| row.dead_at.is_some());
        let oldest = waiting.iter().map(|row| row.created_at).min();
        let oldest = oldest.and_then(|oldest| now.duration_since(oldest).ok());
        Ok(AppWebhookBacklog {
            waiting: waiting.len().min(AppWebhookBacklog::MAX_WAITING as usize) as u64,
            oldest: oldest.unwrap_or_default(),
            dead: dead.len().min(AppWebhookBacklog::MAX_DEAD as usize) as u64,
        })
    }
}

impl State {
    /// Queues the webhook of an event that is new, if the application receives its type.
    pub(super) fn queue_app_webhook(&mut self, user: &UserId, event: &Envelope, now: SystemTime) {
        let Some(kind) = AppWebhookType::of(event).filter(|kind| self.app_webhook_types.contains(kind)) else {
            return;
        };
        let is_awaited = |row: &AppWebhookRow| {
            row.user == *user && row.dead_at.is_none() && (row.tries == 0 || row.leased_until.is_some())
        };
        let wait = if self.app_webhooks.values().any(is_awaited) {
            MAX_WAIT_FOR_EARLIER
        } else {
            Duration::ZERO
        };
        let row = AppWebhookRow {
            user: user.clone(),
            event: event.id.clone(),
            kind,
            data: data(event),
            created_at: now,
            due_at: now + wait,
            tries: 0,
            fence: 0,
            leased_until: None,
            dead_at: None,
        };
        let number = self.next_number();
        self.app_webhooks.insert(number, row);
    }

    /// Webhook of a lease that is still valid: an expired lease remains valid until another worker leases the webhook.
    fn leased_app_webhook(&mut self, id: &AppWebhookId) -> Option<&mut AppWebhookRow> {
        let row = self.app_webhooks.get_mut(&id.row)?;
        (row.fence == id.fence && row.leased_until.is_some() && row.dead_at.is_none()).then_some(row)
    }

    fn make_next_app_webhook_due(&mut self, user: &UserId, after: i64, now: SystemTime) {
        let mut later = self.app_webhooks.range_mut(after + 1..);
        let next = later.find(|(_, row)| row.user == *user && row.dead_at.is_none() && row.tries == 0);
        if let Some((_, row)) = next {
            row.due_at = row.due_at.min(now);
        }
    }
}
