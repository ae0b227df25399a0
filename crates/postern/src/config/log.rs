//! What is logged.

use clap::Args;

/// How much is logged.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,gateway=debug`.
    #[arg(long = "log", env = "POSTERN_LOG", default_value = "info", global = true)]
    pub filter: String,
}
