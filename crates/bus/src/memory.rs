//! The embedded default: the whole bus in one value. Nodes of one process that hold clones of it are one cluster.

mod challenges;
mod events;
mod expiring;
mod hints;
mod jobs;
mod limits;
mod presence;
mod sessions;
mod tickets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifecycle::Entropy;

use crate::Liveness;

/// A bus without a server, with the meaning of `RedisBus`: the same bounds, the same lives, on tokio's clock.
///
/// Clones share everything; what is in it ends with the last of them.
#[derive(Debug, Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Where new epochs come from.
    entropy: Arc<dyn Entropy>,
    events: Mutex<events::State>,
    lanes: jobs::Lanes,
    replies: Mutex<jobs::Replies>,
    cells: Mutex<limits::Cells>,
    attempts: Mutex<limits::Attempts>,
    challenges: Mutex<challenges::Values>,
    sessions: Mutex<sessions::Table>,
    seen: Mutex<hints::Seen>,
    looks: Mutex<hints::Looks>,
    present: Mutex<presence::Sockets>,
    tickets: Mutex<tickets::Issued>,
}

impl MemoryBus {
    /// An empty bus.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            shared: Arc::new(Shared {
                entropy,
                events: Mutex::default(),
                lanes: jobs::Lanes::default(),
                replies: Mutex::default(),
                cells: Mutex::default(),
                attempts: Mutex::default(),
                challenges: Mutex::default(),
                sessions: Mutex::default(),
                seen: Mutex::default(),
                looks: Mutex::default(),
                present: Mutex::default(),
                tickets: Mutex::default(),
            }),
        }
    }
}

/// There is nothing that could be away.
impl Liveness for MemoryBus {
    fn is_live(&self) -> bool {
        true
    }
}

/// Locks for a few lines. What a panic left behind is still whole: every change here is one step.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
