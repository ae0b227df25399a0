//! `unlink_account`.

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::UserId;
use tokio::time::Instant;

use super::linked;
use crate::accounts::{Unlink, UnlinkOutcome};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::receipt::ReceiptCheck;
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, locks, outbox, queue, receipt, row};
use crate::vault::AuditKeys;

pub(super) struct UnlinkAccount<'a> {
    pub(super) unlink: &'a Unlink,
    pub(super) receipt: &'a Receipt,
    pub(super) audit: &'a AuditKeys,
}

#[async_trait]
impl Work for UnlinkAccount<'_> {
    type Outcome = UnlinkOutcome;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<UnlinkOutcome>, Failure> {
        let Self { unlink, receipt, audit } = self;
        let Unlink { user, account, event } = unlink;
        if let ReceiptCheck::Repeated(answer) = receipt::begin(tx, user, receipt).await? {
            return Ok(Ending::RollBack(UnlinkOutcome::Repeated(answer)));
        }
        let Some(linked) = linked(tx, user, *account).await? else {
            return Ok(Ending::RollBack(UnlinkOutcome::NotConnected));
        };
        let id = linked.try_get("platform_user_id")?;
        remove(tx, audit, user, *account, id, receipt).await?;
        outbox::send(tx, user, std::slice::from_ref(event)).await?;
        receipt::remember(tx, receipt).await?;
        Ok(Ending::CommitBefore(receipt.deadline, UnlinkOutcome::Unlinked))
    }
}

/// Deletes an account, moves its tokens into a revocation, and records it in the audit log. The caller holds the lock of the
/// user's head row.
pub(super) async fn remove(
    tx: &Transaction<'_>,
    keys: &AuditKeys,
    user: &UserId,
    account: AccountType,
    platform_user_id: String,
    receipt: &Receipt,
) -> Result<(), Failure> {
    locks::lock_platform_account(tx, account, &platform_user_id).await?;
    let delete = "DELETE FROM accounts WHERE user_id = $1 AND account_type = $2 \
             RETURNING access_token, refresh_token, token_expires_at";
    let deleted = tx.query_one(delete, &[&user.as_str(), &account.as_str()]).await?;
    let entry = Entry::of_unlinked(account, &platform_user_id);
    audit::append(tx, keys, user, entry, receipt).await?;
    let tokens = row::tokens(&deleted)?;
    let revocation = tokens.map(|tokens| tokens.revocation(account, platform_user_id));
    queue::revoke(tx, user, revocation.as_ref()).await
}
