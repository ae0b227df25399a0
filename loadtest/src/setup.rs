//! A run with its sockets: connects them, runs traffic, and sums up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{interval, timeout};

use crate::event::Kind;
use crate::options::{FaultOptions, ServerOptions, TrafficOptions, unix_seconds};
use crate::pacer::Schedule;
use crate::progress::Progress;
use crate::results::{Subject, Unit};
use crate::run::{Output, Run};
use crate::sequence::Deliveries;
use crate::target::Target;
use crate::token::Issuer;
use crate::traffic::{Ledger, Mix, NumberedEvents, Population, Published, Publishing, Series, Shape};

/// Verdict on connections that are lost, and on attempts to connect that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Losses {
    /// Faults of the server.
    Faults,
    /// Consequences of what the scenario does to the server.
    Expected,
}

/// Run in progress.
pub(crate) struct Setup {
    pub(crate) run: Run,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) population: Population,
    pub(crate) progress: Progress,
    /// Deliveries to sockets that have ended.
    deliveries: Deliveries,
    pub(crate) target: Arc<Target>,
    issuer: Issuer,
    /// Start of the run, which distinguishes its idempotency keys from those of another run with the same seed.
    unix_seconds: u64,
}

impl Setup {
    /// Starts a run and connects its sockets, in the phase `connect`.
    pub(crate) async fn connect(
        scenario: &str,
        servers: &ServerOptions,
        shape: Shape,
        output: &Output,
        parameters: impl IntoIterator<Item = (&'static str, String)>,
    ) -> anyhow::Result<Self> {
        let mut setup = Self::start(scenario, servers, shape, output, parameters)?;
        setup.wait_until_connected().await?;
        setup.run.end_phase()?;
        let sockets = setup.sockets();
        setup.run.cpu_per("handshake", "connect", sockets);
        Ok(setup)
    }

    /// Starts a run, and its sockets, in the phase `connect`.
    pub(crate) fn start(
        scenario: &str,
        servers: &ServerOptions,
        shape: Shape,
        output: &Output,
        parameters: impl IntoIterator<Item = (&'static str, String)>,
    ) -> anyhow::Result<Self> {
        let sizes = [
            ("users", shape.users.to_string()),
            ("sockets", shape.sockets.to_string()),
        ];
        let parameters = parameters.into_iter().chain(sizes);
        let subject = Subject {
            scenario: scenario.to_owned(),
            target: servers.name(),
            seed: Some(shape.seed),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Subject::default()
        };
        let target = Arc::new(servers.target(shape.total())?);
        let issuer = Issuer::new(&servers.jwt_secret, TOKENS_VALID_FOR)?;
        let mut run = Run::start(subject, output)?;
        run.phase("connect")?;
        let ledger = Arc::new(Ledger::new(run.started()));
        Ok(Self {
            population: Population::start(shape, &target, &issuer, &ledger, CONNECTING_AT_ONCE)?,
            run,
            ledger,
            progress: Progress::new(),
            deliveries: Deliveries::default(),
            target,
            issuer,
            unix_seconds: unix_seconds()?,
        })
    }

    /// Waits until all sockets are connected.
    pub(crate) async fn wait_until_connected(&mut self) -> anyhow::Result<()> {
        let connecting = self.population.wait_until_connected(&mut self.progress);
        connecting.await?;
        self.progress.end();
        Ok(())
    }

    /// Starts as many new sockets of the same users, after [`Setup::end_sockets`], without resuming the old ones.
    pub(crate) fn start_anew(&mut self) -> anyhow::Result<()> {
        let shape = *self.population.shape();
        self.population = Population::start(shape, &self.target, &self.issuer, &self.ledger, CONNECTING_AT_ONCE)?;
        Ok(())
    }

    /// Ends all sockets, and accounts for their deliveries.
    pub(crate) async fn end_sockets(&mut self, published: &Published) -> anyhow::Result<()> {
        let ending = self.population.end(published);
        self.deliveries += timeout(ENDING, ending).await.context("a socket does not end")??;
        Ok(())
    }

    /// Number of all sockets.
    pub(crate) fn sockets(&self) -> u64 {
        self.population.shape().total() as u64
    }

    /// Schedule from now on.
    pub(crate) fn schedule(&self, rate: f64, duration: Duration) -> Schedule {
        let start = self.run.started();
        Schedule::new(start, start.elapsed() + SOON, rate, duration)
    }

    /// Events to publish from now on, numbered after those of an earlier part.
    pub(crate) fn publishing(
        &self,
        servers: &ServerOptions,
        traffic: &TrafficOptions,
        mix: Mix,
        duration: Duration,
        first: Published,
    ) -> anyhow::Result<Publishing> {
        let shape = *self.population.shape();
        traffic.check_batch(servers, shape.users)?;
        Ok(Publishing {
            apis: servers.apis()?,
            events: self.events(shape, traffic, mix, duration),
            connections: traffic.connections,
            in_sequence: true,
            first,
        })
    }

    /// Starts sockets of other users, which are counted apart.
    pub(crate) fn population_beside(&self, shape: Shape) -> anyhow::Result<(Population, Arc<Ledger>)> {
        let ledger = Arc::new(Ledger::new(self.run.started()));
        let population = Population::start(shape, &self.target, &self.issuer, &ledger, CONNECTING_AT_ONCE)?;
        Ok((population, ledger))
    }

    /// Events of one user to publish from now on, several in each request; the requests are in no sequence.
    pub(crate) fn flood(
        &self,
        servers: &ServerOptions,
        traffic: &TrafficOptions,
        user: Shape,
        duration: Duration,
    ) -> anyhow::Result<Publishing> {
        Ok(Publishing {
            apis: servers.apis()?,
            events: self.events(user, traffic, Mix::only(Kind::Status), duration),
            connections: traffic.connections,
            in_sequence: false,
            first: Published::default(),
        })
    }

    fn events(&self, shape: Shape, traffic: &TrafficOptions, mix: Mix, duration: Duration) -> NumberedEvents {
        NumberedEvents {
            shape,
            schedule: self.schedule(traffic.rate, duration).in_batches(traffic.batch as u64),
            mix,
            bytes: traffic.bytes,
            keyed: traffic.keyed,
            batch: traffic.batch,
            run: self.unix_seconds,
            first: Vec::new(),
        }
    }

    /// Runs work of a known duration behind the progress bar.
    pub(crate) async fn watch<T>(
        progress: &mut Progress,
        name: &str,
        duration: Duration,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut ticks = interval(Duration::from_millis(200));
        let started = tokio::time::Instant::now();
        let total = duration.as_secs();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    progress.end();
                    return done;
                }
                _ = ticks.tick() => {
                    progress.show(&format!("s of {name}"), started.elapsed().as_secs().min(total.saturating_sub(1)), total);
                }
            }
        }
    }

    /// Waits until all published events, with those that may not have been accepted, are at `readers` sockets of each user, and all requests
    /// are answered.
    pub(crate) async fn settle(&self, published: &Published, readers: u64, faults: FaultOptions) {
        self.settle_all(published.total() * readers, faults).await;
    }

    /// Waits until there were this many deliveries, and all requests are answered.
    pub(crate) async fn settle_all(&self, expected: u64, faults: FaultOptions) {
        let delivered = || self.ledger.delivered();
        self.population.wait_for(expected, delivered, faults.patience).await;
        let counts = self.ledger.counts();
        let answered = || counts.requested - self.ledger.counts().unanswered();
        self.population
            .wait_for(counts.requested, answered, faults.patience)
            .await;
    }

    /// Records the latencies of a section; their names begin with the prefix.
    pub(crate) fn record_section(&mut self, section: u8, prefix: &str) {
        let latencies = self.ledger.latencies(section..=section);
        let delivery = |series: &Series| matches!(series, Series::Delivery(_));
        let kinds = latencies.keys().filter(|series| delivery(series)).count();
        for (series, log) in &latencies {
            let name = match series {
                Series::Delivery(_) if kinds == 1 => "delivery",
                Series::Delivery(Kind::Status) => "delivery_status",
                Series::Delivery(Kind::Notification) => "delivery_notification",
                Series::Delivery(Kind::Alert) => "delivery_alert",
                Series::Accepted => "accepted",
                Series::Answer => "answer",
                Series::Connect | Series::Absence => continue,
            };
            self.run.latency(&format!("{prefix}{name}"), log);
        }
    }

    /// Ends the sockets and the run: counts, latencies of connects, summary; an error if promises were broken or limits are not met.
    pub(crate) async fn finish(
        mut self,
        published: &Published,
        losses: Losses,
        faults: FaultOptions,
    ) -> anyhow::Result<()> {
        self.run.end_phase()?;
        self.end_sockets(published).await?;
        let Self {
            mut run,
            ledger,
            deliveries,
            ..
        } = self;
        let all = ledger.latencies(0..=u8::MAX);
        for (series, name) in [(Series::Connect, "connect"), (Series::Absence, "absence")] {
            if let Some(log) = all.get(&series) {
                run.latency(name, log);
            }
        }
        let faults_found = record_counts(&mut run, &ledger, deliveries, losses);
        run.finish()?;
        match faults_found.is_empty() || faults.tolerate_faults {
            true => Ok(()),
            false => bail!("broken: {}", faults_found.join("; ")),
        }
    }

    /// Sets the rates of a phase.
    pub(crate) fn record_rates(&mut self, published: u64, delivered: u64, duration: Duration) {
        let per_second = |count: u64| count as f64 / duration.as_secs_f64().max(f64::EPSILON);
        self.run
            .figure("published_per_second", per_second(published), Unit::PerSecond);
        self.run
            .figure("delivered_per_second", per_second(delivered), Unit::PerSecond);
    }
}

