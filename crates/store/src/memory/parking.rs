//! Parked links.

use std::time::SystemTime;

use async_trait::async_trait;
use protocol::id::UserId;

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::answers::{Actor, Receipt};
use crate::audit::Entry;
use crate::parking::{PendingLink, PendingLinkId, PendingLinkOutcome, PendingLinks};
use crate::vault::AuditKeys;

/// A parked link, and when its time is over.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) link: PendingLink,
    pub(super) ends_at: SystemTime,
}

#[async_trait]
impl PendingLinks for MemoryStore {
    async fn add_pending_link(
        &self,
        pending_link: &PendingLink,
        receipt: &Receipt,
    ) -> Result<PendingLinkOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        match state.begin("park the link", &pending_link.user, receipt, now) {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(PendingLinkOutcome::Repeated(answer)),
            Err(_ended) => {
                let entry = Entry::of_link_of_ended_session(&pending_link.account);
                state.audit(&self.audit, &pending_link.user, entry, receipt, now);
                state.revoke_issued(&pending_link.user, pending_link.revocation(), &receipt.job, now);
                return Ok(PendingLinkOutcome::SessionEnded);
            }
        }
        let is_in_time = state.withdraw(&receipt.job);
        if state.access_epoch(&pending_link.user) != pending_link.access_epoch {
            state.give_parked_back(&self.audit, pending_link, receipt, now);
            return Ok(PendingLinkOutcome::EpochMoved);
        }
        if !is_in_time {
            return Err(StoreError::TooLate("park the link"));
        }
        state.spare(
            pending_link.account.account_type,
            &pending_link.account.platform_user_id,
        );
        state.audit(
            &self.audit,
            &pending_link.user,
            Entry::of_parked_link(pending_link),
            receipt,
            now,
        );
        let number = state.next_number();
        let row = Pending {
            link: pending_link.clone(),
            ends_at: now + pending_link.lifetime,
        };
        state.pending_link.insert(number, row);
        state.remember(receipt, now);
        Ok(PendingLinkOutcome::Pending)
    }

    async fn pending_link(&self, user: &UserId, id: &PendingLinkId) -> Result<Option<PendingLink>, StoreError> {
        let now = self.now();
        let state = self.state();
        let mut pending_link = state.pending_link.values();
        let found = pending_link.find(|row| row.link.id == *id && row.link.user == *user && now < row.ends_at);
        Ok(found.map(|row| row.link.clone()))
    }

    async fn expire_pending_link(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let over = state.pending_link.iter().find(|(_, row)| row.ends_at <= now);
        let Some(number) = over.map(|(number, _)| *number) else {
            return Ok(false);
        };
        if let Some(Pending { link, .. }) = state.pending_link.remove(&number) {
            let receipt = Receipt {
                actor: Actor::System(link.session.clone()),
                ..receipt.clone()
            };
            let entry = Entry::of_unconfirmed_link(&link);
            state.audit(&self.audit, &link.user, entry, &receipt, now);
            state.revoke(&link.user, link.revocation(), now);
        }
        Ok(true)
    }
}

impl State {
    /// Takes a parked link whose time is not over; false where there is none.
    pub(super) fn take_parked(&mut self, user: &UserId, id: &PendingLinkId, now: SystemTime) -> bool {
        let before = self.pending_link.len();
        self.pending_link
            .retain(|_, row| row.link.id != *id || row.link.user != *user || row.ends_at <= now);
        self.pending_link.len() < before
    }

    /// Takes all that is parked for a user.
    pub(super) fn take_all_parked(&mut self, user: &UserId) -> Vec<PendingLink> {
        let theirs = self.pending_link.extract_if(.., |_, row| row.link.user == *user);
        theirs.map(|(_, row)| row.link).collect()
    }

    /// Moves the tokens of a parked link that was taken into a revocation, and tells it in the audit log.
    pub(super) fn give_parked_back(
        &mut self,
        keys: &AuditKeys,
        dropped: &PendingLink,
        receipt: &Receipt,
        now: SystemTime,
    ) {
        self.audit(keys, &dropped.user, Entry::of_dropped_link(dropped), receipt, now);
        self.revoke(&dropped.user, dropped.revocation(), now);
    }
}
