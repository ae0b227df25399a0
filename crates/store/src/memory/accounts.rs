//! Linked accounts.

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::id::UserId;

use super::rows::SyncRow;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::accounts::{
    Accounts, Credentials, Exchange, ExchangeStart, Link, LinkOutcome, RefusedLink, RevokeAll, RevokeAllOutcome,
    RevokeAllRecord, Unlink, UnlinkOutcome, WriteOutcome,
};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::operator::AccountOverview;
use crate::rules::{self, Admission};

#[async_trait]
impl Accounts for MemoryStore {
    async fn accounts(&self, user: &UserId) -> Result<Vec<UserAccount>, StoreError> {
        let state = self.state();
        Ok(state.accounts_of(user).map(|linked| linked.account.clone()).collect())
    }

    async fn account_states(&self, user: &UserId) -> Result<Vec<AccountOverview>, StoreError> {
        let state = self.state();
        let states = state.accounts_of(user).filter_map(|linked| {
            let account = linked.account.clone();
            let sync_row = state.syncs.get(&(user.clone(), account.account_type.as_str()))?;
            let tokens = linked.tokens.as_ref();
            Some(AccountOverview {
                account,
                is_disconnected: sync_row.disconnected_generation == Some(linked.generation),
                has_refresh_token: tokens.is_some_and(|tokens| tokens.refresh.is_some()),
                token_expires_at: tokens.and_then(|tokens| tokens.expires_at),
                next_sync_at: sync_row.next_sync_at.into(),
                failures: i32::try_from(sync_row.failures).unwrap_or(i32::MAX),
                paused_until: sync_row.paused_until.map(Into::into),
            })
        });
        Ok(states.collect())
    }

    async fn credentials(&self, user: &UserId, account: AccountType) -> Result<Option<Credentials>, StoreError> {
        Ok(self.state().account(user, account).cloned())
    }

    async fn access_epoch(&self, user: &UserId) -> Result<i64, StoreError> {
        Ok(self.state().access_epoch(user))
    }

