//! `begin_sync` and `finish_sync`.

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::SessionId;
use tokio::time::Instant;

use crate::answers::Receipt;
use crate::postgres::error::Failure;
use crate::postgres::parameter::Parameter;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::receipt::ReceiptCheck;
use crate::postgres::row::written;
use crate::postgres::transaction::Transaction;
use crate::postgres::{locks, outbox, pauses, receipt};
use crate::syncs::{FinishedSync, Pause, PauseScope, SyncLease, SyncOutcome};
use crate::vault::Ciphertext;

pub(super) struct BeginSync<'a> {
    pub(super) lease: &'a SyncLease,
    pub(super) session: &'a SessionId,
    pub(super) syncing: &'a Envelope,
}

#[async_trait]
impl Work for BeginSync<'_> {
    type Outcome = ();

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<()>, Failure> {
        let Self {
            lease,
            session,
            syncing,
        } = self;
        locks::lock_user(tx, &lease.user, Some(session)).await?;
        let look = "SELECT FROM accounts WHERE user_id = $1 AND account_type = $2 AND fence = $3";
        let values: [&dyn Parameter; 3] = [&lease.user.as_str(), &lease.account.as_str(), &lease.fence];
        if tx.query_opt(look, &values).await?.is_none() {
            return Ok(Ending::RollBack(()));
        }
        outbox::send(tx, &lease.user, std::slice::from_ref(*syncing)).await?;
        Ok(Ending::Commit(()))
    }
}

pub(super) struct FinishSync<'a> {
    pub(super) sync: &'a FinishedSync,
    pub(super) receipt: Option<&'a Receipt>,
}

#[async_trait]
impl Work for FinishSync<'_> {
    type Outcome = SyncOutcome;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt?.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SyncOutcome>, Failure> {
        let Self { sync, receipt } = self;
        let user = &sync.lease.user;
        match self.begin(tx).await {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(Ending::RollBack(SyncOutcome::Repeated(answer))),
            Err(Failure::SessionEnded) => {
                if let Some(pause) = &sync.pause {
                    self::pause(tx, &sync.lease, pause).await?;
                }
                return Ok(Ending::Commit(SyncOutcome::SessionEnded));
            }
            Err(failure) => return Err(failure),
        }
        let is_ours = write(tx, sync).await?;
        if let Some(pause) = &sync.pause {
            self::pause(tx, &sync.lease, pause).await?;
        }
        if !is_ours {
            return Ok(Ending::Commit(SyncOutcome::Superseded));
        }
        outbox::send(tx, user, &sync.events).await?;
        let Some(receipt) = receipt else {
            return Ok(Ending::Commit(SyncOutcome::Stored));
        };
        receipt::remember(tx, receipt).await?;
        Ok(Ending::CommitBefore(receipt.deadline, SyncOutcome::Stored))
    }
}

impl FinishSync<'_> {
    /// Locks the user's head row and returns the previous answer, if any.
    async fn begin(&self, tx: &Transaction<'_>) -> Result<Option<Ciphertext>, Failure> {
        let user = &self.sync.lease.user;
        let Some(receipt) = self.receipt else {
            locks::lock_user(tx, user, None).await?;
            return Ok(None);
        };
        Ok(match receipt::begin(tx, user, receipt).await? {
            ReceiptCheck::New(_) => None,
            ReceiptCheck::Repeated(answer) => Some(answer),
        })
    }
}

/// Writes the result of a sync; false if the lease was lost.
async fn write(tx: &Transaction<'_>, sync: &FinishedSync) -> Result<bool, Failure> {
    let account = &sync.account;
    let update = "UPDATE accounts SET username = $4, display_name = $5, avatar_url = $6, status = $7, scopes = $8, \
             last_synced = $9, error_message = $10, cursor = coalesce($11, cursor), failures = $12, leased_until = NULL, \
             next_sync_at = now() + $13 * interval '1 second' \
             WHERE user_id = $1 AND account_type = $2 AND fence = $3 AND disconnected_generation IS DISTINCT FROM generation";
    let updated = tx
        .execute(
            update,
            &[
                &sync.lease.user.as_str(),
                &sync.lease.account.as_str(),
                &sync.lease.fence,
                &account.username,
                &account.display_name,
                &account.avatar_url,
                &account.status.as_str(),
                &account.scopes,
                &account.last_synced.map(written),
                &account.error_message,
                &sync.cursor,
                &i32::try_from(sync.failures).unwrap_or(i32::MAX),
                &sync.next_sync.as_secs_f64(),
            ],
        )
        .await?;
    Ok(updated == 1)
}

/// Applies a pause, whichever worker has the lease now: the platform asks all workers to wait.
async fn pause(tx: &Transaction<'_>, lease: &SyncLease, pause: &Pause) -> Result<(), Failure> {
    let (platform, wait) = (lease.account.as_str(), pause.wait.as_secs_f64());
    match pause.scope {
        PauseScope::Account => {
            let account = "UPDATE accounts SET paused_until = greatest(paused_until, now() + $3 * interval '1 second'), \
                     next_sync_at = greatest(next_sync_at, now() + $3 * interval '1 second') \
                     WHERE user_id = $1 AND account_type = $2";
            tx.execute(account, &[&lease.user.as_str(), &platform, &wait]).await?;
        }
        PauseScope::Platform => pauses::pause(tx, lease.account, pause.wait).await?,
    }
    Ok(())
}
