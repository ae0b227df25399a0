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

use bus::{Limits, Sessions};
use lifecycle::{Clock, Entropy, Tasks};
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::id::UserId;
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::vault::{Binding, Vault};
use store::{Act, Change, Decision, Deed, Effect, Security, SecurityRecord};

use crate::call::Call;
use crate::metrics::Metrics;
use crate::session::LiveSessions;

pub(crate) use challenge::FactorChallenges;
pub use courier::Couriers;
pub use email::{Email, EmailError, EmailSettings, InvalidSender, InvalidSmtpUrl, Sender, SmtpServer};
pub use rescue::{Rescued, reset_factor, unlock_factor};
pub use sms::{InvalidSmsUrl, Sms, SmsError, SmsSettings};
pub(crate) use step_up::StepUp;

/// Does what concerns the second factor; each command is a method in the file of its name.
pub(crate) struct FactorService {
    pub(crate) store: Arc<dyn Security>,
    pub(crate) challenges: FactorChallenges,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) live: LiveSessions,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) limits: Arc<dyn Limits>,
    pub(crate) couriers: Couriers,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

/// Nothing changes, and the client reads this code's own sentence.
fn refuse(call: &Call, code: ErrorCode) -> Decision {
    refuse_with(call, Failure::of(code))
}

fn refuse_with(call: &Call, failure: Failure) -> Decision {
    Decision::Leave(Outcome::from(&call.complete(failure)))
}

/// The record changes as this job's command asked, and the job is answered so.
fn change(call: &Call, record: SecurityRecord, deeds: Vec<Deed>, events: Vec<Envelope>, outcome: Outcome) -> Decision {
    change_with(call, record, (deeds, events), outcome, Effect::Nothing)
}

/// The same, with what else comes of it.
fn change_with(
    call: &Call,
    record: SecurityRecord,
    (deeds, events): (Vec<Deed>, Vec<Envelope>),
    outcome: Outcome,
    effect: Effect,
) -> Decision {
    Decision::Change(Box::new(Change {
        record,
        events,
        receipt: Some(call.receipt(&outcome)),
        outcome,
        deeds,
        effect,
    }))
}

/// For the audit log.
fn deed(act: Act, about: impl Into<String>) -> Deed {
    let about = about.into();
    Deed { act, about }
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
