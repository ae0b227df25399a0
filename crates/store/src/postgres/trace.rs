//! Span of an operation on Postgres, by the semantic conventions of OpenTelemetry for databases.

use telemetry::trace;
use tracing::Span;
use tracing::field::Empty;

use super::error::Failure;
use crate::step::Step;

/// Span of an operation, with the wait for a connection and all attempts. Outside of a sampled trace it is disabled: most polls of the
/// background tasks find nothing, and would be most of all traces.
pub(super) fn operation_span(step: Step) -> Span {
    if !trace::is_sampled() {
        return Span::none();
    }
    tracing::info_span!(
        target: trace::TARGET,
        "postgres",
        otel.name = step.as_str(),
        otel.kind = "client",
        db.system.name = "postgresql",
        db.operation.name = step.as_str(),
        db.response.status_code = Empty,
    )
}

/// Marks the span of an operation as failed, unless the refused session is the answer of the store. The text of the server is left
/// out: it quotes values of rows.
pub(super) fn record_failure(span: &Span, failure: &Failure) {
    if matches!(failure, Failure::SessionEnded) {
        return;
    }
    if let Some(code) = failure.sql_state() {
        span.record("db.response.status_code", code);
    }
    let class = failure.class();
    trace::failed(span, class, &class);
}
