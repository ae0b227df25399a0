//! `account:sync`: reads the updates of the platform, publishes them to all devices and returns their count.

use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::AccountPayload;
use protocol::fault::Fault;
use protocol::time::Timestamp;
use store::StoreError;

use super::AccountService;
use crate::call::{Call, Refusal};
use crate::platform::{NotOffered, PlatformBusy};
use crate::sync::{LeaseError, SyncFailure};

impl AccountService {
    pub(crate) async fn sync(&self, call: &Call, payload: &AccountPayload) -> Result<JobOutcome, SyncCommandError> {
        self.offered.get(payload.account_type)?;
        let _permit = self.permits.syncs.acquire(call, payload.account_type).await?;
        let taken = match self.syncer.take_lease(call, payload.account_type).await {
            Ok(taken) => taken,
            Err(LeaseError::NotConnected) => return Err(SyncCommandError::NotConnected),
            Err(LeaseError::Store(error)) => return Err(error.into()),
            Err(LeaseError::Failure(cause)) => {
                let found = self.accounts.credentials(&call.user, payload.account_type).await?;
                let last_synced = found.and_then(|found| found.account.last_synced);
                return Err(SyncCommandError::Failed { cause, last_synced });
            }
        };
        let last_synced = taken.found.account.last_synced;
        let synced = self.syncer.sync(taken, Some(call)).await;
        synced.map_err(|cause| SyncCommandError::Failed { cause, last_synced })
    }
}

/// Error of `account:sync`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncCommandError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error(transparent)]
    Busy(#[from] PlatformBusy),
    #[error("no such account is connected")]
    NotConnected,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("sync the account")]
    Failed {
        #[source]
        cause: SyncFailure,
        /// Time of the last successful sync.
        last_synced: Option<Timestamp>,
    },
}

impl Fault for SyncCommandError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(error) => error.code(),
            Self::Busy(error) => error.code(),
            Self::NotConnected => ErrorCode::NotConnected,
            Self::Store(error) => error.code(),
            Self::Failed { cause, .. } => cause.code(),
        }
    }
}

impl Refusal for SyncCommandError {
    fn failure(&self) -> Failure {
        match self {
            Self::Busy(error) => error.failure(),
            Self::Failed { cause, last_synced } => cause.failure(*last_synced),
            _ => Failure::of(self.code()),
        }
    }
}
