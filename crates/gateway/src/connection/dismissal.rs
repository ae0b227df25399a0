//! The word that ends a socket from outside its own task: its session is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::ending::Ending;

/// Why one socket is to end, once someone has said so. The first word counts.
#[derive(Debug, Default)]
pub(crate) struct Dismissal {
    ending: Mutex<Option<Ending>>,
    said: Notify,
    /// From then on the socket gets no event, and none of its commands is sent on.
    is_session_over: AtomicBool,
}

impl Dismissal {
    /// Has the socket ended.
    pub(crate) fn say(&self, ending: Ending) {
        if matches!(ending, Ending::SessionEnded | Ending::SessionIdle) {
            self.is_session_over.store(true, Ordering::SeqCst);
        }
        self.with(|word| *word.get_or_insert(ending));
        self.said.notify_one();
    }

    /// Whether its session was found to be over.
    pub(crate) fn is_session_over(&self) -> bool {
        self.is_session_over.load(Ordering::SeqCst)
    }

    /// Resolves when the socket is to end, once for each word.
    pub(crate) async fn said(&self) -> Ending {
        loop {
            if let Some(ending) = self.with(Option::take) {
                return ending;
            }
            self.said.notified().await;
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Option<Ending>) -> T) -> T {
        look(&mut self.ending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
