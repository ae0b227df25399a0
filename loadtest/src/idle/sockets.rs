//! Process with a share of the sockets of `idle`: obeys instructions on stdin, one a line, and answers on stdout.
#![expect(clippy::print_stdout, reason = "the parent process reads the answers")]

use std::fmt;
use std::io::stdin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::options::{ServerOptions, SocketOptions};
use crate::progress::Progress;
use crate::token::Issuer;
use crate::traffic::{Ledger, Population, Published};

/// Keeps sockets open for another process.
#[derive(Debug, Args)]
pub(crate) struct Sockets {
    #[command(flatten)]
    servers: ServerOptions,
    /// Number of users, with a socket each.
    #[arg(long)]
    users: usize,
    /// Number of the first user.
    #[arg(long)]
    first: usize,
}

/// Line on stdin. At its end all sockets end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Ends all sockets.
    Disconnect,
    /// Connects all sockets anew.
    Connect,
}

/// Line on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All sockets are connected.
    Connected,
    /// All sockets have ended.
    Disconnected,
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnect => "disconnect",
            Self::Connect => "connect",
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        })
    }
}

impl Sockets {
    /// Runs until the end of stdin; an error if connections were lost or failed.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let sockets = SocketOptions {
            users: self.users,
            sockets: 1,
        };
        let mut shape = sockets.shape(&self.servers)?;
        shape.first = self.first;
        let target = Arc::new(self.servers.target(self.users)?);
        let issuer = Issuer::new(&self.servers.jwt_secret, TOKENS_VALID_FOR)?;
        let ledger = Arc::new(Ledger::new(Instant::now()));
        loop {
            let mut population = Population::start(shape, &target, &issuer, &ledger, CONNECTING_AT_ONCE)?;
            population.wait_until_connected(&mut Progress::hidden()).await?;
            println!("{}", Answer::Connected);
            let next = next_instruction().await?;
            population.end(&Published::default()).await?;
            let counts = ledger.counts();
            if !counts.lost.is_empty() || !counts.failed.is_empty() {
                bail!(
                    "connections were lost: {:?}, or failed: {:?}",
                    counts.lost,
                    counts.failed
                );
            }
            match next {
                Some(Instruction::Disconnect) => println!("{}", Answer::Disconnected),
                Some(Instruction::Connect) | None => return Ok(()),
            }
            if next_instruction().await? != Some(Instruction::Connect) {
                return Ok(());
            }
        }
    }
}

/// Next line of stdin; `None` at its end.
async fn next_instruction() -> anyhow::Result<Option<Instruction>> {
    let line = spawn_blocking(|| stdin().lines().next().transpose()).await??;
    let Some(line) = line else { return Ok(None) };
    for instruction in [Instruction::Disconnect, Instruction::Connect] {
        if line == instruction.to_string() {
            return Ok(Some(instruction));
        }
    }
    bail!("not an instruction: {line}")
}

const CONNECTING_AT_ONCE: usize = 64;
const TOKENS_VALID_FOR: Duration = Duration::from_secs(24 * 3_600);
