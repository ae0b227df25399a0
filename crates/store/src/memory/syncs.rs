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
use crate::queue::PlatformCapacity;
use crate::syncs::{FinishedSync, LeasedSync, Pause, Paused, SyncLease, SyncLeaseOutcome, SyncOutcome, Syncs};

#[async_trait]
impl Syncs for MemoryStore {
    async fn lease_due_syncs(
        &self,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<LeasedSync>, StoreError> {
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
        let mut capacities = capacities.to_vec();
        let due = due
            .into_iter()
            .filter(|(_, _, account)| PlatformCapacity::fill(&mut capacities, *account));
        Ok(due
            .filter_map(|(_, user, account)| state.take(user, account, now + ttl, now))
            .collect())
    }

    async fn lease_sync(
        &self,
        (user, session): (&UserId, &SessionId),
        account: AccountType,
        ttl: Duration,
    ) -> Result<SyncLeaseOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("take the turn of a sync", user, Some(session))?;
        let Some(standing) = state.standing(user, account, now) else {
            return Ok(SyncLeaseOutcome::NotConnected);
        };
        if standing.is_lost {
            return Ok(SyncLeaseOutcome::Disconnected);
        } else if !standing.paused.is_zero() {
            return Ok(SyncLeaseOutcome::Paused(standing.paused));
        }
        let key = (user.clone(), account.as_str());
        if state.upkeep.get(&key).is_some_and(|upkeep| upkeep.is_leased(now)) {
            return Ok(SyncLeaseOutcome::Busy);
        }
        let taken = state.take(user.clone(), account, now + ttl, now);
        Ok(taken.map_or(SyncLeaseOutcome::NotConnected, |taken| {
            SyncLeaseOutcome::LeasedSync(Box::new(taken))
        }))
    }

    async fn renew_sync_lease(&self, lease: &SyncLease, ttl: Duration) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let key = (lease.user.clone(), lease.account.as_str());
        let upkeep = state.upkeep.get_mut(&key);
        let held = upkeep.filter(|upkeep| upkeep.fence == lease.fence);
        Ok(held.map(|upkeep| upkeep.leased_until = Some(now + ttl)).is_some())
    }

    async fn begin_sync(&self, lease: &SyncLease, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("announce the sync", &lease.user, Some(session))?;
        let standing = state.standing(&lease.user, lease.account, now);
        if standing.is_some_and(|standing| standing.fence == lease.fence) {
            state.send(&lease.user, std::slice::from_ref(syncing), now);
        }
        Ok(())
    }

    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let lease = &sync.lease;
        let begun = receipt.map_or(Ok(None), |receipt| {
            state.begin("store the sync", &lease.user, receipt, now)
        });
        match begun {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(SyncOutcome::Repeated(answer)),
            Err(_ended) => {
                if let Some(pause) = &sync.pause {
                    state.pause(lease, pause, now);
                }
                return Ok(SyncOutcome::SessionEnded);
            }
        }
        let standing = state.standing(&lease.user, lease.account, now);
        let is_ours = standing.is_some_and(|standing| standing.fence == lease.fence && !standing.is_lost);
        if is_ours {
            receipt.map_or(Ok(()), |receipt| in_time("store the sync", receipt))?;
            state.write_sync(sync, now);
        }
        if let Some(pause) = &sync.pause {
            state.pause(lease, pause, now);
        }
        if !is_ours {
            return Ok(SyncOutcome::Superseded);
        }
        state.send(&lease.user, &sync.events, now);
        if let Some(receipt) = receipt {
            state.remember(receipt, now);
        }
        Ok(SyncOutcome::Stored)
    }
}

impl State {
    fn take(&mut self, user: UserId, account: AccountType, until: SystemTime, now: SystemTime) -> Option<LeasedSync> {
        let fence = self.next_number();
        let key = (user.clone(), account.as_str());
        let found = self.accounts.get(&key)?.clone();
        let upkeep = self.upkeep.get_mut(&key)?;
        upkeep.fence = fence;
        upkeep.leased_until = Some(until);
        Some(LeasedSync {
            lease: SyncLease { user, account, fence },
            found,
            failures: upkeep.failures,
            late: now.duration_since(upkeep.next_sync_at).unwrap_or(Duration::ZERO),
        })
    }

    fn write_sync(&mut self, sync: &FinishedSync, now: SystemTime) {
        let key = (sync.lease.user.clone(), sync.lease.account.as_str());
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
    fn pause(&mut self, lease: &SyncLease, pause: &Pause, now: SystemTime) {
        let until = now + pause.wait;
        match pause.of {
            Paused::Account => {
                if let Some(upkeep) = self.upkeep.get_mut(&(lease.user.clone(), lease.account.as_str())) {
                    upkeep.paused_until = upkeep.paused_until.max(Some(until));
                    upkeep.next_sync_at = upkeep.next_sync_at.max(until);
                }
            }
            Paused::Platform => self.pause_platform(lease.account, until),
        }
    }
}
