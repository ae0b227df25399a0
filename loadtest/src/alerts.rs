//! Scenario `alerts`: durable alerts.

use clap::Args;

use crate::event::Kind;
use crate::options::{DurationOptions, FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::plan::{Operation, Plan};
use crate::run::Output;
use crate::traffic::Mix;

/// Publishes alerts at a rate, each of which must be committed before it is accepted, and accounts for every delivery. CPU time is given
/// for one alert.
#[derive(Debug, Args)]
pub(crate) struct Alerts {
    #[command(flatten)]
    servers: ServerOptions,
    #[command(flatten)]
    sockets: SocketOptions,
    #[command(flatten)]
    traffic: TrafficOptions,
    #[command(flatten)]
    durations: DurationOptions,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

impl Alerts {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let plan = Plan {
            scenario: "alerts",
            servers: self.servers,
            sockets: self.sockets,
            events: Some((self.traffic, Mix::only(Kind::Alert))),
            requests: None,
            drops: 0.0,
            terminate: None,
            durations: self.durations,
            faults: self.faults,
            output: self.output,
            operation: Operation::Alert,
        };
        Box::pin(plan.run()).await
    }
}
