//! Ten wrong second factors end the session they came in: whoever guesses in it shall not go on.

use protocol::cluster::job::JobOutcome;
use protocol::fault::chain;
use protocol::id::{InvalidId, JobId};
use store::{Actor, Receipt, SessionSelector, StoreError};

use super::SessionService;
use super::end::EndError;
use crate::call::{Call, digest, hex};

impl SessionService {
    /// A second factor was wrong. What was answered stands, also where the count is lost: the user's own count, kept with the
    /// factor, delays and locks.
    pub(crate) async fn count_wrong_code(&self, call: &Call, outcome: &JobOutcome) {
        if let Err(error) = self.count(call, outcome).await {
            tracing::warn!(
                error = chain(&error),
                "a wrong second factor was not counted in its session"
            );
        }
    }

    async fn count(&self, call: &Call, outcome: &JobOutcome) -> Result<(), CountError> {
        match self.store.count_factor_failure(&call.user, &call.session).await {
            Ok(count) if count >= MOST_FAILURES => {}
            // Ended meanwhile: there is nothing left to count for.
            Ok(_) | Err(StoreError::SessionEnded(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // A deed of its own beside the answer to the guess, once for that.
        let job = JobId::new(hex(&digest([b"guesses".as_slice(), call.job.as_str().as_bytes()])))?;
        let receipt = |_| Receipt {
            job: job.clone(),
            actor: Actor::System(call.session.clone()),
            idempotency: None,
            ..call.receipt(outcome)
        };
        let which = SessionSelector::One(call.session.clone());
        Ok(self.commit_end(call, which, &receipt).await.map(drop)?)
    }
}

/// Why a session goes on in which it should not.
#[derive(Debug, thiserror::Error)]
enum CountError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    End(#[from] EndError),
}

const MOST_FAILURES: u32 = 10;
