//! `account:disconnect`, also by the application: removes the link at once, and queues the revocation of its grant at the platform.

use std::time::Duration;

use protocol::account::{AccountStatus, AccountType, StatusChanged};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, DisconnectAnswer};
use protocol::event::Event;
use protocol::fault::Fault;
use store::{StoreError, Unlink, UnlinkOutcome};

use super::AccountService;
use crate::call::{Call, RecallError, Refusal};

impl AccountService {
    /// Unlinks an account, also of a platform that is no longer offered. It waits for the account's sync lease for a while, so that
    /// tokens that a running refresh receives are revoked with the link. Where too many unlinks wait already, the refresh revokes them
    /// itself.
    pub(crate) async fn disconnect(&self, call: &Call, account: AccountType) -> Result<JobOutcome, DisconnectError> {
        let change = StatusChanged::plain(&call.user, account, AccountStatus::Disconnected, self.now());
        let unlink = Unlink {
            user: call.user.clone(),
            account,
            event: call.envelope("disconnected", &Event::StatusChanged(change)),
        };
        if let Some(_permit) = self.permits.unlinks.try_acquire(account) {
            call.release_lane();
            self.syncer.await_lease(call, account, LEASE_WAIT).await?;
        }
        let outcome = JobOutcome::from(&Answer::Disconnect(DisconnectAnswer { account_type: account }));
        match self.accounts.unlink_account(&unlink, &call.receipt(&outcome)).await? {
            UnlinkOutcome::Unlinked => Ok(outcome),
            UnlinkOutcome::NotConnected => Err(DisconnectError::NotConnected),
            UnlinkOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }
}

/// Maximum wait for the sync lease. A refresh that takes longer revokes its new tokens itself.
const LEASE_WAIT: Duration = Duration::from_secs(5);

/// Error of `account:disconnect`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DisconnectError {
    #[error("no such account is connected")]
    NotConnected,
    #[error("disconnect the account")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for DisconnectError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotConnected => ErrorCode::NotConnected,
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for DisconnectError {}
