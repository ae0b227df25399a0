//! Load scenarios against a running Postern or another server; prints figures of its capacity, and whether it keeps its promises.

mod address;
mod alerts;
mod capacity;
mod client;
mod command;
mod compare;
mod counter;
mod deflate;
mod dialect;
mod event;
mod fanout;
mod hot;
mod idle;
mod limit;
mod mixed;
mod options;
mod pacer;
mod plan;
mod processes;
mod progress;
mod publisher;
mod random;
mod report;
mod results;
mod rollout;
mod run;
mod sequence;
mod setup;
mod slow;
mod storm;
mod target;
mod token;
mod traffic;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Load scenarios. All traffic goes to a loopback address, unless `rollout --remote` says otherwise, and ends by itself.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Latency and cost of durable alerts.
    Alerts(alerts::Alerts),
    /// Latency and cost of requests of sockets.
    Command(command::Command),
    /// Machines that numbers of users need, by the measured costs.
    Capacity(capacity::Capacity),
    /// Results of several runs side by side.
    Compare(compare::Compare),
    /// Latency and cost of deliveries.
    Fanout(fanout::Fanout),
    /// Latency of all others beside one user with a flood of events or many sockets.
    Hot(hot::Hot),
    /// Memory per socket of many idle users, and CPU time of handshakes.
    Idle(idle::Idle),
    /// Many connections with a realistic mix of traffic.
    Mixed(mixed::Mixed),
    /// Absences and losses of clients during a rollout, a drain of a node or an outage.
    Rollout(rollout::Rollout),
    /// Latency of other sockets while some stop reading.
    Slow(slow::Slow),
    /// Share of the sockets of another process.
    #[command(hide = true)]
    Sockets(idle::Sockets),
    /// Loss and return of all connections at the same time.
    Storm(storm::Storm),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    raise_open_files()?;
    match Cli::parse().scenario {
        Scenario::Alerts(alerts) => Box::pin(alerts.run()).await,
        Scenario::Command(command) => Box::pin(command.run()).await,
        Scenario::Capacity(capacity) => capacity.run(),
        Scenario::Compare(compare) => compare.run(),
        Scenario::Fanout(fanout) => Box::pin(fanout.run()).await,
        Scenario::Hot(hot) => Box::pin(hot.run()).await,
        Scenario::Idle(idle) => Box::pin(idle.run()).await,
        Scenario::Mixed(mixed) => Box::pin(mixed.run()).await,
        Scenario::Rollout(rollout) => Box::pin(rollout.run()).await,
        Scenario::Slow(slow) => Box::pin(slow.run()).await,
        Scenario::Sockets(sockets) => Box::pin(sockets.run()).await,
        Scenario::Storm(storm) => Box::pin(storm.run()).await,
    }
}

/// Permits as many open files as the hard limit does.
fn raise_open_files() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_of_every_scenario_have_names_of_their_own() {
        Cli::command().debug_assert();
    }
}
