//! Operator commands for a user who cannot give the second factor: `postern factor unlock` and `postern factor reset`.

use lifecycle::Entropy;
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::event::Event;
use protocol::id::{EventId, UserId};
use protocol::security::SettingsUpdated;
use store::{
    AuditAction, AuditEvent, Factor, Operator, Receipt, Security, SecurityChange, SecurityDecision, SecurityEffect,
    SecurityOutcome, SecurityRecord, StoreError,
};

use super::decision::audit_event;
use super::lock::unlocked;
use crate::call::operator_receipt;

/// Outcome of an operator's command on a user's factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorOutcome {
    /// Done.
    Done,
    /// The user has no second factor.
    NoFactor,
}

/// Resets a user's count of wrong codes, which ends delay and lockout, and ends a lock by the application.
///
/// # Errors
/// [`StoreError`].
pub async fn unlock_factor(
    store: &dyn Security,
    user: &UserId,
    operator: &Operator,
    entropy: &dyn Entropy,
) -> Result<OperatorOutcome, StoreError> {
    let after = |record: &SecurityRecord, factor: &Factor| OperatorChange {
        record: SecurityRecord {
            factor: Some(unlocked(factor)),
            ..record.clone()
        },
        events: Vec::new(),
        audit_event: audit_event(AuditAction::FactorUnlocked, factor.method.as_str()),
    };
    change_factor(store, user, operator_receipt(operator, entropy), &after).await
}

/// Removes a user's second factor with its recovery codes. The user's devices receive the new settings.
///
/// # Errors
/// [`StoreError`].
pub async fn reset_factor(
    store: &dyn Security,
    user: &UserId,
    operator: &Operator,
    entropy: &dyn Entropy,
) -> Result<OperatorOutcome, StoreError> {
    let without = |record: &SecurityRecord, factor: &Factor| {
        let record = SecurityRecord {
            session_timeout: record.session_timeout,
            ..SecurityRecord::default()
        };
        OperatorChange {
            events: vec![settings_updated(user, &record, entropy)],
            record,
            audit_event: audit_event(AuditAction::FactorReset, factor.method.as_str()),
        }
    };
    change_factor(store, user, operator_receipt(operator, entropy), &without).await
}

/// Change that an operator's command makes to a user who has a factor.
struct OperatorChange {
    record: SecurityRecord,
    events: Vec<Envelope>,
    audit_event: AuditEvent,
}

async fn change_factor(
    store: &dyn Security,
    user: &UserId,
    receipt: Receipt,
    after: &(dyn Fn(&SecurityRecord, &Factor) -> OperatorChange + Send + Sync),
) -> Result<OperatorOutcome, StoreError> {
    let decide = |record: &SecurityRecord, _| {
        let Some(factor) = &record.factor else {
            return Ok(SecurityDecision::Leave(JobOutcome::from(&Failure::of(
                ErrorCode::Conflict,
            ))));
        };
        let OperatorChange {
            record,
            events,
            audit_event,
        } = after(record, factor);
        Ok(SecurityDecision::Change(Box::new(SecurityChange {
            record,
            events,
            outcome: JobOutcome::done(),
            receipt: Some(receipt.clone()),
            audit_events: vec![audit_event],
            effect: SecurityEffect::Nothing,
        })))
    };
    Ok(match store.decide_security(user, &receipt.actor, &decide).await? {
        SecurityOutcome::Committed(outcome) if outcome.error.is_none() => OperatorOutcome::Done,
        SecurityOutcome::Committed(_) | SecurityOutcome::Repeated(_) => OperatorOutcome::NoFactor,
    })
}

#[expect(clippy::expect_used, reason = "a token has 22 printable ASCII characters")]
fn settings_updated(user: &UserId, record: &SecurityRecord, entropy: &dyn Entropy) -> Envelope {
    let id = EventId::new(entropy.token()).expect("a token is printable ASCII");
    let updated = SettingsUpdated {
        user_id: user.clone(),
        settings: record.settings(),
    };
    Envelope::of(id, &Event::SettingsUpdated(updated))
}
