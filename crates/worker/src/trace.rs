//! Trace spans of work outside of a job: that of the background, which is in no client's trace, and that which a job leaves behind.

use protocol::account::AccountType;
use protocol::fault::Fault;
use telemetry::trace;
use tracing::Span;

/// Root span of an attempt at a platform, such as a scheduled sync.
pub(crate) fn background_span(operation: &'static str, platform: AccountType) -> Span {
    tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "background",
        otel.name = operation,
        otel.kind = "internal",
        platform = platform.as_str(),
    )
}

/// Span of a task that continues after its job: a child of the current span, which it does not keep open; disabled outside of a
/// trace.
pub(crate) fn task_span(operation: &'static str) -> Span {
    let Some(current) = trace::current() else {
        return Span::none();
    };
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "task",
        otel.name = operation,
        otel.kind = "internal",
    );
    trace::continue_from(&span, Some(&current));
    span
}

/// Marks a span as failed, by the code of the error: its text may quote what no span may have.
pub(crate) fn record_failure(span: &Span, error: &impl Fault) {
    let code = error.code().as_str();
    trace::failed(span, code, &code);
}
