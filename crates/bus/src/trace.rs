//! Spans for export of the bus, by the semantic conventions of OpenTelemetry.

use std::borrow::Cow;

use protocol::cluster::envelope::Envelope;
use protocol::trace::TraceParent;
use telemetry::trace::{self, TARGET};
use tracing::{Span, info_span};

use crate::operation::Operation;

/// Span of an operation on Redis, without its keys and arguments. Only within a sampled trace: the heartbeats and polls of a node would be
/// a trace each, and a span that is not exported would cost each operation as much as one that is.
pub(crate) fn operation(operation: Operation) -> Span {
    if !trace::is_sampled() {
        return Span::none();
    }
    info_span!(
        target: TARGET,
        "redis",
        otel.name = operation.name(),
        otel.kind = "client",
        "db.system.name" = "redis",
        "db.operation.name" = operation.name(),
    )
}

/// Span of the publication of an event, and the event with the context of that span, to which its deliveries are linked. An event that
/// was queued in a trace is published in the same trace. An event whose publication is not sampled has no context.
pub(crate) fn publication<'a>(system: &'static str, event: &'a Envelope) -> (Span, Cow<'a, Envelope>) {
    let span = info_span!(
        target: TARGET,
        "send",
        otel.name = "send events",
        otel.kind = "producer",
        "messaging.system" = system,
        "messaging.operation.name" = "send",
        "messaging.operation.type" = "send",
        "messaging.destination.name" = "events",
        event = event.event.as_str(),
    );
    if span.is_disabled() {
        return (span, Cow::Borrowed(event));
    }
    let is_in_its_trace = |current: &TraceParent| {
        let queued = event.traceparent.as_ref();
        queued.is_none_or(|queued| queued.trace() == current.trace())
    };
    if !trace::current().as_ref().is_some_and(is_in_its_trace) {
        trace::continue_from(&span, event.traceparent.as_ref());
    }
    let traceparent = span.in_scope(trace::current).filter(TraceParent::is_sampled);
    if traceparent == event.traceparent {
        return (span, Cow::Borrowed(event));
    }
    let event = Envelope {
        traceparent,
        ..event.clone()
    };
    (span, Cow::Owned(event))
}
