//! `link_account`.

use async_trait::async_trait;
use tokio::time::Instant;

use super::linked;
use crate::accounts::{Link, LinkOutcome};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::receipt::ReceiptCheck;
use crate::postgres::row::{token_columns, tokens, written};
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, locks, outbox, pending_links, queue, receipt};
use crate::rules::{self, Admission};
use crate::vault::AuditKeys;

pub(super) struct LinkAccount<'a> {
    pub(super) link: &'a Link,
    pub(super) receipt: &'a Receipt,
    pub(super) audit: &'a AuditKeys,
}

#[async_trait]
impl Work for LinkAccount<'_> {
    type Outcome = LinkOutcome;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<LinkOutcome>, Failure> {
        let Self { link, receipt, audit } = self;
        let access_epoch = match receipt::begin(tx, &link.user, receipt).await {
            Ok(ReceiptCheck::New(access_epoch)) => access_epoch,
            Ok(ReceiptCheck::Repeated(answer)) => return Ok(Ending::RollBack(LinkOutcome::Repeated(answer))),
            Err(Failure::SessionEnded) => {
                self.revoke_for_ended_session(tx).await?;
                return Ok(Ending::Commit(LinkOutcome::SessionEnded));
            }
            Err(failure) => return Err(failure),
        };
        if let Some(pending_link) = &link.pending_link
            && !pending_links::consume(tx, &link.user, pending_link).await?
        {
            return Ok(Ending::RollBack(LinkOutcome::NotPending));
        }
        locks::lock_platform_account(tx, link.account.account_type, &link.account.platform_user_id).await?;
        let found = linked(tx, &link.user, link.account.account_type).await?;
        let linked: Option<&str> = found.as_ref().map(|row| row.try_get("platform_user_id")).transpose()?;
        let met = rules::admit(link, access_epoch, linked);
        audit::append(tx, audit, &link.user, Entry::of_link(link, met), receipt).await?;
        let refusal = match met {
            Admission::EpochMoved => LinkOutcome::EpochMoved,
            Admission::OtherAccount => LinkOutcome::AlreadyConnected,
            Admission::New | Admission::Renewal => {
                write(tx, link).await?;
                let replaced = found.as_ref().map(tokens).transpose()?.flatten();
                let replaced = replaced.map(|tokens| {
                    let platform_user_id = link.account.platform_user_id.clone();
                    tokens.revocation(link.account.account_type, platform_user_id)
                });
                queue::revoke(tx, &link.user, replaced.as_ref()).await?;
                if !queue::withdraw(tx, &receipt.job).await? {
                    return Err(Failure::TooLate);
                }
                queue::narrow_revocations(tx, link.account.account_type, &link.account.platform_user_id).await?;
                outbox::send(tx, &link.user, &link.events).await?;
                receipt::remember(tx, receipt).await?;
                return Ok(Ending::CommitBefore(receipt.deadline, LinkOutcome::Linked));
            }
        };
        // The client receives this refusal even after the deadline, and may repeat the command: no answer is stored.
        queue::revoke_issued(tx, &link.user, link.revocation.as_ref(), &receipt.job).await?;
        Ok(Ending::Commit(refusal))
    }
}

impl LinkAccount<'_> {
    /// Queues the revocation after the session that asked has ended. A pending link is removed.
    async fn revoke_for_ended_session(&self, tx: &Transaction<'_>) -> Result<(), Failure> {
        let Self { link, receipt, audit } = self;
        if let Some(pending_link) = &link.pending_link
            && !pending_links::consume(tx, &link.user, pending_link).await?
        {
            return Ok(());
        }
        locks::lock_platform_account(tx, link.account.account_type, &link.account.platform_user_id).await?;
        queue::revoke_issued(tx, &link.user, link.revocation.as_ref(), &receipt.job).await?;
        let entry = Entry::of_link_of_ended_session(&link.account);
        audit::append(tx, audit, &link.user, entry, receipt).await
    }
}

/// Queues the revocation of a grant whose link missed its deadline.
pub(super) struct RevokeUnused<'a> {
    pub(super) link: &'a Link,
    pub(super) receipt: &'a Receipt,
    pub(super) audit: &'a AuditKeys,
}

#[async_trait]
impl Work for RevokeUnused<'_> {
    type Outcome = ();

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        let Self { link, receipt, audit } = self;
        locks::lock_user(tx, &link.user, None).await?;
        locks::lock_platform_account(tx, link.account.account_type, &link.account.platform_user_id).await?;
        queue::revoke_issued(tx, &link.user, link.revocation.as_ref(), &receipt.job).await?;
        audit::append(tx, audit, &link.user, Entry::of_late_link(link), receipt).await?;
        Ok(Ending::Commit(()))
    }
}

/// Inserts a row, or replaces tokens and generation of the existing one. The cursor is reset, as it belongs to another grant,
/// perhaps with other scopes. A running sync loses its lease.
async fn write(tx: &Transaction<'_>, link: &Link) -> Result<(), Failure> {
    let Link { account, tokens, .. } = link;
    let upsert = "INSERT INTO accounts (user_id, account_type, platform_user_id, username, display_name, avatar_url, status, \
             scopes, connected_at, last_synced, error_message, access_token, refresh_token, token_expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (user_id, account_type) DO UPDATE SET username = excluded.username, \
             display_name = excluded.display_name, avatar_url = excluded.avatar_url, status = excluded.status, \
             scopes = excluded.scopes, last_synced = excluded.last_synced, error_message = excluded.error_message, \
             access_token = excluded.access_token, refresh_token = excluded.refresh_token, \
             token_expires_at = excluded.token_expires_at, generation = excluded.generation, cursor = excluded.cursor, \
             fence = excluded.fence, leased_until = NULL, next_sync_at = excluded.next_sync_at, failures = 0";
    let (access, refresh, expires_at) = token_columns(tokens.as_ref());
    tx.execute(
        upsert,
        &[
            &link.user.as_str(),
            &account.account_type.as_str(),
            &account.platform_user_id,
            &account.username,
            &account.display_name,
            &account.avatar_url,
            &account.status.as_str(),
            &account.scopes,
            &written(account.connected_at),
            &account.last_synced.map(written),
            &account.error_message,
            &access,
            &refresh,
            &expires_at,
        ],
    )
    .await?;
    Ok(())
}
