//! Scenario `idle`: memory of an idle socket, and CPU time of a handshake.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use crate::event::Kind;
use crate::options::{FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::run::Output;
use crate::setup::{Losses, Setup};
use crate::traffic::{Mix, Published};

/// Opens a socket for each of many users and keeps them open through heartbeats; then has all users connect once more, with sessions that
/// the server knows. Prints the growth of resident memory per socket, and the CPU time per handshake, by role.
#[derive(Debug, Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    servers: ServerOptions,
    /// Number of users, with a socket each.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// Time for which the sockets stay open, so that heartbeats are part of the figure.
    #[arg(long = "hold", default_value = "40s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Length of an event that each socket receives after that, in bytes; memory is measured again. None is sent, if no length is given.
    #[arg(long)]
    message_bytes: Option<usize>,
    /// Users connect only once.
    #[arg(long)]
    connect_once: bool,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    output: Output,
}

impl Idle {
    /// Runs the scenario and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let sockets = SocketOptions {
            users: self.sockets,
            sockets: 1,
        };
        let shape = sockets.shape(&self.servers)?;
        let parameters = [("hold", humantime::format_duration(self.duration).to_string())];
        let mut setup = Setup::connect("idle", &self.servers, shape, &self.output, parameters).await?;
        let total = setup.sockets();
        setup.run.memory_per("socket_connected", "connect", "connect", total);
        setup.run.phase("hold")?;
        let duration = self.duration;
        let waited = async {
            sleep(duration).await;
            Ok(())
        };
        Setup::watch(&mut setup.progress, "hold", duration, waited).await?;
        setup.run.end_phase()?;
        setup.run.memory_per("socket", "connect", "hold", total);
        setup.run.cpu_per("idle_socket", "hold", total);
        let published = self.message(&mut setup).await?;
        if self.connect_once {
            return setup.finish(&published, Losses::Faults, self.faults).await;
        }
        setup.connect_anew("connect_again", &published).await?;
        setup.run.cpu_per("known_handshake", "connect_again", total);
        setup
            .run
            .memory_per("socket_connected_again", "connect", "connect_again", total);
        // The new sockets have received nothing.
        setup.finish(&Published::default(), Losses::Faults, self.faults).await
    }

    /// Sends each socket an event of the given length.
    async fn message(&self, setup: &mut Setup) -> anyhow::Result<Published> {
        let Some(bytes) = self.message_bytes else {
            return Ok(Published::default());
        };
        let traffic = TrafficOptions {
            rate: MESSAGES_PER_SECOND,
            bytes,
            connections: CONNECTIONS,
            keyed: false,
        };
        let duration = Duration::from_secs_f64(self.sockets as f64 / MESSAGES_PER_SECOND);
        let mix = Mix::only(Kind::Status);
        let publishing = setup.publishing(&self.servers, &traffic, mix, duration, Published::default())?;
        setup.run.phase("message")?;
        let section = setup.ledger.begin_section();
        let published = Setup::watch(&mut setup.progress, "messages", duration, publishing.run(&setup.ledger)).await?;
        setup.settle(&published, 1).await;
        setup.run.end_phase()?;
        setup.record_section(section, "");
        let total = setup.sockets();
        setup
            .run
            .memory_per("socket_after_message", "connect", "message", total);
        Ok(published)
    }
}

const MESSAGES_PER_SECOND: f64 = 500.0;
const CONNECTIONS: usize = 8;
