//! Decisions over a user's security record, made by a job under the row lock.

use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use store::{AuditAction, AuditEvent, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord};

use crate::call::Call;

/// Decision that changes nothing and answers with the standard sentence of this code.
pub(crate) fn refuse(call: &Call, code: ErrorCode) -> SecurityDecision {
    refuse_with(call, Failure::of(code))
}

pub(super) fn refuse_with(call: &Call, failure: Failure) -> SecurityDecision {
    SecurityDecision::Leave(JobOutcome::from(&call.complete(failure)))
}

/// Decision that changes the record as the command asked, and keeps the answer for a repeated job.
pub(crate) fn change(
    call: &Call,
    record: SecurityRecord,
    audit_events: Vec<AuditEvent>,
    events: Vec<Envelope>,
    outcome: JobOutcome,
) -> SecurityDecision {
    change_with(call, record, (audit_events, events), outcome, SecurityEffect::Nothing)
}

/// [`change`] with a further effect in the same transaction.
pub(super) fn change_with(
    call: &Call,
    record: SecurityRecord,
    (audit_events, events): (Vec<AuditEvent>, Vec<Envelope>),
    outcome: JobOutcome,
    effect: SecurityEffect,
) -> SecurityDecision {
    SecurityDecision::Change(Box::new(SecurityChange {
        record,
        events,
        receipt: Some(call.receipt(&outcome)),
        outcome,
        audit_events,
        effect,
    }))
}

/// Row of the audit log.
pub(crate) fn audit_event(action: AuditAction, subject: impl Into<String>) -> AuditEvent {
    let subject = subject.into();
    AuditEvent { action, subject }
}