    async fn begin_exchange(&self, exchange: &Exchange) -> Result<ExchangeStart, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let paused = state.pause_left(exchange.account, now);
        if !paused.is_zero() {
            return Ok(ExchangeStart::Paused(paused));
        }
        state.refuse_ended("begin the exchange", &exchange.user, Some(&exchange.session))?;
        let hashes = || std::iter::once(exchange.code_hash).chain(exchange.state_hash);
        if hashes().any(|hash| state.spent.contains_key(&hash)) {
            return Ok(ExchangeStart::Spent);
        }
        state.spent.extend(hashes().map(|hash| (hash, now)));
        Ok(ExchangeStart::First)
    }

    async fn link_account(&self, link: &Link, receipt: &Receipt) -> Result<LinkOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        match state.begin("store the link", &link.user, receipt, now) {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(LinkOutcome::Repeated(answer)),
            Err(_ended) => {
                let pending = link.pending_link.as_ref();
                if pending.is_none_or(|pending_link| state.consume_pending_link(&link.user, pending_link, now)) {
                    state.revoke_issued(&link.user, link.revocation.clone(), &receipt.job, now);
                    let entry = Entry::of_link_of_ended_session(&link.account);
                    state.audit(&self.audit, &link.user, entry, receipt, now);
                }
                return Ok(LinkOutcome::SessionEnded);
            }
        }
        if let Some(pending_link) = &link.pending_link {
            // A transaction after the deadline leaves the pending link unchanged.
            in_time("store the link", receipt)?;
            if !state.consume_pending_link(&link.user, pending_link, now) {
                return Ok(LinkOutcome::NotPending);
            }
        }
        let linked = state.account(&link.user, link.account.account_type);
        let linked = linked.cloned();
        let platform_user_id = linked.as_ref().map(|linked| linked.account.platform_user_id.as_str());
        let met = rules::admit(link, state.access_epoch(&link.user), platform_user_id);
        let outcome = match met {
            Admission::EpochMoved => Ok(LinkOutcome::EpochMoved),
            Admission::OtherAccount => Ok(LinkOutcome::AlreadyConnected),
            Admission::New | Admission::Renewal => in_time("store the link", receipt).map(|()| LinkOutcome::Linked),
        };
        let outcome = match outcome {
            Ok(LinkOutcome::Linked) if !state.withdraw(&receipt.job) => Err(StoreError::TooLate("store the link")),
            outcome => outcome,
        };
        let entry = match &outcome {
            Err(_too_late) => Entry::of_late_link(link),
            Ok(_) => Entry::of_link(link, met),
        };
        state.audit(&self.audit, &link.user, entry, receipt, now);
        if !matches!(outcome, Ok(LinkOutcome::Linked)) {
            state.revoke_issued(&link.user, link.revocation.clone(), &receipt.job, now);
            return outcome;
        }
        let mut account = link.account.clone();
        let replaced = linked.map(|before| {
            account.connected_at = before.account.connected_at;
            before.tokens
        });
        let replaced = replaced.flatten().map(|tokens| {
            let platform_user_id = account.platform_user_id.clone();
            tokens.revocation(account.account_type, platform_user_id)
        });
        state.narrow_revocations(account.account_type, &account.platform_user_id);
        let credentials = Credentials {
            generation: state.next_number(),
            tokens: link.tokens.clone(),
            cursor: None,
            account,
        };
        let key = (link.user.clone(), link.account.account_type.as_str());
        let fence = state.next_number();
        let sync_row = SyncRow::of_linked(fence, state.syncs.get(&key), now);
        state.syncs.insert(key.clone(), sync_row);
        state.accounts.insert(key, credentials);
        state.revoke(&link.user, replaced, now);
        state.send(&link.user, &link.events, now);
        state.remember(receipt, now);
        outcome
    }

    async fn refuse_link(&self, refused: &RefusedLink, receipt: &Receipt) -> Result<WriteOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        match state.begin("store the failed link", &refused.user, receipt, now) {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(WriteOutcome::Repeated(answer)),
            Err(_ended) => {
                state.revoke_issued(&refused.user, refused.revocation.clone(), &receipt.job, now);
                let entry = Entry::of_refused_link(refused);
                state.audit(&self.audit, &refused.user, entry, receipt, now);
                return Ok(WriteOutcome::Committed);
            }
        }
        in_time("store the failed link", receipt)?;
        let linked = state.account(&refused.user, refused.account);
        if rules::is_failure_published(linked.map(|linked| linked.account.status)) {
            state.send(&refused.user, std::slice::from_ref(&refused.event), now);
        }
        state.revoke_issued(&refused.user, refused.revocation.clone(), &receipt.job, now);
        let entry = Entry::of_refused_link(refused);
        state.audit(&self.audit, &refused.user, entry, receipt, now);
        state.remember(receipt, now);
        Ok(WriteOutcome::Committed)
    }

    async fn unlink_account(&self, unlink: &Unlink, receipt: &Receipt) -> Result<UnlinkOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        if let Some(answer) = state.begin("unlink the account", &unlink.user, receipt, now)? {
            return Ok(UnlinkOutcome::Repeated(answer));
        }
        if state.account(&unlink.user, unlink.account).is_none() {
            return Ok(UnlinkOutcome::NotConnected);
        }
        in_time("unlink the account", receipt)?;
        state.unlink(&self.audit, &unlink.user, unlink.account, receipt, now);
        state.send(&unlink.user, std::slice::from_ref(&unlink.event), now);
        state.remember(receipt, now);
        Ok(UnlinkOutcome::Unlinked)
    }

    async fn revoke_all(&self, all: &RevokeAll<'_>) -> Result<RevokeAllOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let linked: Vec<_> = state
            .accounts_of(&all.user)
            .map(|linked| linked.account.account_type)
            .collect();
        let RevokeAllRecord { events, receipt } = (all.record)(&linked);
        if let Some(answer) = state.begin("commit the revocation of all access", &all.user, &receipt, now)? {
            return Ok(RevokeAllOutcome::Repeated(answer));
        }
        if state.spent.contains_key(&all.confirmation) {
            return Ok(RevokeAllOutcome::Spent);
        }
        in_time("commit the revocation of all access", &receipt)?;
        state.spent.insert(all.confirmation, now);
        *state.access_epochs.entry(all.user.clone()).or_default() += 1;
        let pending_links = state.remove_pending_links(&all.user);
        for account in &linked {
            state.unlink(&self.audit, &all.user, *account, &receipt, now);
        }
        for pending_link in &pending_links {
            state.revoke_dropped_link(&self.audit, pending_link, &receipt, now);
        }
        let entry = Entry::of_revoked_access(linked.len());
        state.audit(&self.audit, &all.user, entry, &receipt, now);
        state.send(&all.user, &events, now);
        state.remember(&receipt, now);
        Ok(RevokeAllOutcome::Revoked(linked.len()))
    }
}
