//! Trace span of a message that carries a code or a notice: its method and outcome, without address and text.

use protocol::security::FactorMethod;
use telemetry::trace;
use tracing::Span;
use tracing::field::Empty;

/// Span of a message to a mail server or to the SMS API; disabled outside of a sampled trace.
pub(super) fn message_span(method: FactorMethod) -> Span {
    if !trace::is_sampled() {
        return Span::none();
    }
    match method {
        FactorMethod::Totp => Span::none(),
        FactorMethod::Sms => tracing::info_span!(
            target: trace::TARGET,
            "text message",
            otel.name = "POST /2010-04-01/Accounts/{account}/Messages.json",
            otel.kind = "client",
            http.request.method = "POST",
            http.response.status_code = Empty,
            url.template = "/2010-04-01/Accounts/{account}/Messages.json",
            method = method.as_str(),
        ),
        FactorMethod::Email => tracing::info_span!(
            target: trace::TARGET,
            "email",
            otel.name = "send email",
            otel.kind = "client",
            network.protocol.name = "smtp",
            method = method.as_str(),
        ),
    }
}

/// Records the status of the SMS API in the current span.
pub(super) fn record_status(status: u16) {
    Span::current().record("http.response.status_code", i64::from(status));
}
