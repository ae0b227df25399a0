//! Scenario `rollout`: absences and losses of clients while gateways are replaced.
#![expect(clippy::print_stdout, reason = "the figures are what the scenario is run for")]

mod alerts;
mod new_clients;
mod official;
mod record;
mod report;
mod resident;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};

use self::alerts::Alerts;
use self::record::{Entry, Recorder};
use self::report::Report;
use self::resident::Resident;
use self::tally::Tally;
use crate::address::Address;
use crate::dialect::Dialect;
use crate::publisher::{Api, ApiKind};
use crate::results::Subject;
use crate::run::{Output, Run};
use crate::target::{Target, TargetSettings};
use crate::token::Issuer;

/// Keeps clients connected, publishes numbered alerts to them and connects new clients at a rate, for a duration or until SIGINT or
/// SIGTERM. Meanwhile replace the gateways. Prints absences, refused connections, and lost, repeated and reordered alerts; fails if there
/// were any, or an absence was too long.
#[derive(Debug, Args)]
pub(crate) struct Rollout {
    /// Address for clients, such as that of the balancer: `host:port`.
    #[arg(long, default_value = "127.0.0.1:8443", value_parser = Address::parse)]
    gateway: Address,
    /// Internal API: `host:port`, without TLS.
    #[arg(long, default_value = "127.0.0.1:9091", value_parser = Address::parse)]
    internal: Address,
    /// Bearer token of the internal API.
    #[arg(long, env = "POSTERN_INTERNAL_TOKEN", hide_env_values = true)]
    internal_token: String,
    /// Authority of the gateway's certificate, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// HS256 secret of the gateway.
    #[arg(long, env = "POSTERN_JWT_HS256_SECRET", hide_env_values = true)]
    jwt_secret: String,
    /// Number of resident clients.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Number of those that are socket.io-client in one Node process, instead of this program's own.
    #[arg(long, default_value_t = 0)]
    official: usize,
    /// Folder with the packages of the official clients.
    #[arg(long, default_value = "crates/testkit/node/node_modules")]
    node_modules: PathBuf,
    /// Number of users of the residents.
    #[arg(long, default_value_t = 50)]
    users: usize,
    /// Time between two alerts of a user.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    alert_interval: Duration,
    /// New clients a second.
    #[arg(long, default_value_t = 10)]
    new_clients: u32,
    /// Duration; without it, until SIGINT or SIGTERM.
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Longest time for which a resident may be away.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    longest_absence: Duration,
    /// Allows addresses beyond this machine. Only for a Postern of your own: the users `ROLLOUT-...` get alerts and sessions there.
    #[arg(long)]
    remote: bool,
    #[command(flatten)]
    output: Output,
}

impl Rollout {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let target = Target::new(TargetSettings {
            gateways: vec![self.reachable(&self.gateway)?],
            ca: self.ca.clone(),
            dialect: Dialect::Socketio,
            key_exchange: None,
            sources: 0,
            deflate: false,
        })?;
        let api = Api {
            address: self.reachable(&self.internal)?,
            token: self.internal_token.clone(),
            kind: ApiKind::Users,
        };
        let mut run = Run::start(self.subject(), &self.output)?;
        run.phase("connect")?;
        let issuer = Issuer::new(&self.jwt_secret, TOKENS_VALID_FOR)?;
        let (entries, mut received) = mpsc::channel(QUEUE);
        let mut tally = Tally::new((0..self.clients).map(|client| self.user(client)).collect());
        let mut tasks = JoinSet::new();
        self.start_residents(&mut tasks, &target, &issuer, &entries)?;
        let connecting = timeout(PATIENCE, tally.take_until(&mut received, Tally::all_connected));
        tokio::select! {
            connected = connecting => if connected.is_err() {
                bail!("not all residents are connected: {}", tally.first_failure());
            },
            Some(ended) = tasks.join_next() => ended??,
        }
        println!("{} residents are connected", self.clients);
        run.phase("rollout")?;

        let users = (0..self.users.min(self.clients)).map(|client| self.user(client));
        let mut alerts = Alerts::start(users, &api, self.alert_interval)?;
        let (enough, until) = oneshot::channel();
        if self.new_clients > 0 {
            tasks.spawn(new_clients::run(target, issuer, self.new_clients, entries, until));
        }
        tally.begin();
        self.take_until_end(&mut tally, &mut received, &alerts, &mut tasks)
            .await?;

        drop(enough);
        let published = tally.take_while(&mut received, alerts.stop(PATIENCE)).await?;
        let rest = tally.take_until(&mut received, |tally| tally.is_complete(&published));
        // What has not arrived by then is reported as lost.
        drop(timeout(PATIENCE, rest).await);
        let report = Report::new(&tally, &published, alerts.retries());
        println!("{report}");
        report.record(&mut run);
        run.finish()?;
        let broken = report.broken_promises(self.longest_absence);
        if broken.is_empty() {
            println!("every promise was kept");
            return Ok(());
        }
        bail!("broken: {}", broken.join("; "))
    }

    fn subject(&self) -> Subject {
        let parameters = [
            ("clients", self.clients.to_string()),
            ("users", self.users.to_string()),
            ("new_clients", self.new_clients.to_string()),
            (
                "alert_interval",
                humantime::format_duration(self.alert_interval).to_string(),
            ),
        ];
        Subject {
            scenario: "rollout".to_owned(),
            target: "postern".to_owned(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
            ..Subject::default()
        }
    }

    fn reachable(&self, address: &Address) -> anyhow::Result<Address> {
        match self.remote {
            true => Ok(address.clone()),
            false => address
                .clone()
                .on_loopback()
                .context("give --remote for a Postern of your own elsewhere"),
        }
    }

    fn user(&self, client: usize) -> String {
        format!("ROLLOUT-{}", client % self.users.max(1))
    }

    fn start_residents(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        target: &Target,
        issuer: &Issuer,
        entries: &mpsc::Sender<Entry>,
    ) -> anyhow::Result<()> {
        let mut official = Vec::new();
        for client in 0..self.clients {
            let token = issuer.issue(&self.user(client))?;
            if client < self.official {
                official.push((client, token));
            } else {
                tasks.spawn(Resident::new(client, token, target.clone(), Recorder::new(client, entries)).run());
            }
        }
        if !official.is_empty() {
            let node = official::Official {
                gateway: format!("https://{}", self.gateway),
                ca: std::path::absolute(&self.ca)?,
                node_modules: std::path::absolute(&self.node_modules)?,
                clients: official,
            };
            let entries = entries.clone();
            tasks.spawn(async move { node.run(&entries).await });
        }
        Ok(())
    }

    /// Takes records until the end of the run, and prints a line of progress every ten seconds.
    async fn take_until_end(
        &self,
        tally: &mut Tally,
        received: &mut mpsc::Receiver<Entry>,
        alerts: &Alerts,
        tasks: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut lines = interval(Duration::from_secs(10));
        let end = self.duration.map(|duration| Instant::now() + duration);
        let until_end = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(until_end);
        loop {
            tokio::select! {
                Some(entry) = received.recv() => tally.take(entry),
                Some(ended) = tasks.join_next() => ended??,
                _ = lines.tick() => println!("{}", tally.progress(alerts.retries())),
                () = &mut until_end => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            }
        }
    }
}

const TOKENS_VALID_FOR: Duration = Duration::from_secs(24 * 3600);
/// Most records that wait for the tally; clients wait while it is full.
const QUEUE: usize = 1024;
/// Time in which the residents must connect, and in which the last alerts must arrive.
const PATIENCE: Duration = Duration::from_secs(30);
