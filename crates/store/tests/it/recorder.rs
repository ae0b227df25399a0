//! A publisher that remembers what it was given, in order.

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
    /// Takes everything.
    pub(crate) fn new() -> Self {
        Self::refusing_after(usize::MAX)
    }

    /// Takes so many and refuses the rest.
    pub(crate) fn refusing_after(takes: usize) -> Self {
        Self {
            taken: Mutex::default(),
            takes,
        }
    }

    pub(crate) fn taken(&self) -> Vec<Envelope> {
        self.taken.lock().unwrap().clone()
    }

    /// The ids of what was taken.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.taken().iter().map(|event| event.id.to_string()).collect()
    }
}

#[async_trait]
impl Publisher for Recorder {
    async fn publish(&self, _user: &UserId, event: &Envelope) -> Result<(), PublishError> {
        // Gives another relay the chance to overtake.
        tokio::task::yield_now().await;
        let mut taken = self.taken.lock().unwrap();
        if taken.len() == self.takes {
            return Err(PublishError);
        }
        taken.push(event.clone());
        Ok(())
    }
}

/// The ids of all that a user's relay finds unsent.
pub(crate) async fn relayed(store: &dyn Store, user: &UserId) -> Vec<String> {
    let recorder = Recorder::new();
    let relayed = store.relay_user(user, &recorder).await.unwrap();
    assert!(!relayed.stopped);
    assert_eq!(relayed.sent, recorder.ids().len() as u64);
    recorder.ids()
}
