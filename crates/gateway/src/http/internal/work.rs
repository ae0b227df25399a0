//! Work of a worker for a call, and its answer.

use protocol::answer::Failure;
use protocol::cluster::job::Work;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::UserId;
use serde::de::DeserializeOwned;

use super::Internal;
use super::call::Call;
use super::error::ApiError;
use crate::workers::Requester;

impl Internal {
    /// Has a worker do work about a user, once for each idempotency key of the caller, and returns its answer.
    pub(super) async fn work<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        user: &UserId,
        work: Work,
    ) -> Result<T, ApiError> {
        let requester = Requester {
            idempotency_key: call.idempotency_key()?,
            ..call.requester(user)
        };
        let outcome = self.workers.request(requester, work, self.job_timeout).await;
        // Without an answer the outcome is unknown: the work may have been done.
        let outcome = outcome.map_err(|error| ApiError::Failed(error.code()))?;
        let outcome = outcome.ok_or(ApiError::Failed(ErrorCode::Unavailable))?;
        let unreadable = |_unreadable| ApiError::Failed(ErrorCode::Internal);
        match outcome.error {
            None => outcome.data.read().map_err(unreadable),
            Some(code @ (ErrorCode::Unavailable | ErrorCode::Timeout)) => Err(ApiError::Failed(code)),
            Some(_) => Err(ApiError::Refused(
                outcome.data.read::<Box<Failure>>().map_err(unreadable)?,
            )),
        }
    }
}
