//! Scenario `storm`: all sockets lose their connections and come back at the same time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::event::Kind;
use crate::options::{FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::results::Unit;
use crate::run::Output;
use crate::setup::{Losses, Setup};
use crate::traffic::{Mix, Published};

/// Drops all connections, while events are published, and has them come back at the same time. Every socket must resume, and receive
/// every event once.
#[derive(Debug, Args)]
pub(crate) struct Storm {
    #[command(flatten)]
    servers: ServerOptions,
    /// Number of users.
    #[arg(long, default_value_t = 5_000)]
    users: usize,
    /// Number of sockets of each user.
    #[arg(long, default_value_t = 1)]
    sockets: usize,
    /// Events a second, of all users.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Time for which events are published before the connections are dropped.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    before: Duration,
    /// Time without any connection.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    away: Duration,
    /// Shell command that runs while all connections are dropped, and must succeed: one that stops Postgres, for example.
    #[arg(long, value_name = "COMMAND")]
    while_away: Option<String>,
    /// Time for which events are published from the return on.
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    after: Duration,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

impl Storm {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let sockets = SocketOptions {
            users: self.users,
            sockets: self.sockets,
        };
        let shape = sockets.shape(&self.servers)?;
        let traffic = TrafficOptions {
            rate: self.rate,
            bytes: EVENT_BYTES,
            connections: CONNECTIONS,
            keyed: false,
            batch: 1,
        };
        let mut setup = Setup::connect("storm", &self.servers, shape, &self.output, self.parameters()).await?;
        let duration = self.before + self.away + self.after;
        let mix = Mix::only(Kind::Status);
        let publishing = setup.publishing(&self.servers, &traffic, mix, duration, Published::default())?;
        setup.run.phase("before")?;
        let section = setup.ledger.begin_section();
        let ledger = Arc::clone(&setup.ledger);
        let (published, took) = tokio::try_join!(publishing.run(&ledger), self.storm(&mut setup))?;
        setup.settle(&published, shape.sockets as u64, self.faults).await;
        setup.run.end_phase()?;
        let counts = ledger.counts();
        setup
            .run
            .figure("seconds_until_all_returned", took.as_secs_f64(), Unit::Seconds);
        let sockets = setup.sockets();
        setup.run.cpu_per("returned_handshake", "storm", sockets);
        setup.record_section(section, "");
        let resumed = counts.resumed;
        setup.finish(&published, Losses::Expected, self.faults).await?;
        if resumed < sockets && !self.faults.tolerate_faults {
            bail!("broken: {resumed} of {sockets} connections were resumed");
        }
        Ok(())
    }

    /// Drops all connections and waits until all are back; returns the time that this took from the return on.
    async fn storm(&self, setup: &mut Setup) -> anyhow::Result<Duration> {
        sleep(self.before).await;
        setup.run.phase("away")?;
        setup.population.drop_all().await;
        if let Some(command) = &self.while_away {
            run_command(command).await?;
        }
        sleep(self.away).await;
        setup.run.phase("storm")?;
        let returning = Instant::now();
        setup.population.return_all();
        setup.population.wait_until_connected(&mut setup.progress).await?;
        let took = returning.elapsed();
        setup.progress.end();
        setup.run.phase("after")?;
        Ok(took)
    }

    fn parameters(&self) -> [(&'static str, String); 4] {
        let text = |duration| humantime::format_duration(duration).to_string();
        [
            ("rate", self.rate.to_string()),
            ("before", text(self.before)),
            ("away", text(self.away)),
            ("after", text(self.after)),
        ]
    }
}

async fn run_command(command: &str) -> anyhow::Result<()> {
    let status = Command::new("sh").args(["-c", command]).status().await;
    let status = status.with_context(|| format!("run {command}"))?;
    if !status.success() {
        bail!("{command}: {status}");
    }
    Ok(())
}

const EVENT_BYTES: usize = 310;
const CONNECTIONS: usize = 8;
