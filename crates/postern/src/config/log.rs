//! Log settings.

use clap::Args;

use super::heading;

/// Log settings.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Log level: `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,gateway=debug`.
    #[arg(long = "log", env = "POSTERN_LOG", default_value = Self::FILTER, global = true, help_heading = heading::LOG)]
    pub filter: String,
}

impl LogArgs {
    /// Default of `POSTERN_LOG`.
    pub(crate) const FILTER: &str = "info";
}
