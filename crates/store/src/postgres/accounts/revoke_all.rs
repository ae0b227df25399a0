//! `revoke_all`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::UserId;

use super::unlink::remove;
use crate::accounts::{RevokeAll, RevokeAllOutcome, RevokeAllRecord};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::pending_links::PendingLink;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::receipt::ReceiptCheck;
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, locks, outbox, pending_links, receipt, row};
use crate::vault::AuditKeys;

pub(super) struct RevokeEverything<'a> {
    pub(super) all: &'a RevokeAll<'a>,
    pub(super) audit: &'a AuditKeys,
}

#[async_trait]
impl Work for RevokeEverything<'_> {
    type Outcome = RevokeAllOutcome;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<RevokeAllOutcome>, Failure> {
        let RevokeAll {
            user,
            confirmation,
            record,
        } = self.all;
        // The actor and job of the receipt do not depend on the linked accounts.
        if let ReceiptCheck::Repeated(answer) = receipt::begin(tx, user, &record(&[]).receipt).await? {
            return Ok(Ending::RollBack(RevokeAllOutcome::Repeated(answer)));
        }
        let linked = linked(tx, user).await?;
        let accounts: Vec<_> = linked.iter().map(|(account, _)| *account).collect();
        let RevokeAllRecord { events, receipt } = record(&accounts);
        if !spend(tx, user, confirmation).await? {
            return Ok(Ending::RollBack(RevokeAllOutcome::Spent));
        }
        unlink_all(tx, self.audit, user, linked, &receipt).await?;
        let entry = Entry::of_revoked_access(accounts.len());
        audit::append(tx, self.audit, user, entry, &receipt).await?;
        outbox::send(tx, user, &events).await?;
        receipt::remember(tx, &receipt).await?;
        let revoked = RevokeAllOutcome::Revoked(accounts.len());
        Ok(Ending::CommitBefore(receipt.deadline, revoked))
    }
}

/// Unlinks all accounts of a user and drops the pending links, as [`RevokeEverything`] does. Returns the number of accounts. The caller
/// holds the lock of the user's head row.
pub(in crate::postgres) async fn unlink_everything(
    tx: &Transaction<'_>,
    keys: &AuditKeys,
    user: &UserId,
    receipt: &Receipt,
) -> Result<usize, Failure> {
    let linked = linked(tx, user).await?;
    let accounts = linked.len();
    unlink_all(tx, keys, user, linked, receipt).await?;
    Ok(accounts)
}

/// Unlinks these accounts, which are all of the user, and makes every authorization that has started end without a link.
async fn unlink_all(
    tx: &Transaction<'_>,
    keys: &AuditKeys,
    user: &UserId,
    linked: Vec<(AccountType, String)>,
    receipt: &Receipt,
) -> Result<(), Failure> {
    locks::move_access_epoch(tx, user).await?;
    let pending_links = pending_links::remove_all(tx, user).await?;
    lock_all(tx, &linked, &pending_links).await?;
    for (account, platform_user_id) in linked {
        remove(tx, keys, user, account, platform_user_id, receipt).await?;
    }
    for pending_link in &pending_links {
        pending_links::revoke_dropped(tx, keys, pending_link, receipt).await?;
    }
    Ok(())
}

/// Locks the platform accounts of all linked accounts and pending links, in the same order for every user.
async fn lock_all(
    tx: &Transaction<'_>,
    linked: &[(AccountType, String)],
    pending_links: &[PendingLink],
) -> Result<(), Failure> {
    let pending = pending_links.iter().map(|pending_link| &pending_link.account);
    let pending = pending.map(|account| (account.account_type, &account.platform_user_id));
    let linked = linked.iter().map(|(account, id)| (*account, id));
    let all: BTreeSet<_> = linked.chain(pending).collect();
    for (account, platform_user_id) in all {
        locks::lock_platform_account(tx, account, platform_user_id).await?;
    }
    Ok(())
}

/// Linked accounts of a user with their ids at the platforms.
async fn linked(tx: &Transaction<'_>, user: &UserId) -> Result<Vec<(AccountType, String)>, Failure> {
    let find =
        "SELECT account_type, platform_user_id FROM accounts WHERE user_id = $1 ORDER BY account_type COLLATE \"C\"";
    let rows = tx.query(find, &[&user.as_str()]).await?;
    let linked = |linked| Ok((row::account_type(linked)?, linked.try_get("platform_user_id")?));
    rows.iter().map(linked).collect()
}

/// Records the use of a confirmation; false if it was used before.
async fn spend(tx: &Transaction<'_>, user: &UserId, confirmation: &[u8; 32]) -> Result<bool, Failure> {
    let insert = "INSERT INTO confirmations (hash, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let inserted = tx.execute(insert, &[&confirmation.as_slice(), &user.as_str()]).await?;
    Ok(inserted == 1)
}
