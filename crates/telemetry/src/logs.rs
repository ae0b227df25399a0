//! Log: one line per event on standard error, as JSON or as text.
//!
//! The log contains only events of this workspace and its dependencies from `tracing`. Records of the older `log` crate are
//! excluded on purpose: tokio-postgres, for example, writes the parameters of every statement into them.

mod one_line;
mod subscriber;
mod with_trace;

use std::io;

use tracing::Span;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::ParseError;

use self::subscriber::NODE;
pub(crate) use self::subscriber::subscriber;
use crate::export::Exports;

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line: the event's fields beside `timestamp`, `level`, `target` and `message`, and `spans` from the
    /// outermost to the innermost.
    Json,
    /// Text without colours: colours are control characters, which are escaped.
    Text,
}

/// Installs the subscriber of this process, which writes to standard error, and records spans and the log for export where
/// `exports` has their exporters. Only `main` calls it, because all nodes of a process share the log.
///
/// `filter` is a list of directives of `tracing_subscriber::EnvFilter`, such as `info` or `info,gateway=debug`. It is for both the
/// lines and the exported records; spans for export have samplers instead.
///
/// # Errors
/// A malformed filter, or a subscriber that is already installed.
pub fn init(format: Format, filter: &str, exports: &Exports) -> Result<(), LogsError> {
    let subscriber = subscriber(format, filter, io::stderr, exports)?;
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// Span of a node: every line that is logged in it has the node's role, id and version, as the first of its spans. Filters do not
/// disable it.
#[must_use]
pub fn node_span(role: &'static str, node: &str) -> Span {
    tracing::error_span!(target: NODE, parent: None, "node", role, node, version = env!("CARGO_PKG_VERSION"))
}

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

#[cfg(test)]
mod tests;
