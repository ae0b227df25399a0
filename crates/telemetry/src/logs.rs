//! The log: one line per event on standard error, as JSON or for human eyes.
//!
//! Only what this workspace and its dependencies say through `tracing` is written. Records of the older `log` crate
//! are left out on purpose: tokio-postgres, for one, puts the parameters of every statement into them.

mod one_line;

use std::io;

use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use self::one_line::OneLine;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line: the event's fields beside `timestamp`, `level`, `target` and `message`, and `spans`
    /// from the outermost to the innermost.
    Json,
    /// Text, without colours: a colour is a control character, and none of those gets through.
    Human,
}

/// Sends this process' events to standard error, for good. Only `main` calls it: the log is the one thing that all
/// nodes of a process share.
///
/// `filter` is a list of directives of `tracing_subscriber::EnvFilter`, such as `info` or `info,gateway=debug`.
///
/// # Errors
/// When the filter cannot be read, or logs were sent somewhere before.
pub fn init(format: Format, filter: &str) -> Result<(), LogsError> {
    let filter = EnvFilter::try_new(filter)?;
    Ok(tracing::subscriber::set_global_default(subscriber(
        format,
        filter,
        io::stderr,
    ))?)
}

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter does not follow the syntax of `EnvFilter`.
    #[error("read the log filter")]
    Filter(#[from] ParseError),
    /// [`init`] was called twice.
    #[error("logs are being written already")]
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
        // `spans` holds the current span too; named alone it would be there twice.
        Format::Json => Box::new(registry.with(lines.json().flatten_event(true).with_current_span(false))),
    }
}

#[cfg(test)]
mod tests;
