//! Second factor of a user.
//!
//! Decisions are pure functions of the user's record ([`check`], [`lockout`], [`recovery`], [`totp`], [`totp_replay`]); they run inside
//! the store's transaction that locks this record. [`change`] sets a factor up ([`enrolment`]) or turns it off, [`verify`] checks a
//! code, [`step_up`] requires one. Codes that no authenticator computes ([`sent_code`]) go out by SMS or email ([`sender`]).

mod step_up;
mod verify;

mod change;
mod enrolment;
mod settings_change;

mod challenge;
mod check;
mod code;
mod lockout;
mod qr_code;
mod recovery;
mod totp;
mod totp_replay;
mod typed_text;

mod address;
mod change_notice;
mod email;
mod message;
mod sender;
mod sent_code;
mod sms;
mod trace;

mod decision;
mod events;
mod lock;
mod operator;

#[cfg(test)]
pub(crate) mod error_chains;

use std::sync::Arc;
use std::time::Duration;

use bus::{Limits, SessionRegistry};
use lifecycle::{Clock, Entropy, Tasks};
use protocol::id::UserId;
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::Security;
use store::vault::{Binding, Vault};

use crate::call::Call;
use crate::metrics::Metrics;
use crate::session::LiveSessions;

pub(crate) use challenge::FactorChallenges;
pub(crate) use change::{FactorChangeError, PreparedFactorChange};
pub(crate) use decision::{audit_event, change, refuse};
pub use email::{EmailError, EmailSender, EmailSettings, FromAddress, InvalidFromAddress, InvalidSmtpUrl, SmtpServer};
pub(crate) use events::settings_updated;
pub(crate) use message::{is_logged_outage, is_refused_message};
pub use operator::{OperatorOutcome, reset_factor, unlock_factor};
pub use sender::MessageSenders;
pub use sms::{InvalidSmsUrl, SmsError, SmsSender, SmsSettings};
pub(crate) use step_up::{StepUp, StepUpError};
pub(crate) use verify::VerifyError;

/// Handlers of the commands that concern the second factor: one method each, in the file of its name.
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

/// Reports whether the caller signed in so recently that the request is unlikely to come from a stolen session.
fn signed_in_recently(call: &Call, now: Timestamp) -> bool {
    call.authenticated_at.is_some_and(|at| now.since(at) < RECENT)
}

/// Binding of the encrypted shared secret, or of the address that codes are sent to.
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

/// Binding of the HMACs of recovery codes.
fn recovery_binding(user: &UserId) -> Binding<'_> {
    Binding {
        user,
        scope: "factor",
        column: "recovery",
    }
}

/// Time for which a verification, or a sign-in, counts as recent.
const RECENT: Duration = Duration::from_secs(5 * 60);
