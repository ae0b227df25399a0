//! Limit of wrong codes: ten of them end the session in which they were tried, to stop a thief who guesses.

use protocol::cluster::job::JobOutcome;
use protocol::fault::chain;
use protocol::id::{InvalidId, JobId};
use store::{Actor, Receipt, SessionSelector, StoreError};

use super::SessionService;
use super::end::EndError;
use crate::call::{Call, digest, hex};

impl SessionService {
    /// Counts a wrong code in the caller's session. A failure does not change the answer: the user's own count, stored with the factor,
    /// still delays and locks.
    pub(crate) async fn count_wrong_code(&self, call: &Call, outcome: &JobOutcome) {
        if let Err(error) = self.count_and_end(call, outcome).await {
            tracing::warn!(error = chain(&error), "wrong second factor not counted in its session");
        }
    }

    async fn count_and_end(&self, call: &Call, outcome: &JobOutcome) -> Result<(), CountError> {
        match self.records.count_factor_failure(&call.user, &call.session).await {
            Ok(count) if count >= MAX_FAILURES => {}
            // The session was ended meanwhile.
            Ok(_) | Err(StoreError::SessionEnded(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // The end is a job of its own beside the answer to the code, and happens once for this job.
        let job = JobId::new(hex(&digest([b"guesses".as_slice(), call.job.as_str().as_bytes()])))?;
        let receipt = |_| Receipt {
            job: job.clone(),
            actor: Actor::System(call.session.clone()),
            idempotency: None,
            ..call.receipt(outcome)
        };
        let which = SessionSelector::One(call.session.clone());
        let ended = self.ender().end((&call.user, &call.job), which, &receipt).await;
        Ok(ended.map(drop)?)
    }
}

/// Failure to count a wrong code, or to end the session.
#[derive(Debug, thiserror::Error)]
pub(super) enum CountError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    End(#[from] EndError),
}

const MAX_FAILURES: u32 = 10;
