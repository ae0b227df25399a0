//! `security:revoke_all`: every account is unlinked here at once, and each grant given back at its platform as soon as that can be.
//!
//! The access epoch moves with it. A connect that is under way, or was begun by an `account:authorize` before, carries the old one:
//! it cannot be stored any more, and what the platform granted meanwhile is given back.

use bus::BusError;
use protocol::account::{AccountStatus, AccountType, StatusChanged};
use protocol::answer::{self, Answer};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{CommandKind, RevokeAll};
use protocol::event::Event;
use protocol::fault::{Fault, chain};
use protocol::security::{AlertType, Severity};
use protocol::time::Timestamp;
use store::{RevokeAllOutcome, RevokeAllRecord, StoreError};

use super::SecurityService;
use super::confirmation::Confirmation;
use crate::call::{Call, NewAlert, RecallError, Refusal};

impl SecurityService {
    /// Also for platforms that are no longer offered here: what is linked can be unlinked.
    pub(crate) async fn revoke_all(&self, call: &Call, asked: &RevokeAll) -> Result<JobOutcome, RevokeAllError> {
        let confirmation = Confirmation::of(call, CommandKind::RevokeAll, &asked.confirmation_token);
        if self.challenges.read(&confirmation.key(call)).await?.is_none() {
            return Err(RevokeAllError::Unconfirmed);
        }
        let now = self.now();
        let all = store::RevokeAll {
            user: call.user.clone(),
            confirmation: confirmation.0,
            record: &|accounts| record(call, accounts, now),
        };
        match self.store.revoke_all(&all).await? {
            RevokeAllOutcome::Revoked(count) => {
                self.forget(call, &confirmation).await;
                Ok(revoked(count))
            }
            RevokeAllOutcome::Spent => Err(RevokeAllError::Unconfirmed),
            RevokeAllOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// The store knows that the confirmation is spent, and a failure before used nothing up. This only makes room.
    async fn forget(&self, call: &Call, confirmation: &Confirmation) {
        if let Err(error) = self.challenges.take(&confirmation.key(call)).await {
            tracing::debug!(error = chain(&error), "a spent confirmation ends by itself");
        }
    }
}

/// What the user's devices and the client are told once it is known which accounts were linked.
fn record(call: &Call, accounts: &[AccountType], now: Timestamp) -> RevokeAllRecord {
    let alert = NewAlert {
        kind: AlertType::RevokeAll,
        severity: Severity::High,
        message: "All linked accounts were disconnected.".to_owned(),
        requires_action: false,
    };
    let gone = |account: &AccountType| {
        let change = StatusChanged {
            user_id: call.user.clone(),
            account_type: *account,
            status: AccountStatus::Disconnected,
            timestamp: now,
            metadata: None,
        };
        let step = format!("disconnected {account}");
        call.envelope(&step, &Event::StatusChanged(change))
    };
    RevokeAllRecord {
        events: std::iter::once(alert.raised_by(call, now))
            .chain(accounts.iter().map(gone))
            .collect(),
        receipt: call.receipt(&revoked(accounts.len())),
    }
}

fn revoked(count: usize) -> JobOutcome {
    JobOutcome::from(&Answer::RevokeAll(answer::RevokeAll {
        accounts_disconnected: count as u64,
    }))
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeAllError {
    #[error("the confirmation was not issued for this, is over, or was used")]
    Unconfirmed,
    #[error("look for the confirmation")]
    Bus(#[from] BusError),
    #[error("revoke all access")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for RevokeAllError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unconfirmed => ErrorCode::ConfirmationInvalid,
            Self::Bus(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for RevokeAllError {}
