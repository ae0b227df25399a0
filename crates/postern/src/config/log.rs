//! Log settings.

use std::io::IsTerminal;

use clap::Args;
use telemetry::logs::Format;

use super::heading;

/// Log settings.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Log level: `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,gateway=debug`.
    #[arg(long = "log", env = "POSTERN_LOG", default_value = Self::FILTER, global = true, help_heading = heading::LOG)]
    pub filter: String,
    /// Format of the lines: `json` or `text`; default: `text` at a terminal, else `json`.
    #[arg(long = "log-format", env = "POSTERN_LOG_FORMAT", global = true, help_heading = heading::LOG)]
    pub format: Option<String>,
}

impl LogArgs {
    /// Default of `POSTERN_LOG`.
    pub(crate) const FILTER: &str = "info";

    /// Format of the lines.
    ///
    /// # Errors
    /// Another name.
    pub(crate) fn format(&self) -> Result<Format, &'static str> {
        match self.format.as_deref() {
            None => Ok(Self::default_format()),
            Some("json") => Ok(Format::Json),
            Some("text") => Ok(Format::Text),
            Some(_) => Err("is `json` or `text`"),
        }
    }

    /// Text at a terminal, else JSON.
    pub(crate) fn default_format() -> Format {
        if std::io::stderr().is_terminal() {
            Format::Text
        } else {
            Format::Json
        }
    }
}
