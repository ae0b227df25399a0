//! Outbox: events that are not yet published.

use std::collections::BTreeSet;

use async_trait::async_trait;
use protocol::id::UserId;

use super::MemoryStore;
use crate::StoreError;
use crate::outbox::{Outbox, OutboxBacklog, Publication, Publisher, Relayed, SentEvent};
use crate::relay::{self, PageEnd, RelayPages, RelayedPage, Restore};
use crate::rules::BEHIND_AFTER;

/// Relays do not hold the state's lock while they publish: the user's lock in `relays` keeps two relays apart.
#[async_trait]
impl Outbox for MemoryStore {
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        let _lock = self.relays.lock(user).await;
        relay::relay(
            user,
            publisher,
            &UserPages {
                store: self,
                user,
                publisher,
            },
        )
        .await
    }

    async fn restore_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        let _lock = self.relays.lock(user).await;
        relay::restore(
            user,
            publisher,
            &UserPages {
                store: self,
                user,
                publisher,
            },
        )
        .await
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

    async fn users_with_recent_events(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let now = self.now();
        let state = self.state();
        let recent = state.outbox.values().filter(|outgoing| outgoing.is_recent(now));
        let users: BTreeSet<_> = recent.map(|outgoing| &outgoing.user).collect();
        let later = users.into_iter().filter(|user| after.is_none_or(|after| *user > after));
        Ok(later.take(limit).cloned().collect())
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

/// Events of one user. A page is one event.
struct UserPages<'a> {
    store: &'a MemoryStore,
    user: &'a UserId,
    publisher: &'a dyn Publisher,
}

#[async_trait]
impl RelayPages for UserPages<'_> {
    async fn publish_page(&self, restore: Option<&Restore>) -> Result<RelayedPage, StoreError> {
        let next = match restore {
            None => self.store.state().oldest_unsent(self.user),
            Some(restore) => self
                .store
                .state()
                .next_recent(self.user, restore.after, self.store.now()),
        };
        let mut page = RelayedPage {
            sent: 0,
            resent: 0,
            last: None,
            end: PageEnd::Outbox,
        };
        let Some((number, event, is_unsent)) = next else {
            return Ok(page);
        };
        let epoch = restore.map(|restore| &restore.epoch);
        page.end = match self.publisher.publish(self.user, &event, epoch).await {
            Ok(Publication::Accepted) => PageEnd::Page,
            Ok(Publication::Unrestored) => PageEnd::Unrestored,
            Err(_reported) => PageEnd::Refusal,
        };
        if page.end == PageEnd::Page {
            (page.sent, page.resent) = (u64::from(is_unsent), u64::from(!is_unsent));
            page.last = Some(number);
            if is_unsent {
                self.store.state().mark_as_sent(number, self.store.now());
            }
        }
        Ok(page)
    }
}
