//! Revocations of grants: queued, narrowed and withdrawn by the transactions of other roles.

use std::time::SystemTime;

use protocol::account::AccountType;
use protocol::id::{JobId, UserId};

use super::rows::TaskRow;
use super::state::State;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::rules;
use crate::tokens::{Revocation, RevokeScope};
use crate::vault::AuditKeys;

impl State {
    /// Deletes an account, moves its tokens, if any, into a revocation, and records it in the audit log.
    pub(super) fn unlink(
        &mut self,
        keys: &AuditKeys,
        user: &UserId,
        account: AccountType,
        receipt: &Receipt,
        now: SystemTime,
    ) {
        let key = (user.clone(), account.as_str());
        self.syncs.remove(&key);
        if let Some(linked) = self.accounts.remove(&key) {
            let entry = Entry::of_unlinked(account, &linked.account.platform_user_id);
            self.audit(keys, user, entry, receipt, now);
            let tokens = linked.tokens;
            let revocation = tokens.map(|tokens| tokens.revocation(account, linked.account.platform_user_id));
            self.revoke(user, revocation, now);
        }
    }

    /// Queues a revocation, if there is one, narrowed if other links, pending ones included, of the same platform account exist.
    pub(super) fn revoke(&mut self, user: &UserId, revocation: Option<Revocation>, now: SystemTime) {
        let Some(mut revocation) = revocation else { return };
        let shared = self.is_linked(revocation.account, &revocation.platform_user_id);
        revocation.scope = rules::narrowed(revocation.scope, shared);
        let number = self.next_number();
        self.tasks.insert(number, TaskRow::new(user, revocation, now));
    }

    /// Same as [`Self::revoke`], for what the job's exchange issued: also removes the provisional revocation.
    pub(super) fn revoke_issued(&mut self, user: &UserId, issued: Option<Revocation>, job: &JobId, now: SystemTime) {
        self.withdraw(job);
        self.revoke(user, issued, now);
    }

    /// Removes the provisional revocation of what the job's exchange issued. False if it has started.
    pub(super) fn withdraw(&mut self, job: &JobId) -> bool {
        let mut withdrawn = self.tasks.extract_if(.., |_, task| task.job.as_ref() == Some(job));
        withdrawn.all(|(_, task)| task.tries == 0)
    }

    /// Reports whether the platform account is linked or has a pending link.
    pub(super) fn is_linked(&self, account: AccountType, platform_user_id: &str) -> bool {
        let linked = self.accounts.values().map(|linked| &linked.account);
        let mut all = linked.chain(
            self.pending_links
                .values()
                .map(|pending_link| &pending_link.link.account),
        );
        all.any(|linked| linked.account_type == account && linked.platform_user_id == platform_user_id)
    }

    /// Narrows queued revocations so that they do not end another link of the same platform account.
    pub(super) fn narrow_revocations(&mut self, account: AccountType, platform_user_id: &str) {
        let pending = self.tasks.values_mut().filter(|task| task.dead_at.is_none());
        let pending = pending.map(|task| &mut task.revocation);
        for revocation in pending.filter(|it| it.account == account && it.platform_user_id == platform_user_id) {
            revocation.scope = RevokeScope::Token;
        }
    }
}
