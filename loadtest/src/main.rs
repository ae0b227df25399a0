//! Load scenarios against a running Postern on loopback: how much it carries, printed as figures.

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
    /// Many users, a socket each, nothing to say: resident memory per socket.
    Idle(idle::Idle),
    /// Many events, and sockets that stop reading: what that costs the others.
    Slow(slow::Slow),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().scenario {
        Scenario::Idle(idle) => idle.run().await,
        Scenario::Slow(slow) => Box::pin(slow.run()).await,
    }
}
