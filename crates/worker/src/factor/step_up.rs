//! What touches the user's accounts or sessions needs a second factor given lately on the same socket, where one is on.

use bus::BusError;
use protocol::cluster::job::Work;
use protocol::code::ErrorCode;
use protocol::command::Command;
use protocol::event::Notice;
use protocol::fault::Fault;
use protocol::security::{FactorMethod, TwoFactorRequired};
use store::StoreError;

use super::challenge::LIFE;
use super::{FactorService, signed_in_lately};
use crate::jobs::{Call, Refusal};

/// Why a command may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepUp {
    /// It needs no second factor, or none is on.
    NotNeeded,
    /// One was given.
    Given,
}

impl FactorService {
    /// Lets a job pass, or opens a challenge. Whether a factor is on, the store says; where one was given, the bus, which may
    /// forget: then it is asked for again.
    pub(crate) async fn step_up(&self, call: &Call, work: &Work) -> Result<StepUp, StepUpError> {
        let Work::Command(command) = work else {
            return Ok(StepUp::NotNeeded);
        };
        if !is_sensitive(command) || self.store.security(&call.user).await?.factor.is_none() {
            return Ok(StepUp::NotNeeded);
        }
        if self.challenges.was_met(call).await? {
            return Ok(StepUp::Given);
        }
        // Who has just signed in may end a thief's session also after the thief has used up all guesses.
        if matches!(command, Command::EndSessions(_)) && signed_in_lately(call, self.clock.now().into()) {
            return Ok(StepUp::NotNeeded);
        }
        Err(StepUpError::Required(TwoFactorRequired {
            user_id: call.user.clone(),
            session_id: self.challenges.open(call).await?,
            expires_in: LIFE.as_secs(),
            method: FactorMethod::Totp,
        }))
    }
}

/// A connect that brings a state was begun by an authorize, which has passed here.
fn is_sensitive(command: &Command) -> bool {
    match command {
        Command::Connect(connect) => connect.state.is_none(),
        Command::Authorize(_)
        | Command::Disconnect(_)
        | Command::UpdateSettings(_)
        | Command::RequestConfirmation(_)
        | Command::EndSessions(_) => true,
        _ => false,
    }
}

/// Why a command may not be done yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepUpError {
    #[error("a second factor is required")]
    Required(TwoFactorRequired),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("look for the second factor")]
    Bus(#[from] BusError),
}

impl Fault for StepUpError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Required(_) => ErrorCode::TwoFactorRequired,
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}

impl Refusal for StepUpError {
    fn notice(&self) -> Option<Notice> {
        match self {
            Self::Required(required) => Some(Notice::TwoFactorRequired(required.clone())),
            _ => None,
        }
    }
}
