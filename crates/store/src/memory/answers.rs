//! Answers of completed jobs.

use async_trait::async_trait;
use protocol::id::{JobId, UserId};

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::answers::{Actor, Answers, Idempotency, PreviousAnswer};
use crate::rules::{ALERTS_KEPT_FOR, DELIVERIES_KEPT_FOR, REMEMBERED_FOR, SEEN_KEPT_FOR};

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

    async fn prune(&self) -> Result<u64, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let before = rows(&state);
        let State {
            answers,
            asked,
            spent,
            outbox,
            known_events,
            alerts,
            seen,
            deliveries,
            ..
        } = &mut *state;
        answers.retain(|_, answer| now < answer.expires_at);
        asked.retain(|_, job| answers.contains_key(job));
        spent.retain(|_, at| now < *at + REMEMBERED_FOR);
        alerts.retain(|_, raised| now < raised.raised_at + ALERTS_KEPT_FOR);
        seen.retain(|_, at| now < *at + SEEN_KEPT_FOR);
        deliveries.retain(|_, at| now < *at + DELIVERIES_KEPT_FOR);
        outbox.retain(|_, outgoing| {
            let kept = outgoing.sent_at.is_none_or(|sent_at| now < sent_at + REMEMBERED_FOR);
            if !kept {
                known_events.remove(&outgoing.event.id);
            }
            kept
        });
        Ok(before - rows(&state))
    }
}

fn rows(state: &State) -> u64 {
    let answers = state.answers.len() + state.spent.len();
    let events = state.outbox.len() + state.alerts.len() + state.deliveries.len();
    (answers + events + state.seen.len()) as u64
}
