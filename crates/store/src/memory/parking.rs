//! Parked links.

use std::time::SystemTime;

use async_trait::async_trait;
use protocol::id::UserId;

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::answers::{Actor, Receipt};
use crate::audit::Entry;
use crate::parking::{ParkOutcome, ParkedId, ParkedLink, Parking};
use crate::vault::AuditKeys;

/// A parked link, and when its time is over.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) link: ParkedLink,
    pub(super) ends_at: SystemTime,
}

#[async_trait]
impl Parking for MemoryStore {
    async fn park_link(&self, parked: &ParkedLink, receipt: &Receipt) -> Result<ParkOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        match state.begin("park the link", &parked.user, receipt, now) {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(ParkOutcome::Repeated(answer)),
            Err(_ended) => {
                let entry = Entry::of_link_of_ended_session(&parked.account);
                state.audit(&self.audit, &parked.user, entry, receipt, now);
                state.revoke_issued(&parked.user, parked.give_back(), &receipt.job, now);
                return Ok(ParkOutcome::SessionEnded);
            }
        }
        let is_in_time = state.withdraw(&receipt.job);
        if state.access_epoch(&parked.user) != parked.access_epoch {
            state.give_parked_back(&self.audit, parked, receipt, now);
            return Ok(ParkOutcome::EpochMoved);
        }
        if !is_in_time {
            return Err(StoreError::TooLate("park the link"));
        }
        state.spare(parked.account.account_type, &parked.account.platform_user_id);
        state.audit(&self.audit, &parked.user, Entry::of_parked_link(parked), receipt, now);
        let number = state.next_number();
        let row = Parked {
            link: parked.clone(),
            ends_at: now + parked.lasts,
        };
        state.parked.insert(number, row);
        state.remember(receipt, now);
        Ok(ParkOutcome::Parked)
    }

    async fn parked_link(&self, user: &UserId, id: &ParkedId) -> Result<Option<ParkedLink>, StoreError> {
        let now = self.now();
        let state = self.state();
        let mut parked = state.parked.values();
        let found = parked.find(|row| row.link.id == *id && row.link.user == *user && now < row.ends_at);
        Ok(found.map(|row| row.link.clone()))
    }

    async fn end_parked_link(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let over = state.parked.iter().find(|(_, row)| row.ends_at <= now);
        let Some(number) = over.map(|(number, _)| *number) else {
            return Ok(false);
        };
        if let Some(Parked { link, .. }) = state.parked.remove(&number) {
            let receipt = Receipt {
                actor: Actor::System(link.session.clone()),
                ..receipt.clone()
            };
            let entry = Entry::of_unconfirmed_link(&link);
            state.audit(&self.audit, &link.user, entry, &receipt, now);
            state.revoke(&link.user, link.give_back(), now);
        }
        Ok(true)
    }
}

impl State {
    /// Takes a parked link whose time is not over; false where there is none.
    pub(super) fn take_parked(&mut self, user: &UserId, id: &ParkedId, now: SystemTime) -> bool {
        let before = self.parked.len();
        self.parked
            .retain(|_, row| row.link.id != *id || row.link.user != *user || row.ends_at <= now);
        self.parked.len() < before
    }

    /// Takes all that is parked for a user.
    pub(super) fn take_all_parked(&mut self, user: &UserId) -> Vec<ParkedLink> {
        let theirs = self.parked.extract_if(.., |_, row| row.link.user == *user);
        theirs.map(|(_, row)| row.link).collect()
    }

    /// Moves the tokens of a parked link that was taken into a revocation, and tells it in the audit log.
    pub(super) fn give_parked_back(
        &mut self,
        keys: &AuditKeys,
        dropped: &ParkedLink,
        receipt: &Receipt,
        now: SystemTime,
    ) {
        self.audit(keys, &dropped.user, Entry::of_dropped_link(dropped), receipt, now);
        self.revoke(&dropped.user, dropped.give_back(), now);
    }
}
