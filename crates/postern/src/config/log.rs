//! Log settings.

use clap::Args;

/// Log settings.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Log level: `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,gateway=debug`.
    #[arg(long = "log", env = "POSTERN_LOG", default_value = "info", global = true)]
    pub filter: String,
}
