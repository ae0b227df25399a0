//! Security settings and second factors.

use async_trait::async_trait;
use protocol::id::UserId;

use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::answers::Actor;
use crate::audit::Entry;
use crate::security::{Decide, Decided, Decision, Effect, Security, SecurityRecord};

#[async_trait]
impl Security for MemoryStore {
    async fn security(&self, user: &UserId) -> Result<SecurityRecord, StoreError> {
        Ok(self.state().security.get(user).cloned().unwrap_or_default())
    }

    async fn decide_security(&self, user: &UserId, by: &Actor, decide: &Decide<'_>) -> Result<Decided, StoreError> {
        let step = "change the security settings";
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended(step, user, by.session())?;
        let record = state.security.get(user).cloned().unwrap_or_default();
        let decision = decide(&record, now.into()).map_err(|error| StoreError::Broken {
            step,
            source: Box::new(error),
        })?;
        let change = match decision {
            Decision::Leave(outcome) => return Ok(Decided::Now(outcome)),
            Decision::Change(change) => change,
        };
        if let Some(receipt) = &change.receipt {
            if let Some(answer) = state.repeated(receipt, now) {
                return Ok(Decided::Before(answer));
            }
            in_time(step, receipt)?;
            for deed in &change.deeds {
                state.audit(&self.audit, user, Entry::of_deed(deed), receipt, now);
            }
            state.remember(receipt, now);
        }
        state.security.insert(user.clone(), change.record);
        let about = match &change.effect {
            Effect::Suspected(about) => Some(about),
            Effect::Nothing | Effect::Cleared(_) | Effect::AuthorizationsEnd => None,
        };
        state.send_about(user, &change.events, about, now);
        match &change.effect {
            Effect::Nothing | Effect::Suspected(_) => {}
            Effect::Cleared(session) => state.clear(user, session),
            Effect::AuthorizationsEnd => *state.access_epochs.entry(user.clone()).or_default() += 1,
        }
        Ok(Decided::Now(change.outcome))
    }
}
