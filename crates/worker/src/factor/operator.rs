//! Operator commands for a user who cannot give the second factor: `postern factor unlock` and `postern factor reset`.

use std::time::Duration;

use lifecycle::Entropy;
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::event::Event;
use protocol::id::{ConnectionId, EventId, JobId, SessionId, UserId};
use protocol::security::SettingsUpdated;
use protocol::trace::TraceParent;
use store::vault::Ciphertext;
use store::{
    Actor, AuditAction, AuditEvent, Factor, Receipt, Security, SecurityChange, SecurityDecision, SecurityEffect,
    SecurityOutcome, SecurityRecord, StoreError,
};
use tokio::time::Instant;

use super::decision::audit_event;

/// Outcome of an operator's command on a user's factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorOutcome {
    /// Done.
    Done,
    /// The user has no second factor.
    NoFactor,
}

/// Resets a user's count of wrong codes, which ends delay and lock.
///
/// # Errors
/// [`StoreError`].
pub async fn unlock_factor(
    store: &dyn Security,
    user: &UserId,
    entropy: &dyn Entropy,
) -> Result<OperatorOutcome, StoreError> {
    let unlocked = |record: &SecurityRecord, factor: &Factor| OperatorChange {
        record: SecurityRecord {
            factor: Some(Factor {
                failures: 0,
                last_failed: None,
                ..factor.clone()
            }),
            ..record.clone()
        },
        events: Vec::new(),
        audit_event: audit_event(AuditAction::FactorUnlocked, factor.method.as_str()),
    };
    change_factor(store, user, entropy, &unlocked).await
}

/// Removes a user's second factor with its recovery codes. The user's devices receive the new settings.
///
/// # Errors
/// [`StoreError`].
pub async fn reset_factor(
    store: &dyn Security,
    user: &UserId,
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
    change_factor(store, user, entropy, &without).await
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
    entropy: &dyn Entropy,
    after: &(dyn Fn(&SecurityRecord, &Factor) -> OperatorChange + Send + Sync),
) -> Result<OperatorOutcome, StoreError> {
    let receipt = operator_receipt(entropy);
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

/// Receipt for the audit log: an operator has neither session nor socket, and no job repeats the command.
#[expect(clippy::expect_used, reason = "`OPERATOR` and a token are printable ASCII")]
fn operator_receipt(entropy: &dyn Entropy) -> Receipt {
    Receipt {
        job: JobId::new(entropy.token()).expect("a token is printable ASCII"),
        actor: Actor::System(SessionId::new(OPERATOR).expect("`OPERATOR` is printable ASCII")),
        connection: ConnectionId::new(OPERATOR).expect("`OPERATOR` is printable ASCII"),
        origin: None,
        traceparent: TraceParent::begin(u128::from_be_bytes(entropy.bytes()), entropy.u64()),
        idempotency: None,
        answer: Ciphertext::from_bytes(Vec::new()),
        keep: Duration::ZERO,
        deadline: Instant::now() + TIMEOUT,
    }
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

/// Session and socket of an operator in the audit log.
const OPERATOR: &str = "operator";
const TIMEOUT: Duration = Duration::from_secs(60);
