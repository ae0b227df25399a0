//! Load scenarios against a running Postern on loopback; prints figures of its capacity.

mod client;
mod idle;
mod memory;
mod publisher;
mod slow;
mod token;

use clap::{Parser, Subcommand};

/// Load scenarios. All traffic goes to a loopback address and ends by itself.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Resident memory per socket of many idle users.
    Idle(idle::Idle),
    /// Latency of other sockets while some stop reading.
    Slow(slow::Slow),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().scenario {
        Scenario::Idle(idle) => idle.run().await,
        Scenario::Slow(slow) => Box::pin(slow.run()).await,
    }
}
