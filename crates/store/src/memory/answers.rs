//! Answers of completed jobs.

use async_trait::async_trait;
use protocol::id::{JobId, UserId};

use super::MemoryStore;
use crate::StoreError;
use crate::answers::{Actor, Answers, Idempotency, PreviousAnswer};

#[async_trait]
impl Answers for MemoryStore {
    async fn previous_answer(
        &self,
        (user, by): (&UserId, &Actor),
        job: &JobId,
        idempotency: Option<&Idempotency>,
    ) -> Result<PreviousAnswer, StoreError> {
        let (state, now) = (self.state(), self.now());
        if state.answered(job, now).is_none() {
            state.refuse_ended("look up a previous answer", user, by.session())?;
        }
        Ok(state.previous_answer(job, idempotency, now))
    }
}
