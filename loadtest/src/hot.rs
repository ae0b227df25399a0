//! Scenario `hot`: effect of one user with a flood of events, many sockets, or both, on all others.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::time::{Instant, timeout};

use crate::event::Kind;
use crate::options::{FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::results::Unit;
use crate::run::Output;
use crate::setup::{Losses, Setup};
use crate::traffic::{Ledger, Mix, Population, Published, Series, Shape};

/// Publishes events at a steady rate to ordinary users twice: alone, and beside a flood for one hot user. Every socket of the others must
/// receive each event of its user once and in sequence. The hot user may lose events, of which it alone is notified.
#[derive(Debug, Args)]
pub(crate) struct Hot {
    #[command(flatten)]
    servers: ServerOptions,
    #[command(flatten)]
    sockets: SocketOptions,
    #[command(flatten)]
    traffic: TrafficOptions,
    /// Number of sockets of the hot user. Above 64 raise `POSTERN_MAX_SOCKETS_PER_USER`, and above 256 a gateway
    /// `POSTERN_USER_CONNECT_RATE`.
    #[arg(long, default_value_t = 3)]
    hot_sockets: usize,
    /// Events a second of the hot user.
    #[arg(long, default_value_t = 10_000.0)]
    hot_rate: f64,
    /// Events of one request for the hot user.
    #[arg(long, default_value_t = 100)]
    hot_batch: usize,
    /// Number of connections to the API for the hot user, over which its requests are spread.
    #[arg(long, default_value_t = 8)]
    hot_connections: usize,
    /// Time for which events are published each time.
    #[arg(long = "hold", default_value = "20s", value_parser = humantime::parse_duration)]
    duration: Duration,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

/// The hot user.
struct HotUser {
    population: Population,
    ledger: Arc<Ledger>,
}

impl Hot {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if self.hot_sockets == 0 || self.hot_batch == 0 {
            bail!("give the hot user at least one socket, and a request at least one event");
        }
        let shape = self.sockets.shape(&self.servers)?;
        let of_hot = [
            ("hot_rate", self.hot_rate.to_string()),
            ("hot_sockets", self.hot_sockets.to_string()),
            ("hot_batch", self.hot_batch.to_string()),
        ];
        let parameters = self.traffic.parameters().into_iter().chain(of_hot);
        let mut setup = Setup::connect("hot", &self.servers, shape, &self.output, parameters).await?;
        let mut hot = self.hot_user(&mut setup, shape).await?;
        let alone = self.part(&mut setup, "alone", None, Published::default()).await?;
        let all = self.part(&mut setup, "beside_hot", Some(&mut hot), alone).await?;
        if let [Some(alone), Some(beside)] =
            ["alone", "beside_hot"].map(|part| setup.run.p99_ms(&format!("{part}_delivery")))
        {
            let ratio = beside / alone.max(f64::EPSILON);
            setup.run.figure("delivery_p99_ratio", ratio, Unit::Count);
        }
        setup.finish(&all, Losses::Faults, self.faults).await
    }

    /// Connects the sockets of the hot user.
    async fn hot_user(&self, setup: &mut Setup, others: Shape) -> anyhow::Result<HotUser> {
        let shape = Shape {
            users: 1,
            sockets: self.hot_sockets,
            first: others.users,
            ..others
        };
        setup.run.phase("connect_hot")?;
        let (population, ledger) = setup.population_beside(shape)?;
        population.wait_until_connected(&mut setup.progress).await?;
        setup.progress.end();
        setup.run.end_phase()?;
        Ok(HotUser { population, ledger })
    }

    /// Publishes for the configured time, in a phase of this name, which also precedes the names of its latencies.
    async fn part(
        &self,
        setup: &mut Setup,
        phase: &str,
        hot: Option<&mut HotUser>,
        first: Published,
    ) -> anyhow::Result<Published> {
        let mix = Mix::only(Kind::Status);
        let publishing = setup.publishing(&self.servers, &self.traffic, mix, self.duration, first)?;
        let flood = TrafficOptions {
            rate: self.hot_rate,
            bytes: self.traffic.bytes,
            connections: self.hot_connections,
            keyed: false,
            batch: self.hot_batch,
        };
        setup.run.phase(phase)?;
        let section = setup.ledger.begin_section();
        let (ledger, duration, started) = (Arc::clone(&setup.ledger), self.duration, Instant::now());
        let published = match hot {
            None => Setup::watch(&mut setup.progress, phase, duration, publishing.run(&ledger)).await?,
            Some(hot) => {
                let flood = setup.flood(&self.servers, &flood, *hot.population.shape(), duration)?;
                let both = async { tokio::try_join!(publishing.run(&ledger), flood.run(&hot.ledger)) };
                let (published, of_hot) = Setup::watch(&mut setup.progress, phase, duration, both).await?;
                let took = started.elapsed();
                setup.run.end_phase()?;
                hot.record(setup, &of_hot, took).await?;
                published
            }
        };
        setup.run.end_phase()?;
        setup.settle(&published, self.sockets.sockets as u64, self.faults).await;
        setup.record_section(section, &format!("{phase}_"));
        Ok(published)
    }
}

impl HotUser {
    /// Ends the sockets, and records what they have received, and the rate at which events were accepted in the time that it took.
    async fn record(&mut self, setup: &mut Setup, published: &Published, took: Duration) -> anyhow::Result<()> {
        let ending = self.population.end(published);
        let deliveries = timeout(ENDING, ending).await.context("a socket does not end")??;
        let counts = self.ledger.counts();
        for (name, count) in [
            ("hot_accepted", counts.accepted),
            ("hot_refused", counts.refused.values().sum()),
            ("hot_received", deliveries.received),
            ("hot_not_received", deliveries.lost),
            ("hot_notices", counts.notices),
            ("hot_connections_lost", counts.lost.values().sum()),
        ] {
            setup.run.count(name, count);
        }
        let per_second = counts.accepted as f64 / took.as_secs_f64().max(f64::EPSILON);
        setup.run.figure("hot_accepted_per_second", per_second, Unit::PerSecond);
        for (series, log) in self.ledger.latencies(0..=u8::MAX) {
            let name = match series {
                Series::Delivery(_) => "hot_delivery",
                Series::Accepted => "hot_accepted",
                Series::Answer | Series::Connect | Series::Absence => continue,
            };
            setup.run.latency(name, &log);
        }
        Ok(())
    }
}

/// Time in which all sockets must end.
const ENDING: Duration = Duration::from_secs(120);
