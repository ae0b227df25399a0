//! Scenario `idle`: memory of an idle socket, and CPU time of a handshake.

mod children;
mod sockets;

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde_json::{Value, json};
use tokio::time::sleep;

use self::children::Children;
pub(crate) use self::sockets::Sockets;
use self::sockets::{Answer, Instruction};
use crate::client::UNKNOWN_EVENT;
use crate::dialect::Dialect;
use crate::options::{FaultOptions, Server, ServerOptions, SocketOptions};
use crate::run::Output;
use crate::setup::{Losses, Setup};
use crate::traffic::{Published, Requests};

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
    /// Length of a message that each socket sends to Postern after that, in bytes; each must be answered, and memory is measured again. None
    /// is sent, if no length is given.
    #[arg(long, conflicts_with = "process_count", value_parser = RangedU64ValueParser::<usize>::new().range(..=LONGEST_MESSAGE))]
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
        if self.message_bytes.is_some() && self.servers.target != Server::Postern {
            bail!("--message-bytes needs Postern: other servers need not answer an event that they do not know");
        }
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
        self.message(&mut setup).await?;
        // No event is published.
        let published = Published::default();
        if !self.connect_once {
            children.send(Instruction::Disconnect).await?;
            setup.end_sockets(&published).await?;
            children.wait_for(Answer::Disconnected).await?;
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

    /// Has each socket send a message of the given length. Memory is a figure only if all were answered.
    async fn message(&self, setup: &mut Setup) -> anyhow::Result<()> {
        let Some(bytes) = self.message_bytes else {
            return Ok(());
        };
        let duration = Duration::from_secs_f64(self.sockets as f64 / MESSAGES_PER_SECOND);
        let requests = Requests {
            data: padding(setup.target.dialect(), bytes)?,
            schedule: setup.schedule(MESSAGES_PER_SECOND, duration),
            event: UNKNOWN_EVENT.to_owned(),
        };
        setup.run.phase("message")?;
        let section = setup.ledger.begin_section();
        let sending = requests.run(&setup.population, &setup.ledger);
        Setup::watch(&mut setup.progress, "messages", duration, sending).await?;
        setup.settle(&Published::default(), 1, self.faults).await;
        setup.run.end_phase()?;
        setup.record_section(section, "");
        if setup.ledger.counts().unanswered() == 0 {
            let total = setup.sockets();
            setup
                .run
                .memory_per("socket_after_message", "connect", "message", total);
        }
        Ok(())
    }
}

/// Data with which the first request of a socket is a message of the given length, in bytes.
fn padding(dialect: Dialect, bytes: usize) -> anyhow::Result<Value> {
    let data = |length| json!({ "padding": "x".repeat(length) });
    // Ids below 10 have the same length.
    let request = dialect.request(UNKNOWN_EVENT, &data(bytes), 0)?;
    let length = bytes.checked_sub(request.len() - bytes);
    Ok(data(length.context("a request is longer than --message-bytes")?))
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
/// Longest message that a gateway accepts, in bytes.
const LONGEST_MESSAGE: u64 = 64 * 1024;

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

    #[test]
    fn message_has_the_given_length_in_each_dialect() {
        for dialect in [
            Dialect::Socketio,
            Dialect::SocketioMsgpack,
            Dialect::Native,
            Dialect::NativeMsgpack,
        ] {
            for bytes in [1_024, 61_440] {
                let data = padding(dialect, bytes).unwrap();
                let message = dialect.request(UNKNOWN_EVENT, &data, 2).unwrap();
                assert_eq!(message.len(), bytes, "{dialect:?}");
            }
            assert!(padding(dialect, 10).is_err(), "{dialect:?}");
        }
    }
}
