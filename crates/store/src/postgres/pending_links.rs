//! Pending links.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use tokio::time::Instant;
use tokio_postgres::Row;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::receipt::ReceiptCheck;
use super::transaction::Transaction;
use super::{PgStore, audit, locks, queue, receipt, row};
use crate::StoreError;
use crate::answers::{Actor, Receipt};
use crate::audit::Entry;
use crate::pending_links::{PendingLink, PendingLinkId, PendingLinkOutcome, PendingLinks};
use crate::step::Step;
use crate::vault::AuditKeys;

#[async_trait]
impl PendingLinks for PgStore {
    async fn add_pending_link(
        &self,
        pending_link: &PendingLink,
        receipt: &Receipt,
    ) -> Result<PendingLinkOutcome, StoreError> {
        let audit = &self.audit;
        let work = AddPendingLink {
            pending_link,
            receipt,
            audit,
        };
        self.pool.transact(Step::StorePendingLink, &work).await
    }

    async fn pending_link(&self, user: &UserId, id: &PendingLinkId) -> Result<Option<PendingLink>, StoreError> {
        let step = Step::LookUpPendingLink;
        let find =
            format!("SELECT {COLUMNS} FROM pending_links WHERE hash = $1 AND user_id = $2 AND now() < expires_at");
        let rows = self
            .pool
            .query(step, &find, &[&id.0.as_slice(), &user.as_str()])
            .await?;
        let pending_link = rows.first().map(pending_link).transpose();
        pending_link.map_err(|failure| self.pool.report(step, failure))
    }

    async fn expire_pending_link(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        let step = Step::LookUpExpiredPendingLinks;
        let find = "SELECT id, user_id, account_type, platform_user_id FROM pending_links WHERE expires_at <= now() \
                    ORDER BY expires_at LIMIT 1";
        let rows = self.pool.query(step, find, &[]).await?;
        let expired = rows.first().map(Expired::read).transpose();
        let Some(expired) = expired.map_err(|failure| self.pool.report(step, failure))? else {
            return Ok(false);
        };
        let audit = &self.audit;
        let work = ExpirePendingLink {
            expired,
            receipt,
            audit,
        };
        self.pool.transact(Step::RemoveExpiredPendingLink, &work).await?;
        Ok(true)
    }
}

struct AddPendingLink<'a> {
    pending_link: &'a PendingLink,
    receipt: &'a Receipt,
    audit: &'a AuditKeys,
}

#[async_trait]
impl Work for AddPendingLink<'_> {
    type Outcome = PendingLinkOutcome;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<PendingLinkOutcome>, Failure> {
        let Self {
            pending_link,
            receipt,
            audit,
        } = self;
        let access_epoch = match receipt::begin(tx, &pending_link.user, receipt).await {
            Ok(ReceiptCheck::New(access_epoch)) => Some(access_epoch),
            Ok(ReceiptCheck::Repeated(answer)) => return Ok(Ending::RollBack(PendingLinkOutcome::Repeated(answer))),
            Err(Failure::SessionEnded) => None,
            Err(failure) => return Err(failure),
        };
        let (platform, id) = (
            pending_link.account.account_type,
            &pending_link.account.platform_user_id,
        );
        locks::lock_platform_account(tx, platform, id).await?;
        let Some(access_epoch) = access_epoch else {
            let entry = Entry::of_link_of_ended_session(&pending_link.account);
            audit::append(tx, audit, &pending_link.user, entry, receipt).await?;
            queue::revoke_issued(tx, &pending_link.user, pending_link.revocation().as_ref(), &receipt.job).await?;
            return Ok(Ending::Commit(PendingLinkOutcome::SessionEnded));
        };
        let is_in_time = queue::withdraw(tx, &receipt.job).await?;
        if access_epoch != pending_link.access_epoch {
            revoke_dropped(tx, audit, pending_link, receipt).await?;
            return Ok(Ending::Commit(PendingLinkOutcome::EpochMoved));
        }
        if !is_in_time {
            return Err(Failure::TooLate);
        }
        queue::narrow_revocations(tx, platform, id).await?;
        audit::append(
            tx,
            audit,
            &pending_link.user,
            Entry::of_pending_link(pending_link),
            receipt,
        )
        .await?;
        insert(tx, pending_link).await?;
        receipt::remember(tx, receipt).await?;
        Ok(Ending::Commit(PendingLinkOutcome::Pending))
    }
}

async fn insert(tx: &Transaction<'_>, pending_link: &PendingLink) -> Result<(), Failure> {
    let PendingLink { account, tokens, .. } = pending_link;
    let insert = "INSERT INTO pending_links (hash, user_id, session_id, account_type, platform_user_id, username, display_name, \
             avatar_url, scopes, access_token, refresh_token, token_expires_at, access_epoch, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + $14 * interval '1 second')";
    let (access, refresh, expires_at) = row::token_columns(tokens.as_ref());
    tx.execute(
        insert,
        &[
            &pending_link.id.0.as_slice(),
            &pending_link.user.as_str(),
            &pending_link.session.as_str(),
            &account.account_type.as_str(),
            &account.platform_user_id,
            &account.username,
            &account.display_name,
            &account.avatar_url,
            &account.scopes,
            &access,
            &refresh,
            &expires_at,
            &pending_link.access_epoch,
            &pending_link.lifetime.as_secs_f64(),
        ],
    )
    .await?;
    Ok(())
}

