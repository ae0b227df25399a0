//! `security:request_confirmation`: issues a token that one command accepts once.
//!
//! Redis has only a digest of the token and of all that it is bound to. A token that is altered, or presented by another user or session
//! or for another command, is therefore unknown and uses nothing up.

use std::time::Duration;

use bus::{BusError, ChallengeKey};
use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, CommandKind, RequestConfirmation, RequestConfirmationAnswer};
use protocol::fault::Fault;
use protocol::secret::Secret;
use store::{StoreError, WriteOutcome};

use super::SecurityService;
use crate::call::{Call, RecallError, Refusal, digest, hex};

impl SecurityService {
    /// Issues a token.
    pub(crate) async fn request_confirmation(
        &self,
        call: &Call,
        payload: &RequestConfirmation,
    ) -> Result<JobOutcome, RequestConfirmationError> {
        if CommandKind::of_event(&payload.action) != Some(CONFIRMED) {
            return Err(RequestConfirmationError::Action);
        }
        let token = Secret::new(self.entropy.token());
        let confirmation = Confirmation::of(call, CONFIRMED, &token);
        self.challenges
            .put(&confirmation.key(call), b"issued", LIFETIME)
            .await?;
        let issued = JobOutcome::from(&Answer::RequestConfirmation(RequestConfirmationAnswer {
            confirmation_token: token,
            expires_in: LIFETIME.as_secs(),
        }));
        let receipt = call.receipt(&issued);
        let recorded = self.audit.record_confirmation(&call.user, CONFIRMED.event(), &receipt);
        match recorded.await? {
            WriteOutcome::Committed => Ok(issued),
            WriteOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }
}

/// Digest of a confirmation.
pub(super) struct Confirmation(pub(super) [u8; 32]);

impl Confirmation {
    /// Digest of a token that confirms this command of the caller in the caller's session.
    pub(super) fn of(call: &Call, command: CommandKind, token: &Secret) -> Self {
        let bound = [
            call.user.as_str(),
            call.session.as_str(),
            command.event(),
            token.expose(),
        ];
        Self(digest(bound.map(str::as_bytes)))
    }

    /// Key of the confirmation in Redis.
    pub(super) fn key(&self, call: &Call) -> ChallengeKey {
        ChallengeKey::Confirmation {
            user: call.user.clone(),
            hash: hex(&self.0),
        }
    }
}

/// Failure to issue a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestConfirmationError {
    #[error("the action needs no confirmation")]
    Action,
    #[error("write the confirmation to Redis")]
    Bus(#[from] BusError),
    #[error("record the confirmation in the audit log")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for RequestConfirmationError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Action => ErrorCode::BadRequest,
            Self::Bus(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for RequestConfirmationError {
    fn failure(&self) -> Failure {
        match self {
            Self::Action => Failure::with_message(self.code(), format!("action: {} was expected", CONFIRMED.event())),
            Self::Bus(_) | Self::Store(_) | Self::Recall(_) => Failure::of(self.code()),
        }
    }
}

/// Only command that requires a confirmation.
const CONFIRMED: CommandKind = CommandKind::RevokeAll;

/// Lifetime of a token.
const LIFETIME: Duration = Duration::from_secs(60);
