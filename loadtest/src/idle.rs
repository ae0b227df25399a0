//! Scenario `idle`: memory of an idle socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use crate::client::Target;
use crate::memory::resident;
use crate::token::Issuer;

/// Opens a TLS Socket.IO socket for each of many users, keeps them open through heartbeats, and prints the growth of the gateway's resident
/// memory per socket.
#[derive(Debug, Args)]
pub(crate) struct Idle {
    /// Address of the gateway.
    #[arg(long, default_value = "127.0.0.1:8443")]
    gateway: SocketAddr,
    /// Authority of the gateway's certificate, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// HS256 secret of the gateway.
    #[arg(long, env = "POSTERN_JWT_HS256_SECRET", hide_env_values = true)]
    jwt_secret: String,
    /// Process id of the gateway.
    #[arg(long)]
    pid: u32,
    /// Number of users, with a socket each.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// Negotiates compression, which each socket uses once.
    #[arg(long)]
    deflate: bool,
    /// Time for which the sockets stay open, so that heartbeats are part of the figure.
    #[arg(long = "hold", default_value = "40s", value_parser = humantime::parse_duration)]
    duration: Duration,
}

impl Idle {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let target = Target::new(self.gateway, &self.ca, self.deflate)?;
        let issuer = Issuer::new(&self.jwt_secret, Duration::from_secs(3600))?;
        let before = resident(self.pid)?;

        let mut clients = stream::iter(0..self.sockets)
            .map(|number| {
                let token = issuer.issue(&format!("IDLE-{number}"));
                let target = target.clone();
                Box::pin(async move {
                    target
                        .connect(&token?)
                        .await
                        .with_context(|| format!("socket {number}"))
                })
            })
            .buffer_unordered(CONNECTING_AT_ONCE)
            .try_fold(JoinSet::new(), |mut open, client| async {
                open.spawn(client.stay());
                Ok(open)
            })
            .await?;
        let connected = resident(self.pid)?;

        if let Ok(Some(ended)) = tokio::time::timeout(self.duration, clients.join_next()).await {
            bail!("a socket ended while it should idle: {ended:?}");
        }
        let held = resident(self.pid)?;
        report("connected", before, connected, self.sockets);
        report("held", before, held, self.sockets);
        Ok(())
    }
}

const CONNECTING_AT_ONCE: usize = 64;

#[expect(clippy::print_stdout, reason = "the figures are what the scenario is run for")]
fn report(when: &str, before: u64, now: u64, sockets: usize) {
    let sockets = u64::try_from(sockets).unwrap_or(u64::MAX).max(1);
    let each = now.saturating_sub(before) / sockets;
    println!(
        "{when}: {sockets} sockets, resident {before} -> {now} bytes, {each} bytes each ({:.1} KiB)",
        each as f64 / 1024.0
    );
}
