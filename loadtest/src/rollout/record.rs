//! Records of clients.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

/// Record with its client and time.
#[derive(Debug)]
pub(super) struct Entry {
    /// Number of the client.
    pub(super) client: usize,
    pub(super) at: Instant,
    pub(super) record: Record,
}

/// Sender of the records of one client. It waits while the queue is full.
#[derive(Clone)]
pub(super) struct Recorder {
    client: usize,
    entries: mpsc::Sender<Entry>,
}

impl Recorder {
    pub(super) fn new(client: usize, entries: &mpsc::Sender<Entry>) -> Self {
        let entries = entries.clone();
        Self { client, entries }
    }

    /// Records it now; an error means that the run has ended.
    pub(super) async fn record(&self, record: Record) -> anyhow::Result<()> {
        let (client, at) = (self.client, Instant::now());
        Ok(self.entries.send(Entry { client, at, record }).await?)
    }
}

/// Record of one client: a resident, except for the last three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The client is connected; false if the server could not resume the lost connection.
    Connected { recovered: bool },
    /// The connection ended.
    Lost(String),
    /// An attempt to connect failed.
    Failed(String),
    /// An alert arrived.
    Alert(u64),
    /// A new client starts to connect.
    NewClientStarted,
    /// A new client was connected after this time.
    NewClientConnected(Duration),
    /// A new client was refused.
    NewClientRefused(String),
}
