//! Sync lease of an account: taken for a client, and renewed while the platform is called.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::JobOutcome;
use protocol::fault::chain;
use store::{LeasedSync, StoreError, SyncLease, SyncLeaseOutcome};
use tokio::time::{Instant, sleep};

use super::{SyncFailure, Syncer};
use crate::call::Call;

impl Syncer {
    /// Takes the lease for a client; waits, while the call leaves time, for another holder to release it.
    pub(crate) async fn take_lease(&self, call: &Call, account: AccountType) -> Result<LeasedSync, LeaseError> {
        loop {
            match self
                .syncs
                .lease_sync((&call.user, &call.session), account, LEASE)
                .await?
            {
                SyncLeaseOutcome::Leased(taken) => return Ok(*taken),
                SyncLeaseOutcome::Busy if Instant::now() + POLL < call.platform_deadline() => sleep(POLL).await,
                SyncLeaseOutcome::Busy => return Err(LeaseError::Failure(SyncFailure::Superseded)),
                SyncLeaseOutcome::Paused(wait) => return Err(LeaseError::Failure(SyncFailure::Paused(wait))),
                SyncLeaseOutcome::Disconnected => return Err(LeaseError::Failure(SyncFailure::Disconnected(account))),
                SyncLeaseOutcome::NotConnected => return Err(LeaseError::NotConnected),
            }
        }
    }

    /// Waits at most `most` until no other worker has the lease, then takes it, so that none can take it before the unlink ends it.
    pub(crate) async fn await_lease(
        &self,
        call: &Call,
        account: AccountType,
        most: Duration,
    ) -> Result<(), StoreError> {
        let until = Instant::now() + most;
        let session = (&call.user, &call.session);
        while matches!(
            self.syncs.lease_sync(session, account, LEASE).await?,
            SyncLeaseOutcome::Busy
        ) && Instant::now() < until
        {
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Syncs an account under its lease, for a client or scheduled; stops when the lease is lost.
    pub(crate) async fn sync(&self, taken: LeasedSync, call: Option<&Call>) -> Result<JobOutcome, SyncFailure> {
        let lease = taken.lease.clone();
        tokio::select! {
            outcome = self.attempt(taken, call) => outcome,
            () = self.renew_until_lost(&lease) => Err(SyncFailure::Superseded),
        }
    }

    /// Renews the lease until it is lost. An unavailable store does not lose it: no other worker can reach the store either.
    async fn renew_until_lost(&self, lease: &SyncLease) {
        loop {
            sleep(RENEWAL).await;
            match self.syncs.renew_sync_lease(lease, LEASE).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::debug!(error = chain(&error), "sync lease not renewed, retrying"),
            }
        }
    }
}

/// Error of taking a sync lease.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("no such account is connected")]
    NotConnected,
    #[error(transparent)]
    Failure(#[from] SyncFailure),
    #[error("take the account's sync lease")]
    Store(#[from] StoreError),
}

/// Duration of a lease; it expires when its worker stops. The count in the account's row, not the lease, prevents a third use of a
/// refresh token.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// Period of the renewal.
const RENEWAL: Duration = Duration::from_secs(1);

/// Period in which a held lease is checked.
const POLL: Duration = Duration::from_millis(100);
