//! Step-up: commands that change the user's accounts or sessions require a recent second factor on the same socket, where one is on.

use std::time::Duration;

use bus::BusError;
use protocol::answer::Failure;
use protocol::cluster::job::Work;
use protocol::code::ErrorCode;
use protocol::command::SignInAge;
use protocol::event::Notice;
use protocol::fault::Fault;
use protocol::security::{FactorMethod, TwoFactorRequired};
use store::vault::VaultError;
use store::{Factor, StoreError};

use super::challenge::LIFETIME;
use super::message::SendError;
use super::{FactorService, signed_in_recently};
use crate::call::{Call, Refusal, whole_seconds};

/// Reason why a command may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepUp {
    /// The command needs no second factor, or none is on.
    NotNeeded,
    /// A second factor was given.
    Given,
}

impl FactorService {
    /// Allows a job, or opens a challenge. The store knows whether a factor is on; the bus knows on which socket one was given. After
    /// the bus has lost its data, the user is challenged again.
    pub(crate) async fn step_up(&self, call: &Call, work: &Work) -> Result<StepUp, StepUpError> {
        let Work::Command(command) = work else {
            return Ok(StepUp::NotNeeded);
        };
        if !command.needs_second_factor() {
            return Ok(StepUp::NotNeeded);
        }
        let Some(factor) = self.store.security(&call.user).await?.factor else {
            return Ok(StepUp::NotNeeded);
        };
        let now = self.clock.now().into();
        // A factor that was given before the lock counts for nothing.
        if factor.lock_at(now).is_none() && self.challenges.was_answered(call).await? {
            return Ok(StepUp::Given);
        }
        match command.kind().policy().sign_in {
            // A thief who has used up all attempts must not keep the user from ending the thief's session: a recent sign-in suffices.
            SignInAge::RecentReplacesFactor if signed_in_recently(call, now) => Ok(StepUp::NotNeeded),
            SignInAge::RecentReplacesFactor | SignInAge::RecentToEnrol | SignInAge::Any => {
                Err(self.required(call, &factor).await?)
            }
        }
    }

    /// Requires the second factor, where one is on, whether or not one was given before.
    pub(crate) async fn challenge(&self, call: &Call) -> Result<(), StepUpError> {
        match self.store.security(&call.user).await?.factor {
            Some(factor) => Err(self.required(call, &factor).await?),
            None => Ok(()),
        }
    }

    /// Opens a challenge of this factor, unless no code would be accepted.
    async fn required(&self, call: &Call, factor: &Factor) -> Result<StepUpError, StepUpError> {
        if factor.lock_at(self.clock.now().into()).is_some() {
            return Err(StepUpError::Locked);
        }
        Ok(StepUpError::Required(match factor.method {
            FactorMethod::Totp => TwoFactorRequired {
                user_id: call.user.clone(),
                session_id: self.challenges.open(call).await?,
                expires_in: LIFETIME.as_secs(),
                method: FactorMethod::Totp,
            },
            FactorMethod::Sms | FactorMethod::Email => self.challenge_by_message(call, factor).await?,
        }))
    }
}

/// Reason why a command may not run yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepUpError {
    #[error("a second factor is required")]
    Required(TwoFactorRequired),
    #[error("a second factor is required, and its code could not be sent")]
    Unsent(TwoFactorRequired, #[source] SendError),
    #[error("a second factor is required, and the application has locked it")]
    Locked,
    #[error("a second factor is required, and too many codes were sent")]
    TooManyMessages(TwoFactorRequired, Duration),
    #[error("the second factor was changed meanwhile")]
    FactorChanged,
    #[error("decrypt the address of the second factor")]
    Decrypt(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("look up the challenge")]
    Bus(#[from] BusError),
}

impl Fault for StepUpError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Required(_) => ErrorCode::TwoFactorRequired,
            Self::Unsent(_, error) => error.code(),
            Self::Locked => ErrorCode::TwoFactorLocked,
            Self::TooManyMessages(..) => ErrorCode::RateLimited,
            Self::FactorChanged => ErrorCode::Conflict,
            Self::Decrypt(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}

impl Refusal for StepUpError {
    fn failure(&self) -> Failure {
        let retry_after = match self {
            Self::TooManyMessages(_, wait) => Some(whole_seconds(*wait)),
            _ => None,
        };
        Failure {
            retry_after,
            ..Failure::of(self.code())
        }
    }

    fn notice(&self) -> Option<Notice> {
        match self {
            Self::Required(required) | Self::Unsent(required, _) | Self::TooManyMessages(required, _) => {
                Some(Notice::TwoFactorRequired(required.clone()))
            }
            _ => None,
        }
    }
}
