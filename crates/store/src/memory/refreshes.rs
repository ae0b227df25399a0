//! Refreshes.

use async_trait::async_trait;
use protocol::account::AccountStatus;

use super::MemoryStore;
use crate::StoreError;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::refreshes::{
    DisconnectOutcome, DisconnectedLink, Refresh, RefreshOutcome, RefreshStart, RefreshedTokens, Refreshes,
};
use crate::rules::{self, Sending};

#[async_trait]
impl Refreshes for MemoryStore {
    async fn begin_refresh(&self, refresh: &Refresh) -> Result<RefreshStart, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let lease = &refresh.lease;
        let standing = state.standing(&lease.user, lease.account, now);
        let sends = match rules::send(refresh, standing.as_ref()) {
            Sending::Nothing(start) => return Ok(start),
            Sending::Counts(sends) => sends,
        };
        if let Some(upkeep) = state.upkeep.get_mut(&(lease.user.clone(), lease.account.as_str())) {
            upkeep.sent = Some((refresh.generation, sends, Some(refresh.sending)));
            upkeep.next_sync_at = upkeep.next_sync_at.min(now);
        }
        Ok(rules::permission(sends))
    }

    async fn undo_refresh(&self, refresh: &Refresh) -> Result<(), StoreError> {
        let mut state = self.state();
        let key = (refresh.lease.user.clone(), refresh.lease.account.as_str());
        let sent = state.upkeep.get_mut(&key).and_then(|upkeep| upkeep.sent.as_mut());
        if let Some((generation, sends, sending)) = sent
            && (*generation, *sending) == (refresh.generation, Some(refresh.sending))
        {
            *sends -= 1;
            *sending = None;
        }
        Ok(())
    }

    async fn finish_refresh(&self, refreshed: &RefreshedTokens) -> Result<RefreshOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let lease = &refreshed.lease;
        let standing = state.standing(&lease.user, lease.account, now);
        let is_current = |standing: &rules::Standing| standing.generation == refreshed.generation && !standing.is_lost;
        let generation = state.next_number();
        let key = (lease.user.clone(), lease.account.as_str());
        if standing.as_ref().is_some_and(is_current)
            && let Some(linked) = state.accounts.get_mut(&key)
        {
            linked.tokens = Some(refreshed.tokens.clone());
            linked.generation = generation;
            return Ok(RefreshOutcome::Stored(generation));
        }
        let linked = state.accounts.get(&key);
        if let Some(linked) = linked.filter(|linked| linked.tokens.as_ref() == Some(&refreshed.tokens)) {
            return Ok(RefreshOutcome::Stored(linked.generation));
        }
        state.revoke(&lease.user, Some(refreshed.revocation.clone()), now);
        Ok(RefreshOutcome::Superseded)
    }

    async fn mark_disconnected(
        &self,
        lost: &DisconnectedLink,
        receipt: &Receipt,
    ) -> Result<DisconnectOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let lease = &lost.lease;
        let Some(standing) = state.standing(&lease.user, lease.account, now) else {
            return Ok(DisconnectOutcome::NotConnected);
        };
        if standing.generation != lost.generation {
            return Ok(DisconnectOutcome::TokensReplaced);
        } else if standing.is_lost {
            return Ok(DisconnectOutcome::Disconnected);
        }
        let key = (lease.user.clone(), lease.account.as_str());
        if let Some(upkeep) = state.upkeep.get_mut(&key) {
            upkeep.lost_generation = Some(lost.generation);
            upkeep.leased_until = None;
        }
        if let Some(linked) = state.accounts.get_mut(&key) {
            linked.account.status = AccountStatus::Error;
            linked.account.error_message = Some(lost.error_message.clone());
            let entry = Entry::of_lost_link(lease.account, &linked.account.platform_user_id);
            state.audit(&self.audit, &lease.user, entry, receipt, now);
        }
        state.send(&lease.user, &lost.events, now);
        Ok(DisconnectOutcome::Disconnected)
    }
}
