//! Scenario `idle`: memory of an idle socket, and CPU time of a handshake.

mod children;
mod sockets;

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::time::sleep;

use self::children::Children;
pub(crate) use self::sockets::Sockets;
use self::sockets::{Answer, Instruction};
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
    #[arg(long, conflicts_with = "process_count")]
    message_bytes: Option<usize>,
    /// Number of load testing processes, over which the sockets are spread: each has as many as its limit of open files permits.
    #[arg(long = "processes", default_value_t = 1)]
    process_count: usize,
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
        let (own, others) = shares(self.sockets, self.process_count)?;
        let sockets = SocketOptions { users: own, sockets: 1 };
        let shape = sockets.shape(&self.servers)?;
        let parameters = [
            ("hold", humantime::format_duration(self.duration).to_string()),
            ("all_sockets", self.sockets.to_string()),
        ];
        let mut setup = Setup::start("idle", &self.servers, shape, &self.output, parameters)?;
        let mut children = Children::start(&self.servers, shape.seed, own, &others)?;
        setup.wait_until_connected().await?;
        children.wait_for(Answer::Connected).await?;
        setup.run.end_phase()?;
        let total = self.sockets as u64;
        setup.run.cpu_per("handshake", "connect", total);
        setup.run.memory_per("socket_connected", "connect", "connect", total);
        self.wait(&mut setup).await?;
        setup.run.memory_per("socket", "connect", "hold", total);
        setup.run.cpu_per("idle_socket", "hold", total);
        let mut published = self.message(&mut setup).await?;
        if !self.connect_once {
            children.send(Instruction::Disconnect).await?;
            setup.end_sockets(&published).await?;
            children.wait_for(Answer::Disconnected).await?;
            // The new sockets have received nothing.
            published = Published::default();
            setup.run.phase("connect_again")?;
            setup.start_anew()?;
            children.send(Instruction::Connect).await?;
            setup.wait_until_connected().await?;
            children.wait_for(Answer::Connected).await?;
            setup.run.end_phase()?;
            setup.run.cpu_per("known_handshake", "connect_again", total);
            let name = "socket_connected_again";
            setup.run.memory_per(name, "connect", "connect_again", total);
        }
        children.end().await?;
        setup.finish(&published, Losses::Faults, self.faults).await
    }

    /// Keeps all sockets idle.
    async fn wait(&self, setup: &mut Setup) -> anyhow::Result<()> {
        setup.run.phase("hold")?;
        let waited = async {
            sleep(self.duration).await;
            Ok(())
        };
        Setup::watch(&mut setup.progress, "hold", self.duration, waited).await?;
        setup.run.end_phase()
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
            batch: 1,
        };
        let duration = Duration::from_secs_f64(self.sockets as f64 / MESSAGES_PER_SECOND);
        let mix = Mix::only(Kind::Status);
        let publishing = setup.publishing(&self.servers, &traffic, mix, duration, Published::default())?;
        setup.run.phase("message")?;
        let section = setup.ledger.begin_section();
        let published = Setup::watch(&mut setup.progress, "messages", duration, publishing.run(&setup.ledger)).await?;
        setup.settle(&published, 1, self.faults).await;
        setup.run.end_phase()?;
        setup.record_section(section, "");
        let total = setup.sockets();
        setup
            .run
            .memory_per("socket_after_message", "connect", "message", total);
        Ok(published)
    }
}

/// Sockets of this process, and of each other process.
fn shares(sockets: usize, processes: usize) -> anyhow::Result<(usize, Vec<usize>)> {
    if processes == 0 || sockets < processes {
        bail!("give at least one process, and one socket for each");
    }
    let share = sockets / processes;
    let own = sockets - share * (processes - 1);
    Ok((own, vec![share; processes - 1]))
}

const MESSAGES_PER_SECOND: f64 = 500.0;
const CONNECTIONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_all_processes_are_all_sockets() {
        for (sockets, processes) in [(1, 1), (10, 3), (50_000, 4)] {
            let (own, others) = shares(sockets, processes).unwrap();
            assert_eq!(others.len(), processes - 1);
            assert_eq!(own + others.iter().sum::<usize>(), sockets);
        }
        assert!(shares(10, 0).is_err() && shares(2, 3).is_err());
    }
}
