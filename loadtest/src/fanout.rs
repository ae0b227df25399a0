//! Scenario `fanout`: deliveries of published events.

use clap::Args;

use crate::event::Kind;
use crate::options::{DurationOptions, FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::plan::{Operation, Plan};
use crate::run::Output;
use crate::traffic::Mix;

/// Publishes events at a rate to users with several sockets each, one request for an event or a batch, and accounts for every delivery.
#[derive(Debug, Args)]
pub(crate) struct Fanout {
    #[command(flatten)]
    servers: ServerOptions,
    #[command(flatten)]
    sockets: SocketOptions,
    #[command(flatten)]
    traffic: TrafficOptions,
    /// Kind of the events.
    #[arg(long, value_enum, default_value_t = Kind::Status)]
    event: Kind,
    /// Process that receives SIGTERM in the middle of the traffic: a gateway that drains. Its sockets must resume at the others.
    #[arg(long, value_name = "PID")]
    terminate: Option<u32>,
    #[command(flatten)]
    durations: DurationOptions,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

impl Fanout {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let plan = Plan {
            scenario: "fanout",
            servers: self.servers,
            sockets: self.sockets,
            events: Some((self.traffic, Mix::only(self.event))),
            requests: None,
            drops: 0.0,
            terminate: self.terminate,
            durations: self.durations,
            faults: self.faults,
            output: self.output,
            operation: Operation::Delivery,
        };
        Box::pin(plan.run()).await
    }
}