/// Identity of an expired pending link.
struct Expired {
    number: i64,
    user: UserId,
    platform: AccountType,
    platform_user_id: String,
}

impl Expired {
    fn read(row: &Row) -> Result<Self, Failure> {
        Ok(Self {
            number: row.try_get("id")?,
            user: row::user(row)?,
            platform: row::account_type(row)?,
            platform_user_id: row.try_get("platform_user_id")?,
        })
    }
}

struct ExpirePendingLink<'a> {
    expired: Expired,
    receipt: &'a Receipt,
    audit: &'a AuditKeys,
}

#[async_trait]
impl Work for ExpirePendingLink<'_> {
    type Outcome = ();

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    /// Another worker or a late confirmation may have removed the row between the query and the lock.
    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        let Self {
            expired,
            receipt,
            audit,
        } = self;
        locks::lock_user(tx, &expired.user, None).await?;
        locks::lock_platform_account(tx, expired.platform, &expired.platform_user_id).await?;
        let delete = format!("DELETE FROM pending_links WHERE id = $1 AND expires_at <= now() RETURNING {COLUMNS}");
        let Some(ended) = tx.query_opt(&delete, &[&expired.number]).await? else {
            return Ok(Ending::RollBack(()));
        };
        let ended = pending_link(&ended)?;
        let receipt = Receipt {
            actor: Actor::System(ended.session.clone()),
            ..(*receipt).clone()
        };
        let entry = Entry::of_unconfirmed_link(&ended);
        audit::append(tx, audit, &ended.user, entry, &receipt).await?;
        queue::revoke(tx, &ended.user, ended.revocation().as_ref()).await?;
        Ok(Ending::Commit(()))
    }
}

/// Removes a pending link that has not expired; false if there is none. The caller holds the lock of the user's head row.
pub(super) async fn consume(tx: &Transaction<'_>, user: &UserId, id: &PendingLinkId) -> Result<bool, Failure> {
    let delete = "DELETE FROM pending_links WHERE hash = $1 AND user_id = $2 AND now() < expires_at";
    Ok(tx.execute(delete, &[&id.0.as_slice(), &user.as_str()]).await? > 0)
}

/// Removes all pending links of a user. The caller holds the lock of the user's head row.
pub(super) async fn remove_all(tx: &Transaction<'_>, user: &UserId) -> Result<Vec<PendingLink>, Failure> {
    let delete = format!("DELETE FROM pending_links WHERE user_id = $1 RETURNING {COLUMNS}");
    let removed = tx.query(&delete, &[&user.as_str()]).await?;
    removed.iter().map(pending_link).collect()
}

/// Moves the tokens of a removed pending link into a revocation and records it in the audit log. The caller holds the lock of its
/// platform account.
pub(super) async fn revoke_dropped(
    tx: &Transaction<'_>,
    keys: &AuditKeys,
    dropped: &PendingLink,
    receipt: &Receipt,
) -> Result<(), Failure> {
    let entry = Entry::of_dropped_link(dropped);
    audit::append(tx, keys, &dropped.user, entry, receipt).await?;
    queue::revoke(tx, &dropped.user, dropped.revocation().as_ref()).await
}

/// Columns that [`pending_link`] reads, named like those of a linked account.
const COLUMNS: &str = "hash, user_id, session_id, account_type, platform_user_id, username, display_name, avatar_url, \
                       'connected' AS status, scopes, created_at AS connected_at, NULL::timestamptz AS last_synced, \
                       NULL::text AS error_message, access_token, refresh_token, token_expires_at, access_epoch, \
                       extract(epoch FROM expires_at - created_at)::float8 AS lifetime";

fn pending_link(row: &Row) -> Result<PendingLink, Failure> {
    let hash: Vec<u8> = row.try_get("hash")?;
    let lifetime: f64 = row.try_get("lifetime")?;
    Ok(PendingLink {
        id: PendingLinkId(hash.try_into().map_err(|_length| Failure::row(NoHash))?),
        user: row::user(row)?,
        session: SessionId::new(row.try_get::<_, &str>("session_id")?).map_err(Failure::row)?,
        account: row::account(row)?,
        tokens: row::tokens(row)?,
        access_epoch: row.try_get("access_epoch")?,
        lifetime: Duration::try_from_secs_f64(lifetime).map_err(Failure::row)?,
    })
}

/// The hash column has another length: Postern did not write the row.
#[derive(Debug, thiserror::Error)]
#[error("column hash has not the length of a SHA-256")]
struct NoHash;
