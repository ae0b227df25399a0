//! Scenario `slow`: effect of sockets that stop reading on the others.
#![expect(clippy::print_stdout, reason = "the figures are what the scenario is run for")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::address::Address;
use crate::client::{Client, Target};
use crate::memory::resident;
use crate::publisher::Publisher;
use crate::token::Issuer;

/// Has events published at a rate to users with several sockets each, twice: while all sockets read, and while some have stopped.
/// Every other socket must receive each event of its user once and in sequence. Prints the latencies side by side.
#[derive(Debug, Args)]
pub(crate) struct Slow {
    /// Address of the gateway.
    #[arg(long, default_value = "127.0.0.1:8443")]
    gateway: SocketAddr,
    /// Internal API of the gateway.
    #[arg(long, default_value = "127.0.0.1:9091")]
    internal: SocketAddr,
    /// Bearer token of the internal API.
    #[arg(long, env = "POSTERN_INTERNAL_TOKEN", hide_env_values = true)]
    internal_token: String,
    /// Authority of the gateway's certificate, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// HS256 secret of the gateway.
    #[arg(long, env = "POSTERN_JWT_HS256_SECRET", hide_env_values = true)]
    jwt_secret: String,
    /// Process id of the gateway.
    #[arg(long)]
    pid: u32,
    /// Number of users.
    #[arg(long, default_value_t = 250)]
    users: usize,
    /// Number of sockets of each user.
    #[arg(long, default_value_t = 4)]
    sockets: usize,
    /// Number of sockets that stop reading, each of another user.
    #[arg(long, default_value_t = 50)]
    deaf: usize,
    /// Events a second, over all users.
    #[arg(long, default_value_t = 1_000)]
    rate: usize,
    /// Length of an event, in bytes.
    #[arg(long, default_value_t = 4_096)]
    bytes: usize,
    /// Time for which events are published each time. The gateway must close the stopped sockets within it.
    #[arg(long = "hold", default_value = "60s", value_parser = humantime::parse_duration)]
    duration: Duration,
}

/// The sockets of one user that read.
type Sockets = Vec<Client>;

impl Slow {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut users = self.connect().await?;
        let at_rest = resident(self.pid)?;
        let all = self.publish(&mut users).await?;
        let reading = resident(self.pid)?;
        let deaf: Vec<Client> = users.iter_mut().take(self.deaf).filter_map(Vec::pop).collect();
        let others = self.publish(&mut users).await?;
        let stopped = resident(self.pid)?;

        report("all read", all);
        report(&format!("{} have stopped", deaf.len()), others);
        println!("resident: {at_rest} bytes at rest, {reading} after all have read, {stopped} after some have stopped");
        for client in deaf {
            let ended = timeout(PATIENCE, client.end()).await;
            ended.context("a socket that stopped reading was not given up")?;
        }
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<Vec<Sockets>> {
        let target = Target::new(self.gateway, &self.ca, false)?;
        let issuer = Issuer::new(&self.jwt_secret, Duration::from_secs(3_600))?;
        let mut users = Vec::new();
        for user in 0..self.users {
            let token = issuer.issue(&name(user))?;
            let connecting = (0..self.sockets).map(|_| Box::pin(target.connect(&token)));
            users.push(try_join_all(connecting).await.with_context(|| name(user))?);
        }
        Ok(users)
    }

    /// Publishes for the configured time; returns the latency of each event at each socket.
    async fn publish(&self, users: &mut [Sockets]) -> anyhow::Result<Vec<Duration>> {
        let start = Instant::now();
        let mut listening = JoinSet::new();
        for (user, sockets) in users.iter_mut().enumerate() {
            for client in sockets.drain(..) {
                listening.spawn(async move { Ok::<_, anyhow::Error>((user, listen(client, start).await?)) });
            }
        }
        let publishing = (0..PUBLISHERS).map(|number| self.publish_some(number, start));
        try_join_all(publishing).await?;
        let mut late = Vec::new();
        while let Some(ended) = timeout(PATIENCE, listening.join_next())
            .await
            .context("an event is missing")?
        {
            let (user, (client, delays)) = ended??;
            late.extend(delays);
            users.get_mut(user).context("no such user")?.push(client);
        }
        Ok(late)
    }

    /// Publishes one connection's share of the events, and the last event of each of its users.
    async fn publish_some(&self, number: usize, start: Instant) -> anyhow::Result<()> {
        let internal = Address::parse(&self.internal.to_string())?;
        let mut publisher = Publisher::new(internal, self.internal_token.clone()).await?;
        let mine: Vec<String> = (number..self.users).step_by(PUBLISHERS).map(name).collect();
        let share = u32::try_from(self.rate.div_ceil(PUBLISHERS)).context("a rate of 32 bits")?;
        let mut ticks = interval(Duration::from_secs(1) / share.max(1));
        for user in mine.iter().cycle() {
            ticks.tick().await;
            if start.elapsed() >= self.duration {
                break;
            }
            publisher.publish(user, &self.event(start)).await?;
        }
        for user in &mine {
            publisher.publish(user, &status(LAST)).await?;
        }
        Ok(())
    }

    /// Event with its time of creation.
    fn event(&self, start: Instant) -> String {
        let padding = "x".repeat(self.bytes);
        status(&format!("{:020} {padding}", start.elapsed().as_micros()))
    }
}

/// Receives every event up to the last, which must come in sequence and without a gap.
async fn listen(mut client: Client, start: Instant) -> anyhow::Result<(Client, Vec<Duration>)> {
    let mut late = Vec::new();
    loop {
        let message = client.receive("errorMessage\":\"").await?;
        let Some(made) = message.get(..20).and_then(|made| made.parse().ok()) else {
            return Ok((client, late));
        };
        late.push(start.elapsed().saturating_sub(Duration::from_micros(made)));
    }
}

fn status(message: &str) -> String {
    let data = json!({ "accountType": "github", "status": "error", "metadata": { "errorMessage": message } });
    json!({ "event": "account:status_changed", "data": data }).to_string()
}

fn name(user: usize) -> String {
    format!("SLOW-{user}")
}

fn report(when: &str, mut late: Vec<Duration>) {
    late.sort_unstable();
    let at = |permille: usize| {
        late.get(late.len().saturating_sub(1) * permille / 1_000)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{when}: {} received, p50 {:?}, p99 {:?}, last {:?}",
        late.len(),
        at(500),
        at(990),
        at(1_000)
    );
}

const PUBLISHERS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);
const LAST: &str = "last";
