//! `postern config`.

use clap::{Args, Subcommand};

use crate::config::{GatewayArgs, WorkerArgs};

/// `postern config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the effective settings of a node, secrets masked, and all faults; exit with 1 if there are any. Connects to nothing.
    Check(CheckArgs),
}

/// `postern config check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print one JSON object: `{"settings": [{"variable", "value", "source", "file"}], "faults": [...]}`.
    #[arg(long, global = true)]
    pub json: bool,
    /// Node, with the flags of its command.
    #[command(subcommand)]
    pub node: CheckedNode,
}

/// Node whose settings are checked.
#[derive(Debug, Subcommand)]
pub enum CheckedNode {
    /// Settings of `postern gateway`.
    Gateway(Box<GatewayArgs>),
    /// Settings of `postern worker`.
    Worker(Box<WorkerArgs>),
}
