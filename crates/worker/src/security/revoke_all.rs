//! `security:revoke_all`, also by the application: unlinks every account at once, and queues the revocation of each grant at its platform.
//!
//! It increments the access epoch. A connect that is running, or that follows an earlier `account:authorize`, has the old epoch: its
//! link is not stored, and the grant that the platform issued is revoked.

use bus::BusError;
use protocol::account::{AccountStatus, AccountType, StatusChanged};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, CommandKind, RevokeAll, RevokeAllAnswer};
use protocol::event::Event;
use protocol::fault::{Fault, chain};
use protocol::security::{AlertType, Severity};
use protocol::time::Timestamp;
use store::{RevokeAllOutcome, RevokeAllRecord, StoreError};

use super::SecurityService;
use super::confirmation::Confirmation;
use crate::call::{Call, NewAlert, RecallError, Refusal, digest};

impl SecurityService {
    /// Unlinks every account, also those of platforms that the operator no longer offers.
    pub(crate) async fn revoke_all(&self, call: &Call, payload: &RevokeAll) -> Result<JobOutcome, RevokeAllError> {
        let confirmation = Confirmation::of(call, CommandKind::RevokeAll, &payload.confirmation_token);
        if self.challenges.read(&confirmation.key(call)).await?.is_none() {
            return Err(RevokeAllError::Unconfirmed);
        }
        let outcome = self.commit_revocation(call, confirmation.0).await?;
        self.remove(call, &confirmation).await;
        Ok(outcome)
    }

    /// Unlinks every account for the application, without a confirmation of the user.
    pub(crate) async fn revoke_all_unconfirmed(&self, call: &Call) -> Result<JobOutcome, RevokeAllError> {
        // Stands for a confirmation that this job alone has.
        let confirmation = digest([b"revoked by the application", call.job.as_str().as_bytes()]);
        self.commit_revocation(call, confirmation).await
    }

    async fn commit_revocation(&self, call: &Call, confirmation: [u8; 32]) -> Result<JobOutcome, RevokeAllError> {
        let now = self.now();
        let all = store::RevokeAll {
            user: call.user.clone(),
            confirmation,
            record: &|accounts| notifications(call, accounts, now),
        };
        match self.accounts.revoke_all(&all).await? {
            RevokeAllOutcome::Revoked(count) => Ok(revoked(count)),
            RevokeAllOutcome::Spent => Err(RevokeAllError::Unconfirmed),
            RevokeAllOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// Removes a used confirmation from Redis, only to free memory: the store has recorded that it was used.
    async fn remove(&self, call: &Call, confirmation: &Confirmation) {
        if let Err(error) = self.challenges.take(&confirmation.key(call)).await {
            tracing::debug!(error = chain(&error), "used confirmation not removed, left to expire");
        }
    }
}

/// Events and answer for the accounts that were linked.
fn notifications(call: &Call, accounts: &[AccountType], now: Timestamp) -> RevokeAllRecord {
    let alert = NewAlert {
        kind: AlertType::RevokeAll,
        severity: Severity::High,
        message: "All linked accounts were disconnected.".to_owned(),
        requires_action: false,
    };
    let disconnected = |account: &AccountType| {
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
            .chain(accounts.iter().map(disconnected))
            .collect(),
        receipt: call.receipt(&revoked(accounts.len())),
    }
}

fn revoked(count: usize) -> JobOutcome {
    JobOutcome::from(&Answer::RevokeAll(RevokeAllAnswer {
        accounts_disconnected: count as u64,
    }))
}

/// Failure to revoke all access; nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeAllError {
    #[error("the confirmation was not issued for this command, has expired, or was used")]
    Unconfirmed,
    #[error("look up the confirmation")]
    Bus(#[from] BusError),
    #[error(transparent)]
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
