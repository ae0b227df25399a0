//! Publisher that records events in sequence.

use std::mem;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Epoch;
use protocol::id::UserId;
use store::{Publication, PublishError, Publisher, Store};

/// Event log of one user, restored at first.
#[derive(Debug)]
pub(crate) struct Recorder {
    log: Mutex<RecordedLog>,
    takes: usize,
}

#[derive(Debug, Default)]
struct RecordedLog {
    taken: Vec<Envelope>,
    /// Number of the epoch.
    epoch: u8,
    is_unrestored: bool,
    /// Number of events that the log takes before it is lost again.
    lost_after: Option<usize>,
}

impl Recorder {
    /// Accepts all events.
    pub(crate) fn new() -> Self {
        Self::refusing_after(usize::MAX)
    }

    /// Accepts this many events and refuses the rest.
    pub(crate) fn refusing_after(takes: usize) -> Self {
        Self {
            log: Mutex::default(),
            takes,
        }
    }

    /// Loses the event log, and again when it has taken this many events. Returns the lost events.
    pub(crate) fn lose(&self, and_after: Option<usize>) -> Vec<String> {
        let mut log = self.log();
        log.lost_after = and_after;
        ids(&log.lose())
    }

    pub(crate) fn taken(&self) -> Vec<Envelope> {
        self.log().taken.clone()
    }

    /// Ids of the accepted events.
    pub(crate) fn ids(&self) -> Vec<String> {
        ids(&self.taken())
    }

    pub(crate) fn is_unrestored(&self) -> bool {
        self.log().is_unrestored
    }

    fn log(&self) -> MutexGuard<'_, RecordedLog> {
        self.log.lock().unwrap()
    }
}

impl RecordedLog {
    fn lose(&mut self) -> Vec<Envelope> {
        self.epoch += 1;
        self.is_unrestored = true;
        mem::take(&mut self.taken)
    }

    fn epoch(&self) -> Epoch {
        Epoch::new(format!("{:x}", self.epoch)).unwrap()
    }
}

#[async_trait]
impl Publisher for Recorder {
    async fn publish(
        &self,
        _user: &UserId,
        event: &Envelope,
        restored: Option<&Epoch>,
    ) -> Result<Publication, PublishError> {
        // Lets another relay run in between.
        tokio::task::yield_now().await;
        let mut log = self.log();
        if log.taken.len() == self.takes {
            return Err(PublishError);
        }
        let taken = log.taken.len();
        if log.lost_after.take_if(|after| *after == taken).is_some() {
            drop(log.lose());
        }
        if log.is_unrestored && restored != Some(&log.epoch()) {
            return Ok(Publication::Unrestored);
        }
        if !log.taken.iter().any(|taken| taken.id == event.id) {
            log.taken.push(event.clone());
        }
        Ok(Publication::Accepted)
    }

    async fn unrestored_epoch(&self, _user: &UserId) -> Result<Option<Epoch>, PublishError> {
        let log = self.log();
        Ok(log.is_unrestored.then(|| log.epoch()))
    }

    async fn mark_restored(&self, _user: &UserId, epoch: &Epoch) -> Result<bool, PublishError> {
        let mut log = self.log();
        let is_current = log.epoch() == *epoch;
        log.is_unrestored &= !is_current;
        Ok(is_current)
    }
}

fn ids(events: &[Envelope]) -> Vec<String> {
    events.iter().map(|event| event.id.to_string()).collect()
}

/// Relays a user's unsent events and returns their ids.
pub(crate) async fn relayed(store: &dyn Store, user: &UserId) -> Vec<String> {
    let recorder = Recorder::new();
    let relayed = store.relay_user(user, &recorder).await.unwrap();
    assert!(!relayed.stopped);
    assert_eq!(relayed.sent, recorder.ids().len() as u64);
    recorder.ids()
}

/// Restores the empty event log of a user and returns the ids of the events that were published again.
pub(crate) async fn restored(store: &dyn Store, user: &UserId) -> Vec<String> {
    let recorder = Recorder::new();
    recorder.lose(None);
    let relayed = store.restore_user(user, &recorder).await.unwrap();
    assert!(!relayed.stopped && !recorder.is_unrestored(), "{relayed:?}");
    recorder.ids()
}
