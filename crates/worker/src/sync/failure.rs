//! Failure of the sync of a linked account.

use std::time::Duration;

use platforms::{ApiError, PauseScope, RefreshError};
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::time::Timestamp;
use store::StoreError;
use store::vault::VaultError;

use crate::call::{RecallError, whole_seconds};
use crate::platform::NotOffered;

/// Failure of a sync.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncFailure {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error("decrypt the tokens")]
    Decrypt(#[from] VaultError),
    #[error(transparent)]
    Platform(#[from] ApiError),
    #[error("refresh the tokens")]
    Refresh(#[source] RefreshError),
    #[error("the platform asks to wait {0:?} before the tokens are refreshed")]
    RefreshThrottled(Duration, PauseScope),
    #[error("the platform is paused for {0:?}")]
    Paused(Duration),
    #[error("{0} no longer accepts the account's tokens")]
    Disconnected(AccountType),
    #[error("the account was unlinked or linked again meanwhile, or another worker has its lease")]
    Superseded,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl From<RefreshError> for SyncFailure {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Throttled { wait, pause, .. } => Self::RefreshThrottled(wait, pause),
            error => Self::Refresh(error),
        }
    }
}

impl Fault for SyncFailure {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(error) => error.code(),
            Self::Decrypt(error) => error.code(),
            Self::Platform(error) => error.code(),
            Self::Refresh(_) => ErrorCode::PlatformUnavailable,
            Self::RefreshThrottled(..) | Self::Paused(_) => ErrorCode::PlatformRateLimited,
            Self::Disconnected(_) => ErrorCode::OauthFailed,
            Self::Superseded => ErrorCode::Conflict,
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl SyncFailure {
    /// Failure that the client reads.
    pub(crate) fn failure(&self, last_synced: Option<Timestamp>) -> Failure {
        let failure = match self {
            Self::Disconnected(_) => Failure::with_message(self.code(), CONNECT_AGAIN),
            Self::Platform(ApiError::Throttled { wait, .. }) | Self::RefreshThrottled(wait, _) | Self::Paused(wait) => {
                Failure {
                    retry_after: Some(whole_seconds(*wait)),
                    ..Failure::of(self.code())
                }
            }
            _ => Failure::of(self.code()),
        };
        Failure {
            last_synced: Some(last_synced),
            ..failure
        }
    }
}

/// Error message of a link that its platform has ended.
pub(super) const CONNECT_AGAIN: &str = "The platform no longer accepts this link; connect the account again.";
