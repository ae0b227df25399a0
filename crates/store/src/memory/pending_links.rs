//! Pending links.

use std::time::SystemTime;

use async_trait::async_trait;
use protocol::id::UserId;

use super::MemoryStore;
use super::rows::PendingLinkRow;
use super::state::State;
use crate::StoreError;
use crate::answers::{Actor, Receipt};
use crate::audit::Entry;
use crate::pending_links::{PendingLink, PendingLinkId, PendingLinkOutcome, PendingLinks};
use crate::vault::AuditKeys;

#[async_trait]
impl PendingLinks for MemoryStore {
    async fn add_pending_link(
        &self,
        pending_link: &PendingLink,
        receipt: &Receipt,
    ) -> Result<PendingLinkOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        match state.begin("store the pending link", &pending_link.user, receipt, now) {
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
            state.revoke_dropped_link(&self.audit, pending_link, receipt, now);
            return Ok(PendingLinkOutcome::EpochMoved);
        }
        if !is_in_time {
            return Err(StoreError::TooLate("store the pending link"));
        }
        state.narrow_revocations(
            pending_link.account.account_type,
            &pending_link.account.platform_user_id,
        );
        state.audit(
            &self.audit,
            &pending_link.user,
            Entry::of_pending_link(pending_link),
            receipt,
            now,
        );
        let number = state.next_number();
        let row = PendingLinkRow {
            link: pending_link.clone(),
            expires_at: now + pending_link.lifetime,
        };
        state.pending_links.insert(number, row);
        state.remember(receipt, now);
        Ok(PendingLinkOutcome::Pending)
    }

    async fn pending_link(&self, user: &UserId, id: &PendingLinkId) -> Result<Option<PendingLink>, StoreError> {
        let now = self.now();
        let state = self.state();
        let mut pending_links = state.pending_links.values();
        let found = pending_links.find(|row| row.link.id == *id && row.link.user == *user && now < row.expires_at);
        Ok(found.map(|row| row.link.clone()))
    }

    async fn expire_pending_link(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let expired = state.pending_links.iter().find(|(_, row)| row.expires_at <= now);
        let Some(number) = expired.map(|(number, _)| *number) else {
            return Ok(false);
        };
        if let Some(PendingLinkRow { link, .. }) = state.pending_links.remove(&number) {
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
    /// Removes a pending link that has not expired; false if there is none.
    pub(super) fn consume_pending_link(&mut self, user: &UserId, id: &PendingLinkId, now: SystemTime) -> bool {
        let before = self.pending_links.len();
        self.pending_links
            .retain(|_, row| row.link.id != *id || row.link.user != *user || row.expires_at <= now);
        self.pending_links.len() < before
    }

    /// Removes all pending links of a user.
    pub(super) fn remove_pending_links(&mut self, user: &UserId) -> Vec<PendingLink> {
        let theirs = self.pending_links.extract_if(.., |_, row| row.link.user == *user);
        theirs.map(|(_, row)| row.link).collect()
    }

    /// Moves the tokens of a removed pending link into a revocation and records it in the audit log.
    pub(super) fn revoke_dropped_link(
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
