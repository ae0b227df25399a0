//! Spans for export, and their context on its way between processes.
//!
//! A span for export is a `tracing` span with the target [`TARGET`]. Without an exporter of traces it is disabled at its callsite:
//! it costs one load of an atomic. The log never contains such a span. No attribute has a user, a session, a token, an address, a
//! query of a URL, a payload or a parameter of a statement.
//!
//! ```
//! use telemetry::trace;
//! use tracing::Instrument;
//!
//! # async fn call(received: Option<protocol::trace::TraceParent>) {
//! let span = tracing::info_span!(
//!     target: trace::TARGET,
//!     "postern.command",
//!     otel.name = "account:connect",
//!     otel.kind = "server",
//!     messaging.system = "websocket",
//! );
//! // Before the span is entered: its parent cannot change afterwards.
//! trace::continue_from(&span, received.as_ref());
//! async {
//!     let _sent_with_the_job = trace::current();
//! }
//! .instrument(span)
//! .await;
//! # }
//! ```

mod delivery;
mod layer;
mod sampler;
mod user;

use std::fmt::Display;

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use protocol::trace::TraceParent;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use self::delivery::DeliverySampling;
pub(crate) use self::layer::{layer, no_traces, only_traces};
pub use self::sampler::LinkedRoots;
pub use self::user::{ShortKey, UserPseudonyms, set_user};

/// Target of the spans for export.
pub const TARGET: &str = "postern::trace";

/// Returns true if spans are recorded for export.
#[must_use]
pub fn is_enabled() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// Context of the innermost span for export that is entered, for what this span causes in other processes; none outside of such a
/// span and without an exporter of traces. It has the sampling decision too, so a span that is not sampled has one.
#[must_use]
pub fn current() -> Option<TraceParent> {
    Context::map_current(|context| sent(context.span().span_context()))
}

/// Returns true inside of a span that is exported. An operation that has a span only as part of a trace asks this first: a span that is
/// not exported would cost it as much as one that is.
#[must_use]
pub fn is_sampled() -> bool {
    is_enabled() && current().is_some_and(|current| current.is_sampled())
}

/// Makes a span the child of a span of another process; without one it keeps its parent. It is called before the span is entered
/// and before it has children, as it has no effect afterwards.
pub fn continue_from(span: &Span, parent: Option<&TraceParent>) {
    let Some(parent) = parent.filter(|_| !span.is_disabled()) else {
        return;
    };
    let context = Context::new().with_remote_span_context(received(parent));
    if let Err(error) = span.set_parent(context) {
        // A span that the log shows too, or one that was entered: the trace is split, and nothing else.
        tracing::debug!(%error, "trace not continued");
    }
}

/// Links a span to another one that caused it and is not its parent.
///
/// A root span whose link is sampled is always sampled: whoever creates it has decided on it, as [`DeliverySampling`] does.
pub fn link(span: &Span, cause: &TraceParent) {
    if !span.is_disabled() {
        span.add_link(received(cause));
    }
}

/// Marks a span as failed: its status, `error.type`, and the event of an exception. `error_type` is one of few, such as the
/// variant of an error; the text of the error has neither a secret nor an attribute that spans may not have.
pub fn failed(span: &Span, error_type: &'static str, error: &dyn Display) {
    if span.is_disabled() {
        return;
    }
    span.set_status(Status::error(error_type));
    span.set_attribute("error.type", error_type);
    let message = error.to_string();
    let attributes = vec![
        KeyValue::new("exception.type", error_type),
        KeyValue::new("exception.message", message),
    ];
    span.add_event("exception", attributes);
}

fn sent(context: &SpanContext) -> Option<TraceParent> {
    let trace = u128::from_be_bytes(context.trace_id().to_bytes());
    let span = u64::from_be_bytes(context.span_id().to_bytes());
    TraceParent::of_span(trace, span, context.is_sampled())
}

fn received(context: &TraceParent) -> SpanContext {
    let flags = TraceFlags::NOT_SAMPLED.with_sampled(context.is_sampled());
    SpanContext::new(
        TraceId::from(context.trace()),
        SpanId::from(context.span()),
        flags,
        true,
        TraceState::NONE,
    )
}

#[cfg(test)]
mod tests;
