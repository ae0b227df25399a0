//! Scenario `mixed`: many connections with a realistic mix of traffic.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::options::{DurationOptions, FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::plan::{Operation, Plan, RequestPlan};
use crate::run::Output;
use crate::traffic::Mix;

/// Keeps more than a thousand sockets connected for ten minutes. Of the published events most are notifications, some are status changes
/// and few are alerts; sockets list their accounts, and lose their connections and resume.
#[derive(Debug, Args)]
pub(crate) struct Mixed {
    #[command(flatten)]
    servers: ServerOptions,
    /// Number of users.
    #[arg(long, default_value_t = 600)]
    users: usize,
    /// Number of sockets of each user.
    #[arg(long, default_value_t = 2)]
    sockets: usize,
    /// Events a second, of all users.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Share of notifications among the events.
    #[arg(long, default_value_t = 0.65)]
    notifications: f64,
    /// Share of alerts among the events.
    #[arg(long, default_value_t = 0.05)]
    alerts: f64,
    /// Requests a second, of all sockets.
    #[arg(long, default_value_t = 50.0)]
    request_rate: f64,
    /// Connections lost a second.
    #[arg(long, default_value_t = 2.0)]
    drop_rate: f64,
    /// Duration.
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    duration: Duration,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

impl Mixed {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let traffic = TrafficOptions {
            rate: self.rate,
            bytes: EVENT_BYTES,
            connections: CONNECTIONS,
            keyed: false,
            batch: 1,
        };
        let mix = Mix {
            notifications: self.notifications,
            alerts: self.alerts,
            seed: self.servers.seed()?,
        };
        let plan = Plan {
            scenario: "mixed",
            servers: self.servers,
            sockets: SocketOptions {
                users: self.users,
                sockets: self.sockets,
            },
            events: Some((traffic, mix)),
            requests: Some(RequestPlan {
                rate: self.request_rate,
                event: "account:list".to_owned(),
                data: json!({}),
            }),
            drops: self.drop_rate,
            terminate: None,
            durations: DurationOptions {
                duration: self.duration,
                warm_up: Duration::ZERO,
            },
            faults: self.faults,
            output: self.output,
            operation: Operation::Delivery,
        };
        Box::pin(plan.run()).await
    }
}

const EVENT_BYTES: usize = 310;
const CONNECTIONS: usize = 8;
