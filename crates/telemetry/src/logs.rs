//! Log: one line per event on standard error, as JSON or as text.
//!
//! The log contains only events of this workspace and its dependencies from `tracing`. Records of the older `log` crate are
//! excluded on purpose: tokio-postgres, for example, writes the parameters of every statement into them.

mod one_line;

use std::io;

use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Span, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use self::one_line::OneLine;

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line: the event's fields beside `timestamp`, `level`, `target` and `message`, and `spans` from the
    /// outermost to the innermost.
    Json,
    /// Text without colours: colours are control characters, which are escaped.
    Human,
}

/// Installs the subscriber of this process, which writes to standard error. Only `main` calls it, because all nodes of a process
/// share the log.
///
/// `filter` is a list of directives of `tracing_subscriber::EnvFilter`, such as `info` or `info,gateway=debug`.
///
/// # Errors
/// A malformed filter, or a subscriber that is already installed.
pub fn init(format: Format, filter: &str) -> Result<(), LogsError> {
    let filter = with_nodes(EnvFilter::try_new(filter)?);
    Ok(tracing::subscriber::set_global_default(subscriber(
        format,
        filter,
        io::stderr,
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

fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let registry = registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(OneLine(writer));
    match format {
        Format::Human => Box::new(registry.with(lines)),
        // `spans` contains the current span too, which would otherwise be written twice.
        Format::Json => Box::new(registry.with(lines.json().flatten_event(true).with_current_span(false))),
    }
}

#[cfg(test)]
mod tests;
