//! The second factor, and the settings that it is one of.
//!
//! What is decided, is decided in pure code over the user's record ([`check`], [`lockout`], [`recovery`], [`totp`]), inside the
//! store's transaction that holds it. [`enrolment`] sets a factor up, [`verify`] takes a code, [`step_up`] asks for one. Where codes
//! are not an authenticator's, they are [`sent`] by a [`courier`].

mod settings;
mod step_up;
mod verify;

mod enrolment;
mod wish;

mod challenge;
mod check;
mod code;
mod lockout;
mod recovery;
mod totp;
mod typed_text;

mod address;
mod courier;
mod email;
mod notice;
mod sent;
mod sms;

mod news;
mod rescue;

use std::sync::Arc;
use std::time::Duration;

use bus::{Limits, SessionRegistry};
use lifecycle::{Clock, Entropy, Tasks};
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::id::UserId;
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::vault::{Binding, Vault};
use store::{AuditAction, AuditEvent, Security, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord};

use crate::call::Call;
use crate::metrics::Metrics;
use crate::session::LiveSessions;

pub(crate) use challenge::FactorChallenges;
pub use courier::MessageSenders;
pub use email::{Email, EmailError, EmailSettings, FromAddress, InvalidFromAddress, InvalidSmtpUrl, SmtpServer};
pub use rescue::{OperatorOutcome, reset_factor, unlock_factor};
pub use sms::{InvalidSmsUrl, Sms, SmsError, SmsSettings};
pub(crate) use step_up::StepUp;

/// Does what concerns the second factor; each command is a method in the file of its name.
pub(crate) struct FactorService {
    pub(crate) store: Arc<dyn Security>,
    pub(crate) challenges: FactorChallenges,
    pub(crate) sessions: Arc<dyn SessionRegistry>,
    pub(crate) live: LiveSessions,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) limits: Arc<dyn Limits>,
    pub(crate) message_senders: MessageSenders,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

/// Nothing changes, and the client reads this code's own sentence.
fn refuse(call: &Call, code: ErrorCode) -> SecurityDecision {
    refuse_with(call, Failure::of(code))
}

fn refuse_with(call: &Call, failure: Failure) -> SecurityDecision {
    SecurityDecision::Leave(JobOutcome::from(&call.complete(failure)))
}

/// The record changes as this job's command asked, and the job is answered so.
fn change(
    call: &Call,
    record: SecurityRecord,
    audit_events: Vec<AuditEvent>,
    events: Vec<Envelope>,
    outcome: JobOutcome,
) -> SecurityDecision {
    change_with(call, record, (audit_events, events), outcome, SecurityEffect::Nothing)
}

/// The same, with what else comes of it.
fn change_with(
    call: &Call,
    record: SecurityRecord,
    (audit_events, events): (Vec<AuditEvent>, Vec<Envelope>),
    outcome: JobOutcome,
    effect: SecurityEffect,
) -> SecurityDecision {
    SecurityDecision::SecurityChange(Box::new(SecurityChange {
        record,
        events,
        receipt: Some(call.receipt(&outcome)),
        outcome,
        audit_events,
        effect,
    }))
}

/// For the audit log.
fn audit_event(action: AuditAction, subject: impl Into<String>) -> AuditEvent {
    let subject = subject.into();
    AuditEvent { action, subject }
}

/// Whether the caller signed in so lately that a stolen session is unlikely to be what asks.
fn signed_in_lately(call: &Call, now: Timestamp) -> bool {
    call.authenticated_at.is_some_and(|at| now.since(at) < FRESH)
}

/// Where the shared secret belongs, or the address that codes are sent to.
fn factor_binding(user: &UserId, method: FactorMethod) -> Binding<'_> {
    Binding {
        user,
        scope: "factor",
        column: match method {
            FactorMethod::Totp => "secret",
            FactorMethod::Sms | FactorMethod::Email => "address",
        },
    }
}

/// Where recovery codes belong.
fn recovery_binding(user: &UserId) -> Binding<'_> {
    Binding {
        user,
        scope: "factor",
        column: "recovery",
    }
}

/// How long a verification, and a sign-in, are good for.
const FRESH: Duration = Duration::from_secs(5 * 60);
