//! `postern pins`.

use std::path::PathBuf;

use clap::Args;

/// `postern pins`.
#[derive(Debug, Args)]
pub struct PinsArgs {
    /// PEM files with one or more certificates each.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub cert: Vec<PathBuf>,
}
