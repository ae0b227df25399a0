//! Token refreshes.

use async_trait::async_trait;
use protocol::account::AccountStatus;

use super::MemoryStore;
use crate::StoreError;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::refreshes::{
    DisconnectOutcome, DisconnectedLink, Refresh, RefreshOutcome, RefreshStart, RefreshedTokens, Refreshes,
};
use crate::rules::{self, RefreshDecision};

#[async_trait]
impl Refreshes for MemoryStore {
    async fn begin_refresh(&self, refresh: &Refresh) -> Result<RefreshStart, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let lease = &refresh.lease;
        let account_state = state.account_state(&lease.user, lease.account, now);
        let sends = match rules::decide_refresh(refresh, account_state.as_ref()) {
            RefreshDecision::Reply(start) => return Ok(start),
            RefreshDecision::Record(sends) => sends,
        };
        if let Some(sync_row) = state.syncs.get_mut(&(lease.user.clone(), lease.account.as_str())) {
            sync_row.sent = Some((refresh.generation, sends, Some(refresh.attempt_id)));
            sync_row.next_sync_at = sync_row.next_sync_at.min(now);
        }
        Ok(rules::permission(sends))
    }

    async fn undo_refresh(&self, refresh: &Refresh) -> Result<(), StoreError> {
        let mut state = self.state();
        let key = (refresh.lease.user.clone(), refresh.lease.account.as_str());
        let sent = state.syncs.get_mut(&key).and_then(|sync_row| sync_row.sent.as_mut());
        if let Some((generation, sends, attempt_id)) = sent
            && (*generation, *attempt_id) == (refresh.generation, Some(refresh.attempt_id))
        {
            *sends -= 1;
            *attempt_id = None;
        }
        Ok(())
    }

    async fn finish_refresh(&self, refreshed: &RefreshedTokens) -> Result<RefreshOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let lease = &refreshed.lease;
        let account_state = state.account_state(&lease.user, lease.account, now);
        let is_current = |account_state: &rules::AccountState| {
            account_state.generation == refreshed.generation && !account_state.is_disconnected
        };
        let generation = state.next_number();
        let key = (lease.user.clone(), lease.account.as_str());
        if account_state.as_ref().is_some_and(is_current)
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
        let Some(account_state) = state.account_state(&lease.user, lease.account, now) else {
            return Ok(DisconnectOutcome::NotConnected);
        };
        if account_state.generation != lost.generation {
            return Ok(DisconnectOutcome::TokensReplaced);
        } else if account_state.is_disconnected {
            return Ok(DisconnectOutcome::Disconnected);
        }
        let key = (lease.user.clone(), lease.account.as_str());
        if let Some(sync_row) = state.syncs.get_mut(&key) {
            sync_row.disconnected_generation = Some(lost.generation);
            sync_row.leased_until = None;
        }
        if let Some(linked) = state.accounts.get_mut(&key) {
            linked.account.status = AccountStatus::Error;
            linked.account.error_message = Some(lost.error_message.clone());
            let entry = Entry::of_disconnected_link(lease.account, &linked.account.platform_user_id);
            state.audit(&self.audit, &lease.user, entry, receipt, now);
        }
        state.send(&lease.user, &lost.events, now);
        Ok(DisconnectOutcome::Disconnected)
    }
}
