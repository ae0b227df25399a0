//! Other processes with shares of the sockets.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::sockets::{Answer, Instruction};
use crate::options::ServerOptions;

/// Running processes. They are killed when this is dropped.
pub(super) struct Children {
    children: Vec<Running>,
}

struct Running {
    process: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Children {
    /// Starts a process for each share; the first has the users from `first` on.
    pub(super) fn start(servers: &ServerOptions, seed: u64, first: usize, shares: &[usize]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut children = Vec::new();
        let mut first = first;
        for share in shares {
            let mut process = Command::new(&program)
                .arg("sockets")
                .args(servers.arguments(seed))
                .args(["--users", &share.to_string(), "--first", &first.to_string()])
                .env("POSTERN_JWT_HS256_SECRET", &servers.jwt_secret)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .context("start another process")?;
            let stdin = process.stdin.take().context("no stdin")?;
            let stdout = process.stdout.take().context("no stdout")?;
            children.push(Running {
                process,
                stdin,
                answers: BufReader::new(stdout).lines(),
            });
            first += share;
        }
        Ok(Self { children })
    }

    /// Sends an instruction to each.
    pub(super) async fn send(&mut self, instruction: Instruction) -> anyhow::Result<()> {
        for child in &mut self.children {
            child.stdin.write_all(format!("{instruction}\n").as_bytes()).await?;
        }
        Ok(())
    }

    /// Waits for an answer of each.
    pub(super) async fn wait_for(&mut self, answer: Answer) -> anyhow::Result<()> {
        for child in &mut self.children {
            let line = child.answers.next_line().await?;
            if line.as_deref() != Some(answer.to_string().as_str()) {
                bail!("another process answered {line:?}, not {answer}");
            }
        }
        Ok(())
    }

    /// Ends all; an error if one of them failed.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        for mut child in self.children {
            drop(child.stdin);
            let ended = timeout(PATIENCE, child.process.wait()).await;
            let status = ended.context("another process does not end")??;
            if !status.success() {
                bail!("another process failed: {status}");
            }
        }
        Ok(())
    }
}

const PATIENCE: Duration = Duration::from_secs(120);
