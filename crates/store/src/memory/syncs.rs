//! Sync leases.

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
use crate::syncs::{FinishedSync, LeasedSync, Pause, PauseScope, SyncLease, SyncLeaseOutcome, SyncOutcome, Syncs};

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
                let sync_row = state.syncs.get(&key).filter(|sync_row| {
                    sync_row.next_sync_at <= now
                        && !sync_row.is_leased(now)
                        && sync_row.disconnected_generation != Some(linked.generation)
                })?;
                let may = state.paused(user, account, now).is_zero();
                may.then(|| (sync_row.next_sync_at, user.clone(), account))
            })
            .collect();
        due.sort_by_key(|(since, ..)| *since);
        let mut capacities = capacities.to_vec();
        let due = due
            .into_iter()
            .filter(|(_, _, account)| PlatformCapacity::take_permit(&mut capacities, *account));
        Ok(due
            .filter_map(|(_, user, account)| state.lease(user, account, now + ttl, now))
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
        state.refuse_ended("lease a sync", user, Some(session))?;
        let Some(account_state) = state.account_state(user, account, now) else {
            return Ok(SyncLeaseOutcome::NotConnected);
        };
        if account_state.is_disconnected {
            return Ok(SyncLeaseOutcome::Disconnected);
        } else if !account_state.paused.is_zero() {
            return Ok(SyncLeaseOutcome::Paused(account_state.paused));
        }
        let key = (user.clone(), account.as_str());
        if state.syncs.get(&key).is_some_and(|sync_row| sync_row.is_leased(now)) {
            return Ok(SyncLeaseOutcome::Busy);
        }
        let taken = state.lease(user.clone(), account, now + ttl, now);
        Ok(taken.map_or(SyncLeaseOutcome::NotConnected, |taken| {
            SyncLeaseOutcome::Leased(Box::new(taken))
        }))
    }

    async fn renew_sync_lease(&self, lease: &SyncLease, ttl: Duration) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let key = (lease.user.clone(), lease.account.as_str());
        let sync_row = state.syncs.get_mut(&key);
        let leased = sync_row.filter(|sync_row| sync_row.fence == lease.fence);
        Ok(leased.map(|sync_row| sync_row.leased_until = Some(now + ttl)).is_some())
    }

    async fn begin_sync(&self, lease: &SyncLease, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("announce the sync", &lease.user, Some(session))?;
        let account_state = state.account_state(&lease.user, lease.account, now);
        if account_state.is_some_and(|account_state| account_state.fence == lease.fence) {
            state.send(&lease.user, std::slice::from_ref(syncing), now);
        }
        Ok(())
    }

    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let lease = &sync.lease;
        let previous = receipt.map_or(Ok(None), |receipt| {
            state.begin("store the sync", &lease.user, receipt, now)
        });
        match previous {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(SyncOutcome::Repeated(answer)),
            Err(_ended) => {
                if let Some(pause) = &sync.pause {
                    state.pause(lease, pause, now);
                }
                return Ok(SyncOutcome::SessionEnded);
            }
        }
        let account_state = state.account_state(&lease.user, lease.account, now);
        let is_ours = account_state
            .is_some_and(|account_state| account_state.fence == lease.fence && !account_state.is_disconnected);
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
    fn lease(&mut self, user: UserId, account: AccountType, until: SystemTime, now: SystemTime) -> Option<LeasedSync> {
        let fence = self.next_number();
        let key = (user.clone(), account.as_str());
        let found = self.accounts.get(&key)?.clone();
        let sync_row = self.syncs.get_mut(&key)?;
        sync_row.fence = fence;
        sync_row.leased_until = Some(until);
        Some(LeasedSync {
            lease: SyncLease { user, account, fence },
            found,
            failures: sync_row.failures,
            late: now.duration_since(sync_row.next_sync_at).unwrap_or(Duration::ZERO),
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
        if let Some(sync_row) = self.syncs.get_mut(&key) {
            sync_row.leased_until = None;
            sync_row.failures = sync.failures;
            sync_row.next_sync_at = now + sync.next_sync;
        }
    }

    /// Applies a pause, whichever worker has the lease now: the platform asks all workers to wait.
    fn pause(&mut self, lease: &SyncLease, pause: &Pause, now: SystemTime) {
        let until = now + pause.wait;
        match pause.scope {
            PauseScope::Account => {
                if let Some(sync_row) = self.syncs.get_mut(&(lease.user.clone(), lease.account.as_str())) {
                    sync_row.paused_until = sync_row.paused_until.max(Some(until));
                    sync_row.next_sync_at = sync_row.next_sync_at.max(until);
                }
            }
            PauseScope::Platform => self.pause_platform(lease.account, until),
        }
    }
}
