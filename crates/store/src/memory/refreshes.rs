//! Refreshes.

use async_trait::async_trait;
use protocol::account::AccountStatus;

use super::MemoryStore;
use crate::StoreError;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::refreshes::{LossWritten, LostLink, Refresh, RefreshStart, RefreshWritten, Refreshed, Refreshes};
use crate::rules::{self, Sending};

#[async_trait]
impl Refreshes for MemoryStore {
    async fn begin_refresh(&self, refresh: &Refresh) -> Result<RefreshStart, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let turn = &refresh.turn;
        let standing = state.standing(&turn.user, turn.account, now);
        let sends = match rules::send(refresh, standing.as_ref()) {
            Sending::Nothing(start) => return Ok(start),
            Sending::Counts(sends) => sends,
        };
        if let Some(upkeep) = state.upkeep.get_mut(&(turn.user.clone(), turn.account.as_str())) {
            upkeep.sent = Some((refresh.generation, sends, Some(refresh.sending)));
            upkeep.next_sync_at = upkeep.next_sync_at.min(now);
        }
        Ok(rules::permission(sends))
    }

    async fn undo_refresh(&self, refresh: &Refresh) -> Result<(), StoreError> {
        let mut state = self.state();
        let key = (refresh.turn.user.clone(), refresh.turn.account.as_str());
        let sent = state.upkeep.get_mut(&key).and_then(|upkeep| upkeep.sent.as_mut());
        if let Some((generation, sends, sending)) = sent
            && (*generation, *sending) == (refresh.generation, Some(refresh.sending))
        {
            *sends -= 1;
            *sending = None;
        }
        Ok(())
    }

    async fn finish_refresh(&self, refreshed: &Refreshed) -> Result<RefreshWritten, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let turn = &refreshed.turn;
        let standing = state.standing(&turn.user, turn.account, now);
        let is_current = |standing: &rules::Standing| standing.generation == refreshed.generation && !standing.is_lost;
        let generation = state.next_number();
        let key = (turn.user.clone(), turn.account.as_str());
        if standing.as_ref().is_some_and(is_current)
            && let Some(linked) = state.accounts.get_mut(&key)
        {
            linked.tokens = Some(refreshed.tokens.clone());
            linked.generation = generation;
            return Ok(RefreshWritten::Stored(generation));
        }
        let linked = state.accounts.get(&key);
        if let Some(linked) = linked.filter(|linked| linked.tokens.as_ref() == Some(&refreshed.tokens)) {
            return Ok(RefreshWritten::Stored(linked.generation));
        }
        state.revoke(&turn.user, Some(refreshed.give_back.clone()), now);
        Ok(RefreshWritten::Overtaken)
    }

    async fn lose_link(&self, lost: &LostLink, receipt: &Receipt) -> Result<LossWritten, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let turn = &lost.turn;
        let Some(standing) = state.standing(&turn.user, turn.account, now) else {
            return Ok(LossWritten::NotConnected);
        };
        if standing.generation != lost.generation {
            return Ok(LossWritten::Moved);
        } else if standing.is_lost {
            return Ok(LossWritten::Lost);
        }
        let key = (turn.user.clone(), turn.account.as_str());
        if let Some(upkeep) = state.upkeep.get_mut(&key) {
            upkeep.lost_generation = Some(lost.generation);
            upkeep.leased_until = None;
        }
        if let Some(linked) = state.accounts.get_mut(&key) {
            linked.account.status = AccountStatus::Error;
            linked.account.error_message = Some(lost.error_message.clone());
            let entry = Entry::of_lost_link(turn.account, &linked.account.platform_user_id);
            state.audit(&self.audit, &turn.user, entry, receipt, now);
        }
        state.send(&turn.user, &lost.events, now);
        Ok(LossWritten::Lost)
    }
}
