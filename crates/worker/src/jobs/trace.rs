//! Trace span of a job, by the semantic conventions of OpenTelemetry for messaging.

use protocol::cluster::job::{Job, Lane, Work};
use telemetry::trace;
use tracing::Span;
use tracing::field::Empty;

/// Span of a claimed job, from its claim to its end: a child of the span that queued it.
pub(super) fn process_span(lane: Lane, job: &Job) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        "process job",
        otel.name = %format_args!("process {}", lane.as_str()),
        otel.kind = "consumer",
        messaging.system = "redis",
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.name = lane.as_str(),
        command = job.work.name(),
        outcome = Empty,
    );
    trace::continue_from(&span, Some(&job.traceparent));
    if !matches!(job.work, Work::Webhook(_)) {
        trace::set_user(&span, job.user.as_str());
    }
    span
}

/// Records the end of the current job. `failure` is none for a refusal that the caller caused: it is an answer as any other.
pub(super) fn record_end(outcome: &'static str, failure: Option<&'static str>) {
    let span = Span::current();
    span.record("outcome", outcome);
    if let Some(failure) = failure {
        trace::failed(&span, failure, &failure);
    }
}
