//! `account:sync`: what is new on the platform, told to all devices and counted for the one that asks.

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
use crate::sync::{SyncFailure, TakeError};

impl AccountService {
    pub(crate) async fn sync(&self, call: &Call, asked: &AccountPayload) -> Result<JobOutcome, SyncError> {
        self.offered.get(asked.account_type)?;
        let _permit = self.permits.syncs.acquire(call, asked.account_type).await?;
        let taken = match self.syncer.lease_sync(call, asked.account_type).await {
            Ok(taken) => taken,
            Err(TakeError::NotConnected) => return Err(SyncError::NotConnected),
            Err(TakeError::Store(error)) => return Err(error.into()),
            Err(TakeError::Failure(cause)) => {
                let found = self.store.credentials(&call.user, asked.account_type).await?;
                let last_synced = found.and_then(|found| found.account.last_synced);
                return Err(SyncError::Failed { cause, last_synced });
            }
        };
        let last_synced = taken.found.account.last_synced;
        let synced = self.syncer.sync(taken, Some(call)).await;
        synced.map_err(|cause| SyncError::Failed { cause, last_synced })
    }
}

/// Why there was no sync.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error(transparent)]
    Busy(#[from] PlatformBusy),
    #[error("no such account is connected")]
    NotConnected,
    #[error("read the account")]
    Store(#[from] StoreError),
    #[error("sync the account")]
    Failed {
        #[source]
        cause: SyncFailure,
        /// Before this one.
        last_synced: Option<Timestamp>,
    },
}

impl Fault for SyncError {
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

impl Refusal for SyncError {
    fn failure(&self) -> Failure {
        match self {
            Self::Busy(error) => error.failure(),
            Self::Failed { cause, last_synced } => cause.failure(*last_synced),
            _ => Failure::of(self.code()),
        }
    }
}
