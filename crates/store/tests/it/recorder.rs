//! Publisher that records events in sequence.

use std::sync::Mutex;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use store::{PublishError, Publisher, Store};

#[derive(Debug)]
pub(crate) struct Recorder {
    taken: Mutex<Vec<Envelope>>,
    takes: usize,
}

impl Recorder {
    /// Accepts all events.
    pub(crate) fn new() -> Self {
        Self::refusing_after(usize::MAX)
    }

    /// Accepts this many events and refuses the rest.
    pub(crate) fn refusing_after(takes: usize) -> Self {
        Self {
            taken: Mutex::default(),
            takes,
        }
    }

    pub(crate) fn taken(&self) -> Vec<Envelope> {
        self.taken.lock().unwrap().clone()
    }

    /// Ids of the accepted events.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.taken().iter().map(|event| event.id.to_string()).collect()
    }
}

#[async_trait]
impl Publisher for Recorder {
    async fn publish(&self, _user: &UserId, event: &Envelope) -> Result<(), PublishError> {
        // Lets another relay run in between.
        tokio::task::yield_now().await;
        let mut taken = self.taken.lock().unwrap();
        if taken.len() == self.takes {
            return Err(PublishError);
        }
        taken.push(event.clone());
        Ok(())
    }
}

/// Relays a user's unsent events and returns their ids.
pub(crate) async fn relayed(store: &dyn Store, user: &UserId) -> Vec<String> {
    let recorder = Recorder::new();
    let relayed = store.relay_user(user, &recorder).await.unwrap();
    assert!(!relayed.stopped);
    assert_eq!(relayed.sent, recorder.ids().len() as u64);
    recorder.ids()
}
