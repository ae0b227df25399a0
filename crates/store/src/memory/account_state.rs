//! State of an account's lease and tokens.

use std::time::{Duration, SystemTime};

use protocol::account::AccountType;
use protocol::id::UserId;

use super::pauses::left;
use super::state::State;
use crate::rules::AccountState;

impl State {
    /// Remaining pause of the account or its platform, whichever is longer.
    pub(super) fn paused(&self, user: &UserId, account: AccountType, now: SystemTime) -> Duration {
        let key = (user.clone(), account.as_str());
        let own = self.syncs.get(&key).and_then(|sync_row| sync_row.paused_until);
        left(own, now).max(self.pause_left(account, now))
    }

    /// State of an account; none if it is not linked.
    pub(super) fn account_state(&self, user: &UserId, account: AccountType, now: SystemTime) -> Option<AccountState> {
        let linked = self.account(user, account)?;
        let sync_row = self.syncs.get(&(user.clone(), account.as_str()))?;
        let sent = sync_row
            .sent
            .filter(|(generation, _, _)| *generation == linked.generation);
        let (_, sends, attempt_id) = sent.unwrap_or((linked.generation, 0, None));
        Some(AccountState {
            fence: sync_row.fence,
            generation: linked.generation,
            is_disconnected: sync_row.disconnected_generation == Some(linked.generation),
            paused: self.paused(user, account, now),
            sends,
            attempt_id,
        })
    }
}
