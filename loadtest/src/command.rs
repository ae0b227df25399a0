//! Scenario `command`: requests of sockets and their answers.

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use crate::options::{DurationOptions, FaultOptions, ServerOptions, SocketOptions};
use crate::plan::{Operation, Plan, RequestPlan};
use crate::run::Output;

/// Has the sockets send requests at a rate, each of which must be answered.
#[derive(Debug, Args)]
pub(crate) struct Command {
    #[command(flatten)]
    servers: ServerOptions,
    #[command(flatten)]
    sockets: SocketOptions,
    /// Requests a second, of all sockets. Postern takes two commands a second of each user.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Event of the requests.
    #[arg(long, default_value = "account:list")]
    event: String,
    /// Data of the requests, JSON.
    #[arg(long, default_value = "{}")]
    data: String,
    #[command(flatten)]
    durations: DurationOptions,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

impl Command {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let data: Value = serde_json::from_str(&self.data).context("read --data")?;
        let plan = Plan {
            scenario: "command",
            servers: self.servers,
            sockets: self.sockets,
            events: None,
            requests: Some(RequestPlan {
                rate: self.rate,
                event: self.event,
                data,
            }),
            drops: 0.0,
            terminate: None,
            durations: self.durations,
            faults: self.faults,
            output: self.output,
            operation: Operation::Command,
        };
        Box::pin(plan.run()).await
    }
}
