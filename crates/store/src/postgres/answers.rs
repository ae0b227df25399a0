//! Answers of completed jobs.

use async_trait::async_trait;
use protocol::id::{JobId, SessionId, UserId};
use tokio_postgres::Row;

use super::error::Failure;
use super::parameter::Parameter;
use super::{PgStore, session_check};
use crate::StoreError;
use crate::answers::{Actor, Answers, Idempotency, PreviousAnswer};
use crate::step::Step;
use crate::vault::Ciphertext;

#[async_trait]
impl Answers for PgStore {
    async fn previous_answer(
        &self,
        (user, by): (&UserId, &Actor),
        job: &JobId,
        idempotency: Option<&Idempotency>,
    ) -> Result<PreviousAnswer, StoreError> {
        let step = Step::LookUpPreviousAnswer;
        let find = "SELECT answer, job_id = $1 AS own, job_id = $1 OR body = $3 AS same FROM answers \
                    WHERE (job_id = $1 OR scope = $2) AND expires_at > now() ORDER BY job_id = $1 DESC LIMIT 1";
        let scope = idempotency.map(|key| key.scope.as_slice());
        let body = idempotency.map(|key| key.body.as_slice());
        let (user, session) = (user.as_str(), by.session().map(SessionId::as_str));
        let answer: [&dyn Parameter; 3] = [&job.as_str(), &scope, &body];
        let ended: [&dyn Parameter; 2] = [&user, &session];
        let both = self
            .pool
            .query_both(step, (find, &answer), (session_check::ENDED, &ended));
        let (found, ended) = both.await?;
        let previous_answer = previous_answer(found.first(), !ended.is_empty());
        previous_answer.map_err(|failure| self.pool.report(step, failure))
    }
}

fn previous_answer(row: Option<&Row>, is_ended: bool) -> Result<PreviousAnswer, Failure> {
    let is_own = row.map_or(Ok(false), |row| row.try_get("own"))?;
    if is_ended && !is_own {
        return Err(Failure::SessionEnded);
    }
    let Some(row) = row else {
        return Ok(PreviousAnswer::Nothing);
    };
    // NULL without an idempotency key: then the row was found by the job id.
    let same: Option<bool> = row.try_get("same")?;
    if same == Some(false) {
        return Ok(PreviousAnswer::OtherBody);
    }
    Ok(PreviousAnswer::Answer(Ciphertext::from_bytes(row.try_get("answer")?)))
}
