//! Layer that records the spans for export.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use super::TARGET;

/// Layer that records the spans which [`only_traces`] enables. It activates the context of a span that is entered, by which spans
/// find their parents and log records their trace.
pub(crate) fn layer<S>(provider: &SdkTracerProvider) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    OpenTelemetryLayer::new(provider.tracer("postern"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
}

/// Filter that enables the spans for export alone.
pub(crate) fn only_traces() -> FilterFn {
    let enabled: fn(&Metadata<'_>) -> bool = |metadata| is_trace(metadata) && *metadata.level() <= LevelFilter::INFO;
    FilterFn::new(enabled).with_max_level_hint(LevelFilter::INFO)
}

/// Filter that disables the spans for export alone.
pub(crate) fn no_traces() -> FilterFn {
    let enabled: fn(&Metadata<'_>) -> bool = |metadata| !is_trace(metadata);
    FilterFn::new(enabled)
}

fn is_trace(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}
