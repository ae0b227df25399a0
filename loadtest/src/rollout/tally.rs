//! Tally of the records of all clients.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::record::{Entry, Record};

/// Counts of all clients.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) residents: Vec<ResidentTally>,
    /// New clients that are connecting.
    connecting: u64,
    pub(super) new_clients: u64,
    pub(super) slowest_new_client: Duration,
    /// Number of refused new clients by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// Times of reconnects.
    pub(super) reconnects: Vec<Instant>,
}

/// Counts of one resident.
#[derive(Debug, Default)]
pub(super) struct ResidentTally {
    pub(super) user: String,
    is_connected: bool,
    /// Time of the loss of the connection, while it is lost.
    pub(super) away_since: Option<Instant>,
    pub(super) absences: Vec<Duration>,
    /// Reasons of attempts to connect that failed.
    pub(super) failed: Vec<String>,
    /// Connections that could not be resumed.
    pub(super) not_resumed: u64,
    pub(super) received: BTreeSet<u64>,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
}

impl Tally {
    /// Tally of residents of these users.
    pub(super) fn new(users: Vec<String>) -> Self {
        let resident = |user| ResidentTally {
            user,
            ..ResidentTally::default()
        };
        Self {
            residents: users.into_iter().map(resident).collect(),
            connecting: 0,
            new_clients: 0,
            slowest_new_client: Duration::ZERO,
            refused: BTreeMap::new(),
            reconnects: Vec::new(),
        }
    }

    /// Takes records until the condition holds.
    pub(super) async fn take_until(&mut self, entries: &mut mpsc::Receiver<Entry>, is_done: impl Fn(&Self) -> bool) {
        while !is_done(self) {
            match entries.recv().await {
                Some(entry) => self.take(entry),
                None => return,
            }
        }
    }

    /// Takes records until the future has a result, and returns that.
    pub(super) async fn take_while<T>(
        &mut self,
        entries: &mut mpsc::Receiver<Entry>,
        future: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(future);
        loop {
            tokio::select! {
                result = &mut future => return result,
                Some(entry) = entries.recv() => self.take(entry),
            }
        }
    }

    /// Takes a record.
    pub(super) fn take(&mut self, entry: Entry) {
        let Entry { client, at, record } = entry;
        match record {
            Record::NewClientStarted => self.connecting += 1,
            Record::NewClientConnected(took) => {
                self.connecting -= 1;
                self.new_clients += 1;
                self.slowest_new_client = self.slowest_new_client.max(took);
            }
            Record::NewClientRefused(reason) => {
                self.connecting -= 1;
                *self.refused.entry(reason).or_default() += 1;
            }
            record => {
                if let Some(resident) = self.residents.get_mut(client)
                    && resident.take(record, at)
                {
                    self.reconnects.push(at);
                }
            }
        }
    }

    /// Forgets failures from before the beginning of the run.
    pub(super) fn begin(&mut self) {
        for resident in &mut self.residents {
            resident.failed.clear();
            resident.absences.clear();
            resident.not_resumed = 0;
        }
        self.reconnects.clear();
    }

    /// Reports whether each resident is connected.
    pub(super) fn all_connected(&self) -> bool {
        self.residents.iter().all(|resident| resident.is_connected)
    }

    /// Reports whether no new client is connecting, and each resident is connected and has received the last alert of its user.
    pub(super) fn is_complete(&self, published: &BTreeMap<String, u64>) -> bool {
        self.connecting == 0
            && self.all_connected()
            && self.residents.iter().all(|resident| {
                let last = published.get(&resident.user);
                last.is_none_or(|last| resident.received.contains(last))
            })
    }

    /// First reason of a failed attempt to connect.
    pub(super) fn first_failure(&self) -> &str {
        let mut failures = self.residents.iter().flat_map(|resident| &resident.failed);
        failures.next().map_or("no answer", String::as_str)
    }

    /// Line about the run so far.
    pub(super) fn progress(&self, retries: u64) -> String {
        let connected = self.residents.iter().filter(|resident| resident.is_connected).count();
        let received: usize = self.residents.iter().map(|resident| resident.received.len()).sum();
        format!(
            "{connected} residents connected, {} reconnects, {received} alerts received, {retries} publishes repeated; \
             {} new clients connected, {} refused",
            self.reconnects.len(),
            self.new_clients,
            self.refused.values().sum::<u64>()
        )
    }
}

impl ResidentTally {
    /// Takes a record; returns whether it ends an absence.
    fn take(&mut self, record: Record, at: Instant) -> bool {
        match record {
            Record::Connected { recovered } => {
                self.is_connected = true;
                if let Some(since) = self.away_since.take() {
                    self.absences.push(at - since);
                    self.not_resumed += u64::from(!recovered);
                    return true;
                }
            }
            Record::Lost(_) => {
                self.is_connected = false;
                self.away_since = Some(at);
            }
            Record::Failed(reason) => self.failed.push(reason),
            Record::Alert(number) => {
                self.reordered += u64::from(self.received.last().is_some_and(|last| number < *last));
                self.repeated += u64::from(!self.received.insert(number));
            }
            Record::NewClientStarted | Record::NewClientConnected(_) | Record::NewClientRefused(_) => {}
        }
        false
    }
}
