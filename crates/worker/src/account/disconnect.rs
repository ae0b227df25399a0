//! `account:disconnect`: the link ends here at once, and at its platform as soon as that can be.

use std::time::Duration;

use protocol::account::{AccountStatus, StatusChanged};
use protocol::answer::{self, Answer};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::AccountPayload;
use protocol::event::Event;
use protocol::fault::Fault;
use store::{StoreError, Unlink, UnlinkOutcome};

use super::AccountService;
use crate::call::{Call, RecallError, Refusal};

impl AccountService {
    /// Also for a platform that is no longer offered here: what is linked can be unlinked. Whoever asks the platform about the account is
    /// waited for, for a while: tokens that a refresh is about to bring are then given back with the link. Where many wait already, they
    /// are given back by who has them.
    pub(crate) async fn disconnect(&self, call: &Call, asked: &AccountPayload) -> Result<JobOutcome, DisconnectError> {
        let account = asked.account_type;
        let change = StatusChanged::plain(&call.user, account, AccountStatus::Disconnected, self.now());
        let unlink = Unlink {
            user: call.user.clone(),
            account,
            event: call.envelope("disconnected", &Event::StatusChanged(change)),
        };
        if let Some(_permit) = self.permits.unlinks.try_acquire(account) {
            call.leave_lane();
            self.syncer.await_turn(call, account, PATIENCE).await?;
        }
        let outcome = JobOutcome::from(&Answer::Disconnect(answer::Disconnect { account_type: account }));
        match self.store.unlink_account(&unlink, &call.receipt(&outcome)).await? {
            UnlinkOutcome::Unlinked => Ok(outcome),
            UnlinkOutcome::NotConnected => Err(DisconnectError::NotConnected),
            UnlinkOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }
}

/// A refresh whose answer does not come for so long is not waited for; what it brings is given back by who has it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nothing was unlinked.
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
