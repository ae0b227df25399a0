//! An account's turn: taken for a client that asks, and kept by signs of life while the platform is asked.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::JobOutcome;
use protocol::fault::chain;
use store::{LeasedSync, StoreError, SyncLease, SyncLeaseOutcome};
use tokio::time::{Instant, sleep};

use super::{SyncFailure, Syncer};
use crate::call::Call;

impl Syncer {
    /// Takes the turn of an account that a client asks for; waits, within the call's patience, while somebody else has it.
    pub(crate) async fn lease_sync(&self, call: &Call, account: AccountType) -> Result<LeasedSync, TakeError> {
        loop {
            match self
                .store
                .lease_sync((&call.user, &call.session), account, LEASE)
                .await?
            {
                SyncLeaseOutcome::LeasedSync(taken) => return Ok(*taken),
                SyncLeaseOutcome::Busy if Instant::now() + LOOK_AGAIN < call.patience() => sleep(LOOK_AGAIN).await,
                SyncLeaseOutcome::Busy => return Err(TakeError::Failure(SyncFailure::Superseded)),
                SyncLeaseOutcome::Paused(wait) => return Err(TakeError::Failure(SyncFailure::Paused(wait))),
                SyncLeaseOutcome::Disconnected => return Err(TakeError::Failure(SyncFailure::Disconnected(account))),
                SyncLeaseOutcome::NotConnected => return Err(TakeError::NotConnected),
            }
        }
    }

    /// Waits for so long at most until nobody has the account's turn, and takes it where somebody might: whoever unlinks it ends the turn.
    pub(crate) async fn await_turn(&self, call: &Call, account: AccountType, most: Duration) -> Result<(), StoreError> {
        let until = Instant::now() + most;
        let session = (&call.user, &call.session);
        while matches!(
            self.store.lease_sync(session, account, LEASE).await?,
            SyncLeaseOutcome::Busy
        ) && Instant::now() < until
        {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Syncs an account within its turn, for a client or for nobody. Whoever loses the turn stops asking.
    pub(crate) async fn sync(&self, taken: LeasedSync, call: Option<&Call>) -> Result<JobOutcome, SyncFailure> {
        let lease = taken.lease.clone();
        tokio::select! {
            outcome = self.attempt(taken, call) => outcome,
            () = self.keep(&lease) => Err(SyncFailure::Superseded),
        }
    }

    /// Until the turn is lost. That the store is away loses nothing: whoever would take the turn cannot reach it either.
    async fn keep(&self, lease: &SyncLease) {
        loop {
            sleep(SIGN_OF_LIFE).await;
            match self.store.renew_sync_lease(lease, LEASE).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::debug!(error = chain(&error), "a turn is not kept"),
            }
        }
    }
}

/// Why an account's turn was not had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error("no such account is connected")]
    NotConnected,
    #[error(transparent)]
    Failure(#[from] SyncFailure),
    #[error("take the account's turn")]
    Store(#[from] StoreError),
}

/// A worker that is silent for longer is taken for dead. What keeps a refresh token from being sent a third time is not this but the
/// count in the account's row.
pub(super) const LEASE: Duration = Duration::from_secs(3);

const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

const LOOK_AGAIN: Duration = Duration::from_millis(100);
