//! Scenario `slow`: effect of sockets that stop reading on the others.

use std::time::Duration;

use clap::Args;

use crate::event::Kind;
use crate::options::{FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::run::Output;
use crate::setup::{Losses, Setup};
use crate::traffic::{Mix, Published};

/// Publishes events at a rate to users with several sockets each, twice: while all sockets read, and while some have stopped. Every other
/// socket must receive each event of its user once and in sequence, and the server must close those that have stopped.
#[derive(Debug, Args)]
pub(crate) struct Slow {
    #[command(flatten)]
    servers: ServerOptions,
    /// Number of users.
    #[arg(long, default_value_t = 250)]
    users: usize,
    /// Number of sockets of each user.
    #[arg(long, default_value_t = 4)]
    sockets: usize,
    /// Number of sockets that stop reading, each of another user.
    #[arg(long, default_value_t = 50)]
    deaf: usize,
    /// Events a second, of all users.
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// Length of an event, in bytes.
    #[arg(long, default_value_t = 4_096)]
    bytes: usize,
    /// Time for which events are published each time. The server must close the stopped sockets in it.
    #[arg(long = "hold", default_value = "60s", value_parser = humantime::parse_duration)]
    duration: Duration,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

impl Slow {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let sockets = SocketOptions {
            users: self.users,
            sockets: self.sockets,
        };
        let shape = sockets.shape(&self.servers)?;
        let parameters = [
            ("rate", self.rate.to_string()),
            ("bytes", self.bytes.to_string()),
            ("deaf", self.deaf.to_string()),
        ];
        let mut setup = Setup::connect("slow", &self.servers, shape, &self.output, parameters).await?;
        let all_read = self.part(&mut setup, "all_read", Published::default()).await?;
        setup.settle(&all_read, shape.sockets as u64, self.faults).await;
        setup.population.stop_reading(self.deaf).await;
        let some_stopped = self.part(&mut setup, "some_stopped", all_read.clone()).await?;
        let of_stopped = |user| some_stopped.count(user) - all_read.count(user);
        let unread: u64 = (0..self.deaf.min(self.users)).map(of_stopped).sum();
        setup
            .settle_all(some_stopped.total() * shape.sockets as u64 - unread, self.faults)
            .await;
        setup.finish(&some_stopped, Losses::Faults, self.faults).await
    }

    /// Publishes for the configured time, in a phase of this name, which also precedes the names of its latencies.
    async fn part(&self, setup: &mut Setup, phase: &str, first: Published) -> anyhow::Result<Published> {
        let traffic = TrafficOptions {
            rate: self.rate,
            bytes: self.bytes,
            connections: CONNECTIONS,
            keyed: false,
            batch: 1,
        };
        let mix = Mix::only(Kind::Status);
        let publishing = setup.publishing(&self.servers, &traffic, mix, self.duration, first)?;
        setup.run.phase(phase)?;
        let section = setup.ledger.begin_section();
        let publishing = publishing.run(&setup.ledger);
        let published = Setup::watch(&mut setup.progress, phase, self.duration, publishing).await?;
        setup.run.end_phase()?;
        setup.record_section(section, &format!("{phase}_"));
        Ok(published)
    }
}

const CONNECTIONS: usize = 16;
