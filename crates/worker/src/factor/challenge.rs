//! Challenges to give a second factor, and the mark of a socket on which it was given.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChallengeKey, Challenges};
use lifecycle::Entropy;
use protocol::id::UserId;

use super::FRESH;
use crate::call::Call;

/// What is known for five minutes: which challenges are open, and where a second factor was given.
pub(crate) struct FactorChallenges {
    challenges: Arc<dyn Challenges>,
    entropy: Arc<dyn Entropy>,
}

impl FactorChallenges {
    pub(crate) fn new(challenges: Arc<dyn Challenges>, entropy: Arc<dyn Entropy>) -> Self {
        Self { challenges, entropy }
    }

    /// Opens a challenge for the caller's session and gives its name.
    pub(super) async fn open(&self, call: &Call) -> Result<String, BusError> {
        let id = self.entropy.token();
        let session = call.session.as_str().as_bytes();
        self.challenges.put(&challenge(&call.user, &id), session, LIFE).await?;
        Ok(id)
    }

    /// Whether this is an open challenge of the caller's session.
    pub(super) async fn is_open(&self, call: &Call, id: &str) -> Result<bool, BusError> {
        let session = self.challenges.read(&challenge(&call.user, id)).await?;
        Ok(session.is_some_and(|session| session == call.session.as_str().as_bytes()))
    }

    /// The challenge was met on the caller's socket: it is used up, and the socket is marked.
    pub(super) async fn met(&self, call: &Call, id: &str) -> Result<(), BusError> {
        self.challenges.put(&mark(call), b"given", FRESH).await?;
        self.challenges.take(&challenge(&call.user, id)).await?;
        Ok(())
    }

    /// Whether a second factor was given on the caller's socket lately.
    pub(super) async fn was_met(&self, call: &Call) -> Result<bool, BusError> {
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

/// How long a challenge is open.
pub(super) const LIFE: Duration = Duration::from_secs(5 * 60);
