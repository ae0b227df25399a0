//! Subscriber of a process: lines of the log, and records and spans for export.

use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, FilterFn, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::Format;
use super::one_line::OneLine;
use super::with_trace::WithTrace;
use crate::export::Exports;
use crate::trace::{layer, no_traces, only_traces};

/// Target of the spans of nodes.
pub(super) const NODE: &str = "node";

/// Subscriber with these exports.
///
/// # Errors
/// A malformed filter.
pub(crate) fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
    exports: &Exports,
) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    if exports.traces().is_some() || exports.logs().is_some() {
        return Ok(Box::new(exporting(format, filter, writer, exports)?));
    }
    // One filter for all, so that what it disables is disabled at its callsite.
    let registry = Registry::default().with(with_nodes(filter)?).with(no_traces());
    let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
        Format::Text => Box::new(registry.with(lines(writer))),
        Format::Json => Box::new(registry.with(json(lines(writer)))),
    };
    Ok(subscriber)
}

/// Layer of one kind of output, with a filter of its own.
type Output = Box<dyn Layer<Registry> + Send + Sync>;

fn exporting<W>(
    format: Format,
    filter: &str,
    writer: W,
    exports: &Exports,
) -> Result<impl Subscriber + Send + Sync + use<W>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let mut outputs: Vec<Output> = Vec::new();
    // First, so that the others find the trace of a span that was just entered.
    if let Some(traces) = exports.traces() {
        outputs.push(layer(traces).with_filter(only_traces()).boxed());
    }
    if let Some(users) = exports.users() {
        outputs.push(users.clone().with_filter(LevelFilter::OFF).boxed());
    }
    let of_the_log = with_nodes(filter)?.and(no_traces());
    outputs.push(match format {
        Format::Text => lines(writer)
            .map_event_format(WithTrace::text)
            .with_filter(of_the_log)
            .boxed(),
        Format::Json => json(lines(writer))
            .map_event_format(WithTrace::json)
            .with_filter(of_the_log)
            .boxed(),
    });
    if let Some(logs) = exports.logs() {
        let records = OpenTelemetryTracingBridge::builder(logs)
            .with_tracing_span_attributes(TracingSpanAttributes::all())
            .build();
        let of_the_log = with_nodes(filter)?.and(no_traces()).and(no_exporters());
        outputs.push(records.with_filter(of_the_log).boxed());
    }
    Ok(Registry::default().with(outputs))
}

type Lines<S, N, E, W> = tracing_subscriber::fmt::Layer<S, N, E, OneLine<W>>;
type TextFields = tracing_subscriber::fmt::format::DefaultFields;
type TextFormat = tracing_subscriber::fmt::format::Format;
type JsonFields = tracing_subscriber::fmt::format::JsonFields;
type JsonFormat = tracing_subscriber::fmt::format::Format<tracing_subscriber::fmt::format::Json>;

fn lines<S, W>(writer: W) -> Lines<S, TextFields, TextFormat, W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(OneLine(writer))
}

fn json<S, W>(lines: Lines<S, TextFields, TextFormat, W>) -> Lines<S, JsonFields, JsonFormat, W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    // `spans` contains the current span too, which would otherwise be written twice.
    lines.json().flatten_event(true).with_current_span(false)
}

/// Filter that enables the spans of nodes, whatever else it enables.
#[expect(clippy::expect_used, reason = "a literal of target and level is a directive")]
fn with_nodes(filter: &str) -> Result<EnvFilter, ParseError> {
    let nodes = format!("{NODE}=error").parse().expect("a directive");
    Ok(EnvFilter::try_new(filter)?.add_directive(nodes))
}

/// Filter that disables what the libraries of an exporter log at `debug`: each export would cause the next.
fn no_exporters() -> FilterFn {
    let enabled: fn(&Metadata<'_>) -> bool = |metadata| {
        let library = metadata.target().split("::").next().unwrap_or_default();
        !LIBRARIES.contains(&library)
    };
    FilterFn::new(enabled)
}

/// Libraries that the exporters use.
const LIBRARIES: [&str; 9] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "reqwest",
    "tonic",
    "tower",
];
