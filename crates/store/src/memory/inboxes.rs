//! Inboxes of bots.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use serde_json::Value;

use super::MemoryStore;
use super::rows::InboxRow;
use crate::StoreError;
use crate::inboxes::{InboxLease, Inboxes};

#[async_trait]
impl Inboxes for MemoryStore {
    async fn lease_inbox(&self, platform: AccountType, ttl: Duration) -> Result<Option<InboxLease>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        if !state.pause_left(platform, now).is_zero() {
            return Ok(None);
        }
        let inbox = state.inboxes.entry(platform.as_str()).or_insert(InboxRow {
            fence: 0,
            leased_until: None,
            cursor: None,
            next_at: now,
        });
        if now < inbox.next_at || inbox.leased_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        inbox.fence += 1;
        inbox.leased_until = Some(now + ttl);
        Ok(Some(InboxLease {
            platform,
            fence: inbox.fence,
            cursor: inbox.cursor.clone(),
        }))
    }

    async fn finish_inbox(
        &self,
        lease: &InboxLease,
        cursor: Option<&Value>,
        next: Duration,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let inbox = state.inboxes.get_mut(lease.platform.as_str());
        let Some(inbox) = inbox.filter(|inbox| inbox.fence == lease.fence) else {
            return Ok(false);
        };
        inbox.cursor = cursor.cloned().or_else(|| inbox.cursor.take());
        inbox.leased_until = None;
        inbox.next_at = now + next;
        Ok(true)
    }
}
