//! Load scenarios against a running Postern; prints figures of its capacity, and whether a rollout keeps its promises.

mod address;
mod client;
mod compare;
mod idle;
mod limit;
mod memory;
mod processes;
mod publisher;
mod report;
mod results;
mod rollout;
mod run;
mod slow;
mod token;

use clap::{Parser, Subcommand};

/// Load scenarios. All traffic goes to a loopback address, unless `rollout --remote` says otherwise, and ends by itself.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Results of several runs side by side.
    Compare(compare::Compare),
    /// Resident memory per socket of many idle users.
    Idle(idle::Idle),
    /// Absences and losses of clients during a rollout, a drain of a node or an outage.
    Rollout(rollout::Rollout),
    /// Latency of other sockets while some stop reading.
    Slow(slow::Slow),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().scenario {
        Scenario::Compare(compare) => compare.run(),
        Scenario::Idle(idle) => idle.run().await,
        Scenario::Rollout(rollout) => Box::pin(rollout.run()).await,
        Scenario::Slow(slow) => Box::pin(slow.run()).await,
    }
}
