//! `security:request_confirmation`: a token that lets one command through, once.
//!
//! What is kept is a digest of the token and of all that it is bound to, and nothing else: a token that is presented by another
//! user or session, for another command, or altered, is one that does not exist, and uses nothing up.

use std::time::Duration;

use bus::{BusError, ChallengeKey};
use protocol::answer::{self, Answer, Failure};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{CommandKind, RequestConfirmation};
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
        asked: &RequestConfirmation,
    ) -> Result<JobOutcome, RequestConfirmationError> {
        if CommandKind::of_event(&asked.action) != Some(CONFIRMED) {
            return Err(RequestConfirmationError::Action);
        }
        let token = Secret::new(self.entropy.token());
        let confirmation = Confirmation::of(call, CONFIRMED, &token);
        self.challenges.put(&confirmation.key(call), b"issued", LIFE).await?;
        let issued = JobOutcome::from(&Answer::Confirmation(answer::Confirmation {
            confirmation_token: token,
            expires_in: LIFE.as_secs(),
        }));
        let receipt = call.receipt(&issued);
        let told = self.store.record_confirmation(&call.user, CONFIRMED.event(), &receipt);
        match told.await? {
            WriteOutcome::Committed => Ok(issued),
            WriteOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }
}

/// A confirmation as it is kept.
pub(super) struct Confirmation(pub(super) [u8; 32]);

impl Confirmation {
    /// What this token confirms, if it was issued for it: this command of this user in this session.
    pub(super) fn of(call: &Call, command: CommandKind, token: &Secret) -> Self {
        let bound = [
            call.user.as_str(),
            call.session.as_str(),
            command.event(),
            token.expose(),
        ];
        Self(digest(bound.map(str::as_bytes)))
    }

    /// Where it is kept for as long as it counts.
    pub(super) fn key(&self, call: &Call) -> ChallengeKey {
        ChallengeKey::Confirmation {
            user: call.user.clone(),
            hash: hex(&self.0),
        }
    }
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestConfirmationError {
    #[error("the action needs no confirmation")]
    Action,
    #[error("keep the confirmation")]
    Bus(#[from] BusError),
    #[error("tell it in the audit log")]
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

/// The one command that asks to be confirmed.
const CONFIRMED: CommandKind = CommandKind::RevokeAll;

/// How long a token counts.
const LIFE: Duration = Duration::from_secs(60);
