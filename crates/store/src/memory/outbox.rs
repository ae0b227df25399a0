//! Outbox: events that are not yet published.

use std::collections::BTreeSet;

use async_trait::async_trait;
use protocol::id::UserId;

use super::MemoryStore;
use crate::StoreError;
use crate::outbox::{Outbox, OutboxBacklog, Publisher, Relayed, SentEvent};
use crate::rules::{BEHIND_AFTER, RESENT_WITHIN};

/// Relays do not hold the state's lock while they publish: the user's lock in `relays` keeps two relays apart.
#[async_trait]
impl Outbox for MemoryStore {
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        let _lock = self.relays.lock(user).await;
        let mut sent = 0;
        loop {
            let oldest = self.state().oldest_unsent(user);
            let Some((number, event)) = oldest else {
                return Ok(Relayed { sent, stopped: false });
            };
            if publisher.publish(user, &event).await.is_err() {
                return Ok(Relayed { sent, stopped: true });
            }
            let now = self.now();
            self.state().mark_as_sent(number, now);
            sent += 1;
        }
    }

    async fn mark_sent(&self, sent: &[SentEvent]) -> Result<(), StoreError> {
        let now = self.now();
        self.state().mark_sent(sent, now);
        Ok(())
    }

    async fn users_with_unsent_events(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let now = self.now();
        let state = self.state();
        let behind = state.unsent.iter().filter(|(_, number)| {
            let outgoing = state.outbox.get(number);
            outgoing.is_some_and(|outgoing| outgoing.created_at + BEHIND_AFTER < now)
        });
        let users: BTreeSet<_> = behind.map(|(user, _)| user).collect();
        Ok(users.into_iter().take(limit).cloned().collect())
    }

    async fn resend_recent(&self) -> Result<u64, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let mut again = Vec::new();
        for (number, outgoing) in &mut state.outbox {
            if outgoing.sent_at.is_some_and(|sent_at| now <= sent_at + RESENT_WITHIN) {
                outgoing.sent_at = None;
                again.push((outgoing.user.clone(), *number));
            }
        }
        let count = again.len() as u64;
        state.unsent.extend(again);
        Ok(count)
    }

    async fn outbox_backlog(&self) -> Result<OutboxBacklog, StoreError> {
        let now = self.now();
        let state = self.state();
        let unsent = state.unsent.iter().filter_map(|(_, number)| state.outbox.get(number));
        let oldest = unsent.map(|outgoing| outgoing.created_at).min();
        let events = state.unsent.len().min(OutboxBacklog::MAX_EVENTS as usize);
        Ok(OutboxBacklog {
            events: events as u64,
            oldest: oldest
                .and_then(|oldest| now.duration_since(oldest).ok())
                .unwrap_or_default(),
        })
    }
}