/// Adds all counts; returns the faults among them, as sentences.
fn record_counts(run: &mut Run, ledger: &Ledger, deliveries: Deliveries, losses: Losses) -> Vec<String> {
    let counts = ledger.counts();
    let sum = |reasons: &BTreeMap<String, u64>| reasons.values().sum::<u64>();
    for (name, count) in [
        ("accepted", counts.accepted),
        ("received", deliveries.received),
        ("connects", counts.connects),
        ("resumed", counts.resumed),
        ("retries", counts.retries),
        ("requested", counts.requested),
        ("answered", counts.answered),
        ("cut_off", counts.cut_off),
    ] {
        run.count(name, count);
    }
    let faults = [
        ("lost", deliveries.lost, "deliveries lost"),
        ("twice", deliveries.twice, "deliveries twice"),
        ("out_of_sequence", deliveries.reordered, "deliveries out of sequence"),
        ("refused", sum(&counts.refused), "events not accepted"),
        ("unanswered", counts.unanswered(), "requests without an answer"),
        ("not_resumed", counts.not_resumed, "connections not resumed"),
        ("connections_lost", sum(&counts.lost), "connections lost"),
        ("connects_failed", sum(&counts.failed), "failed attempts to connect"),
    ];
    let mut found = Vec::new();
    for (name, count, sentence) in faults {
        run.count(name, count);
        let is_expected = losses == Losses::Expected && LOSSES.contains(&name);
        if count > 0 && !is_expected {
            found.push(format!("{count} {sentence}"));
        }
    }
    if !found.is_empty() {
        let reasons = counts.refused.iter().chain(&counts.lost).chain(&counts.failed);
        found.extend(reasons.map(|(reason, count)| format!("{count} times {reason:?}")));
    }
    found
}

/// Counts of losses.
const LOSSES: [&str; 2] = ["connections_lost", "connects_failed"];
const CONNECTING_AT_ONCE: usize = 64;
const TOKENS_VALID_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Time from the setup of a schedule to its first event.
const SOON: Duration = Duration::from_millis(100);
/// Time in which all sockets must end.
const ENDING: Duration = Duration::from_secs(120);
