//! Official clients: socket.io-client in a Node process, which prints what each notices.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::record::{Entry, Record, Recorder};

/// Clients to run, and what their process needs.
pub(super) struct Official {
    /// URL of the gateways.
    pub(super) gateway: String,
    /// File of the authority.
    pub(super) ca: PathBuf,
    /// Folder of the packages.
    pub(super) node_modules: PathBuf,
    /// Number and token of each client.
    pub(super) clients: Vec<(usize, String)>,
}

/// Line that the script prints.
#[derive(Deserialize)]
struct Line {
    client: usize,
    event: String,
    value: Value,
}

impl Official {
    /// Runs the clients until the process ends, which is an error, or this future is dropped.
    pub(super) async fn run(self, entries: &mpsc::Sender<Entry>) -> anyhow::Result<()> {
        let mut node = Command::new("node")
            .args(["-e", include_str!("official.cjs")])
            .env("NODE_PATH", &self.node_modules)
            .env("NODE_EXTRA_CA_CERTS", &self.ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start node")?;
        let mut stdin = node.stdin.take().context("no stdin")?;
        let input = json!({ "gateway": self.gateway, "clients": self.clients });
        stdin.write_all(input.to_string().as_bytes()).await?;
        drop(stdin);
        let mut lines = BufReader::new(node.stdout.take().context("no stdout")?).lines();
        while let Some(line) = lines.next_line().await? {
            let line: Line = serde_json::from_str(&line).with_context(|| format!("node printed {line}"))?;
            let client = line.client;
            if let Some(record) = record(line) {
                Recorder::new(client, entries).record(record).await?;
            }
        }
        bail!("node ended: {}", node.wait().await?)
    }
}

/// Record of a line; `None` for an alert of another publisher.
fn record(line: Line) -> Option<Record> {
    let text = || line.value.as_str().unwrap_or_default().to_owned();
    match line.event.as_str() {
        "connected" => Some(Record::Connected {
            recovered: line.value == Value::Bool(true),
        }),
        "lost" => Some(Record::Lost(text())),
        "alert" => text().parse().ok().map(Record::Alert),
        _ => Some(Record::Failed(text())),
    }
}
