//! Open challenges, and the mark of a socket on which the second factor was given. Both are stored in the bus.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChallengeKey, Challenges};
use lifecycle::Entropy;
use protocol::id::UserId;

use super::RECENT;
use crate::call::Call;

/// Open challenges and marks of sockets, each for five minutes.
pub(crate) struct FactorChallenges {
    challenges: Arc<dyn Challenges>,
    entropy: Arc<dyn Entropy>,
}

impl FactorChallenges {
    pub(crate) fn new(challenges: Arc<dyn Challenges>, entropy: Arc<dyn Entropy>) -> Self {
        Self { challenges, entropy }
    }

    /// Opens a challenge for the caller's session and returns its id.
    pub(super) async fn open(&self, call: &Call) -> Result<String, BusError> {
        let id = self.entropy.token();
        let session = call.session.as_str().as_bytes();
        self.challenges
            .put(&challenge(&call.user, &id), session, LIFETIME)
            .await?;
        Ok(id)
    }

    /// Reports whether this is an open challenge of the caller's session.
    pub(super) async fn is_open(&self, call: &Call, id: &str) -> Result<bool, BusError> {
        let session = self.challenges.read(&challenge(&call.user, id)).await?;
        Ok(session.is_some_and(|session| session == call.session.as_str().as_bytes()))
    }

    /// Removes a challenge that was answered on the caller's socket, and marks the socket.
    pub(super) async fn complete(&self, call: &Call, id: &str) -> Result<(), BusError> {
        self.challenges.put(&mark(call), b"given", RECENT).await?;
        self.challenges.take(&challenge(&call.user, id)).await?;
        Ok(())
    }

    /// Reports whether a second factor was given on the caller's socket recently.
    pub(super) async fn was_answered(&self, call: &Call) -> Result<bool, BusError> {
        Ok(self.challenges.read(&mark(call)).await?.is_some())
    }
}

fn challenge(user: &UserId, id: &str) -> ChallengeKey {
    ChallengeKey::TwoFactor {
        user: user.clone(),
        id: id.to_owned(),
    }
}

fn mark(call: &Call) -> ChallengeKey {
    ChallengeKey::StepUp {
        user: call.user.clone(),
        of: format!("{}:{}", call.session, call.connection),
    }
}

/// Lifetime of a challenge.
pub(super) const LIFETIME: Duration = Duration::from_secs(5 * 60);
