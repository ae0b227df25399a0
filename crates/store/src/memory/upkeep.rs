//! What is kept of an account's turns and tokens.

use std::time::{Duration, SystemTime};

use protocol::account::AccountType;
use protocol::id::UserId;

use super::pauses::left;
use super::state::State;
use crate::rules::{FIRST_SYNC, Standing};

/// Beside each account.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) fence: i64,
    pub(super) leased_until: Option<SystemTime>,
    pub(super) next_sync_at: SystemTime,
    pub(super) failures: u32,
    pub(super) paused_until: Option<SystemTime>,
    pub(super) lost_generation: Option<i64>,
    /// The refresh token of which generation was sent, how often, and what the last sending was called.
    pub(super) sent: Option<(i64, u32, Option<i64>)>,
}

impl Upkeep {
    /// Of an account that was just linked. What its platform asked to wait goes on.
    pub(super) fn of_linked(fence: i64, before: Option<&Self>, now: SystemTime) -> Self {
        Self {
            fence,
            leased_until: None,
            next_sync_at: now + FIRST_SYNC,
            failures: 0,
            paused_until: before.and_then(|before| before.paused_until),
            lost_generation: None,
            sent: None,
        }
    }

    pub(super) fn is_leased(&self, now: SystemTime) -> bool {
        self.leased_until.is_some_and(|until| now < until)
    }
}

impl State {
    /// What is left of the account's pause or the platform's.
    pub(super) fn paused(&self, user: &UserId, account: AccountType, now: SystemTime) -> Duration {
        let key = (user.clone(), account.as_str());
        let own = self.upkeep.get(&key).and_then(|upkeep| upkeep.paused_until);
        left(own, now).max(self.pause_left(account, now))
    }

    /// None: the account is not linked.
    pub(super) fn standing(&self, user: &UserId, account: AccountType, now: SystemTime) -> Option<Standing> {
        let linked = self.account(user, account)?;
        let upkeep = self.upkeep.get(&(user.clone(), account.as_str()))?;
        let sent = upkeep
            .sent
            .filter(|(generation, _, _)| *generation == linked.generation);
        let (_, sends, sending) = sent.unwrap_or((linked.generation, 0, None));
        Some(Standing {
            fence: upkeep.fence,
            generation: linked.generation,
            is_lost: upkeep.lost_generation == Some(linked.generation),
            paused: self.paused(user, account, now),
            sends,
            sending,
        })
    }
}
