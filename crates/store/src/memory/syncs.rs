//! Turns of syncs.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::id::{SessionId, UserId};

use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::answers::Receipt;
use crate::queue::Room;
use crate::syncs::{FinishedSync, Pause, Paused, SyncWritten, Syncs, Taken, Taking, Turn};

#[async_trait]
impl Syncs for MemoryStore {
    async fn take_due_turns(&self, rooms: &[Room], lease: Duration) -> Result<Vec<Taken>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let mut due: Vec<_> = state
            .accounts
            .iter()
            .filter(|(_, linked)| linked.tokens.is_some())
            .filter_map(|((user, _), linked)| {
                let account = linked.account.account_type;
                let key = (user.clone(), account.as_str());
                let upkeep = state.upkeep.get(&key).filter(|upkeep| {
                    upkeep.next_sync_at <= now
                        && !upkeep.is_leased(now)
                        && upkeep.lost_generation != Some(linked.generation)
                })?;
                let may = state.paused(user, account, now).is_zero();
                may.then(|| (upkeep.next_sync_at, user.clone(), account))
            })
            .collect();
        due.sort_by_key(|(since, ..)| *since);
        let mut rooms = rooms.to_vec();
        let due = due
            .into_iter()
            .filter(|(_, _, account)| Room::fill(&mut rooms, *account));
        Ok(due
            .filter_map(|(_, user, account)| state.take(user, account, now + lease, now))
            .collect())
    }

    async fn take_turn(
        &self,
        (user, session): (&UserId, &SessionId),
        account: AccountType,
        lease: Duration,
    ) -> Result<Taking, StoreError> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("take the turn of a sync", user, Some(session))?;
        let Some(standing) = state.standing(user, account, now) else {
            return Ok(Taking::NotConnected);
        };
        if standing.is_lost {
            return Ok(Taking::Lost);
        } else if !standing.paused.is_zero() {
            return Ok(Taking::Paused(standing.paused));
        }
        let key = (user.clone(), account.as_str());
        if state.upkeep.get(&key).is_some_and(|upkeep| upkeep.is_leased(now)) {
            return Ok(Taking::Busy);
        }
        let taken = state.take(user.clone(), account, now + lease, now);
        Ok(taken.map_or(Taking::NotConnected, |taken| Taking::Taken(Box::new(taken))))
    }

    async fn keep_turn(&self, turn: &Turn, lease: Duration) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let key = (turn.user.clone(), turn.account.as_str());
        let upkeep = state.upkeep.get_mut(&key);
        let held = upkeep.filter(|upkeep| upkeep.fence == turn.fence);
        Ok(held.map(|upkeep| upkeep.leased_until = Some(now + lease)).is_some())
    }

    async fn begin_sync(&self, turn: &Turn, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("announce the sync", &turn.user, Some(session))?;
        let standing = state.standing(&turn.user, turn.account, now);
        if standing.is_some_and(|standing| standing.fence == turn.fence) {
            state.send(&turn.user, std::slice::from_ref(syncing), now);
        }
        Ok(())
    }

    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncWritten, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let turn = &sync.turn;
        let begun = receipt.map_or(Ok(None), |receipt| {
            state.begin("store the sync", &turn.user, receipt, now)
        });
        match begun {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(SyncWritten::Repeated(answer)),
            Err(_ended) => {
                if let Some(pause) = &sync.pause {
                    state.pause(turn, pause, now);
                }
                return Ok(SyncWritten::SessionEnded);
            }
        }
        let standing = state.standing(&turn.user, turn.account, now);
        let is_ours = standing.is_some_and(|standing| standing.fence == turn.fence && !standing.is_lost);
        if is_ours {
            receipt.map_or(Ok(()), |receipt| in_time("store the sync", receipt))?;
            state.write_sync(sync, now);
        }
        if let Some(pause) = &sync.pause {
            state.pause(turn, pause, now);
        }
        if !is_ours {
            return Ok(SyncWritten::Overtaken);
        }
        state.send(&turn.user, &sync.events, now);
        if let Some(receipt) = receipt {
            state.remember(receipt, now);
        }
        Ok(SyncWritten::Stored)
    }
}

impl State {
    fn take(&mut self, user: UserId, account: AccountType, until: SystemTime, now: SystemTime) -> Option<Taken> {
        let fence = self.next_number();
        let key = (user.clone(), account.as_str());
        let found = self.accounts.get(&key)?.clone();
        let upkeep = self.upkeep.get_mut(&key)?;
        upkeep.fence = fence;
        upkeep.leased_until = Some(until);
        Some(Taken {
            turn: Turn { user, account, fence },
            found,
            failures: upkeep.failures,
            late: now.duration_since(upkeep.next_sync_at).unwrap_or(Duration::ZERO),
        })
    }

    fn write_sync(&mut self, sync: &FinishedSync, now: SystemTime) {
        let key = (sync.turn.user.clone(), sync.turn.account.as_str());
        if let Some(linked) = self.accounts.get_mut(&key) {
            linked.account = UserAccount {
                platform_user_id: linked.account.platform_user_id.clone(),
                connected_at: linked.account.connected_at,
                ..sync.account.clone()
            };
            if let Some(cursor) = &sync.cursor {
                linked.cursor = Some(cursor.clone());
            }
        }
        if let Some(upkeep) = self.upkeep.get_mut(&key) {
            upkeep.leased_until = None;
            upkeep.failures = sync.failures;
            upkeep.next_sync_at = now + sync.next_sync;
        }
    }

    /// Whoever has the turn by now: the platform asks all of us.
    fn pause(&mut self, turn: &Turn, pause: &Pause, now: SystemTime) {
        let until = now + pause.wait;
        match pause.of {
            Paused::Account => {
                if let Some(upkeep) = self.upkeep.get_mut(&(turn.user.clone(), turn.account.as_str())) {
                    upkeep.paused_until = upkeep.paused_until.max(Some(until));
                    upkeep.next_sync_at = upkeep.next_sync_at.max(until);
                }
            }
            Paused::Platform => self.pause_platform(turn.account, until),
        }
    }
}
