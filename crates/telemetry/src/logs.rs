//! Log: one line per event on standard error, as JSON or as text.
//!
//! The log contains only events of this workspace and its dependencies from `tracing`. Records of the older `log` crate are
//! excluded on purpose: tokio-postgres, for example, writes the parameters of every statement into them.

mod one_line;

use std::io;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Span, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{self, LookupSpan};

use self::one_line::OneLine;
use crate::trace::{layer, no_traces, only_traces};

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line: the event's fields beside `timestamp`, `level`, `target` and `message`, and `spans` from the
    /// outermost to the innermost.
    Json,
    /// Text without colours: colours are control characters, which are escaped.
    Human,
}

/// Installs the subscriber of this process, which writes to standard error, and records spans for export if there is a provider
/// of traces. Only `main` calls it, because all nodes of a process share the log.
///
/// `filter` is a list of directives of `tracing_subscriber::EnvFilter`, such as `info` or `info,gateway=debug`.
///
/// # Errors
/// A malformed filter, or a subscriber that is already installed.
pub fn init(format: Format, filter: &str, traces: Option<&SdkTracerProvider>) -> Result<(), LogsError> {
    let filter = with_nodes(EnvFilter::try_new(filter)?);
    Ok(tracing::subscriber::set_global_default(subscriber(
        format,
        filter,
        io::stderr,
        traces,
    ))?)
}

/// Span of a node: every line that is logged in it has the node's role, id and version, as the first of its spans. Filters do not
/// disable it.
#[must_use]
pub fn node_span(role: &'static str, node: &str) -> Span {
    tracing::error_span!(target: NODE, parent: None, "node", role, node, version = env!("CARGO_PKG_VERSION"))
}

/// Enables the spans of nodes, whatever else the filter enables.
#[expect(clippy::expect_used, reason = "a literal of target and level is a directive")]
fn with_nodes(filter: EnvFilter) -> EnvFilter {
    filter.add_directive(format!("{NODE}=error").parse().expect("a directive"))
}

/// Target of the spans of nodes.
const NODE: &str = "node";

/// Failure to set up the log.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter does not follow the syntax of `EnvFilter`.
    #[error("read the log filter")]
    Filter(#[from] ParseError),
    /// [`init`] was called twice.
    #[error("the log is already set up")]
    Twice(#[from] SetGlobalDefaultError),
}

/// Subscriber of the log and of the spans for export. Without these, one filter is for all, so that what it disables is disabled
/// at its callsite.
fn subscriber<W>(
    format: Format,
    filter: EnvFilter,
    writer: W,
    traces: Option<&SdkTracerProvider>,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let registry = registry::Registry::default();
    match (format, traces) {
        (Format::Human, None) => Box::new(registry.with(filter).with(no_traces()).with(human(writer))),
        (Format::Json, None) => Box::new(registry.with(filter).with(no_traces()).with(json(writer))),
        (Format::Human, Some(traces)) => Box::new(
            registry
                .with(layer(traces).with_filter(only_traces()))
                .with(human(writer).with_filter(filter.and(no_traces()))),
        ),
        (Format::Json, Some(traces)) => Box::new(
            registry
                .with(layer(traces).with_filter(only_traces()))
                .with(json(writer).with_filter(filter.and(no_traces()))),
        ),
    }
}

fn human<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(OneLine(writer))
}

fn json<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // `spans` contains the current span too, which would otherwise be written twice.
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(OneLine(writer))
        .json()
        .flatten_event(true)
        .with_current_span(false)
}

#[cfg(test)]
mod tests;
