//! Counters of a gateway.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use protocol::account::AccountType;
use protocol::code::CloseCode;
use protocol::command::CommandKind;
use protocol::event::Event;
use protocol::wire::Dialect;

use super::labels::{CertificateFiles, InternalRefusal, RefusalReason, ResumeOutcome, TokenPurpose};
use super::series::{Series, counter, each, outcomes, pairs, single, texts};
use crate::close_reason::CloseReason;
use crate::label::Label;
use crate::token_error::TokenError;

/// Counters, each with all its series.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) connects: Counter<u64>,
    pub(super) refusals: Counter<u64>,
    pub(super) token_refusals: Counter<u64>,
    pub(super) closes: Counter<u64>,
    pub(super) commands: Counter<u64>,
    pub(super) gaps: Counter<u64>,
    pub(super) resyncs: Counter<u64>,
    pub(super) resumes: Counter<u64>,
    pub(super) published: Counter<u64>,
    pub(super) published_before_restore: Counter<u64>,
    pub(super) internal_refusals: Counter<u64>,
    pub(super) callbacks: Counter<u64>,
    pub(super) webhooks: Counter<u64>,
    pub(super) certificate_failures: Counter<u64>,
    pub(super) refusals_uncounted: Counter<u64>,
}

impl Counters {
    /// Creates the counters.
    pub(super) fn new(meter: &Meter) -> Self {
        let platforms = texts("platform", AccountType::ALL.map(AccountType::as_str));
        Self {
            connects: counter(
                meter,
                "postern.gateway.connects",
                "Sockets that became live, by dialect",
                each::<Dialect>("dialect"),
            ),
            refusals: counter(
                meter,
                "postern.gateway.refusals",
                "Connections refused, by reason",
                [each::<RefusalReason>("reason"), each::<TokenError>("reason")].concat(),
            ),
            token_refusals: counter(
                meter,
                "postern.gateway.token_refusals",
                "Tokens that were refused, by entrance and kind",
                pairs(
                    &each::<TokenPurpose>("entrance"),
                    &texts("kind", TokenError::ALL.iter().map(|error| error.kind())),
                ),
            ),
            closes: counter(
                meter,
                "postern.gateway.closes",
                "WebSockets closed, by close code and reason",
                CloseReason::ALL.iter().map(|reason| close_labels(*reason).to_vec()),
            ),
            commands: counter(
                meter,
                "postern.gateway.commands",
                "Commands answered, by event and outcome",
                command_series(),
            ),
            gaps: counter(
                meter,
                "postern.gateway.gaps",
                "Reads of a user's event log because of a gap",
                single(),
            ),
            resyncs: counter(
                meter,
                "postern.gateway.resyncs",
                "Sockets that missed events which cannot be recovered",
                single(),
            ),
            resumes: counter(
                meter,
                "postern.gateway.resumes",
                "Attempts to resume, by outcome",
                each::<ResumeOutcome>("outcome"),
            ),
            published: counter(
                meter,
                "postern.gateway.published",
                "Events published by the internal API, by event",
                texts("event", Event::NAMES.iter().copied()),
            ),
            published_before_restore: counter(
                meter,
                "postern.gateway.published_before_restore",
                "Events of the internal API published although older ones were not yet published again after a loss of Redis",
                single(),
            ),
            internal_refusals: counter(
                meter,
                "postern.gateway.internal_refusals",
                "Requests and TLS handshakes that the internal API refused, by reason",
                each::<InternalRefusal>("reason"),
            ),
            callbacks: counter(
                meter,
                "postern.gateway.callbacks",
                "OAuth callbacks and confirmations, by platform and outcome",
                pairs(&platforms, &outcomes()),
            ),
            webhooks: counter(
                meter,
                "postern.gateway.webhooks",
                "Requests to platforms' webhooks, by platform and outcome",
                pairs(&platforms, &outcomes()),
            ),
            certificate_failures: counter(
                meter,
                "postern.gateway.certificate.failures",
                "Certificate reloads that failed",
                each::<CertificateFiles>("listener"),
            ),
            refusals_uncounted: counter(
                meter,
                "postern.gateway.refusals_uncounted",
                "Refused commands missing in the audit log, because too many users were refused at once",
                single(),
            ),
        }
    }
}

/// Labels of a close: its code, 0 without a Close frame of ours, and its reason.
pub(super) fn close_labels(reason: CloseReason) -> [KeyValue; 2] {
    let code = reason.code().map_or(0, CloseCode::as_u16);
    [
        KeyValue::new("code", i64::from(code)),
        KeyValue::new("reason", reason.label()),
    ]
}

/// Every command with every outcome, and requests without a command, which are all refused.
fn command_series() -> Vec<Series> {
    let events = CommandKind::ALL.map(CommandKind::event).into_iter().chain([NO_COMMAND]);
    pairs(&texts("event", events), &outcomes())
}

/// Event label of a request that is no command.
pub(super) const NO_COMMAND: &str = "none";
