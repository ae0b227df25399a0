//! Security settings and second factors.

use async_trait::async_trait;
use protocol::id::UserId;

use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::answers::Actor;
use crate::audit::Entry;
use crate::security::{Security, SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, SecurityRule};

#[async_trait]
impl Security for MemoryStore {
    async fn security(&self, user: &UserId) -> Result<SecurityRecord, StoreError> {
        Ok(self.state().security.get(user).cloned().unwrap_or_default())
    }

    async fn decide_security(
        &self,
        user: &UserId,
        by: &Actor,
        decide: &SecurityRule<'_>,
    ) -> Result<SecurityOutcome, StoreError> {
        let step = "update the security settings";
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended(step, user, by.session())?;
        let record = state.security.get(user).cloned().unwrap_or_default();
        let decision = decide(&record, now.into()).map_err(|error| StoreError::Broken {
            step,
            source: Box::new(error),
        })?;
        let change = match decision {
            SecurityDecision::Leave(outcome) => return Ok(SecurityOutcome::Committed(outcome)),
            SecurityDecision::Change(change) => change,
        };
        if let Some(receipt) = &change.receipt {
            if let Some(answer) = state.repeated(receipt, now) {
                return Ok(SecurityOutcome::Repeated(answer));
            }
            in_time(step, receipt)?;
            for audit_event in &change.audit_events {
                state.audit(&self.audit, user, Entry::of_event(audit_event), receipt, now);
            }
            state.remember(receipt, now);
        }
        state.security.insert(user.clone(), change.record);
        let subject = match &change.effect {
            SecurityEffect::Suspected(subject) => Some(subject),
            SecurityEffect::Nothing | SecurityEffect::Cleared(_) | SecurityEffect::AuthorizationsEnd => None,
        };
        state.send_with_subject(user, &change.events, subject, now);
        match &change.effect {
            SecurityEffect::Nothing | SecurityEffect::Suspected(_) => {}
            SecurityEffect::Cleared(session) => state.clear_subject(user, session),
            SecurityEffect::AuthorizationsEnd => *state.access_epochs.entry(user.clone()).or_default() += 1,
        }
        Ok(SecurityOutcome::Committed(change.outcome))
    }
}
