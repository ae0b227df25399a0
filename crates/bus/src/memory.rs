//! In-memory bus, the embedded default. Nodes of one process that share clones of it form one cluster.

mod challenges;
mod events;
mod expiring;
mod hints;
mod jobs;
mod joins;
mod limits;
mod presence;
mod resume_tokens;
mod sessions;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifecycle::{Clock, Entropy, SystemClock};
use protocol::time::Timestamp;
use tokio::time::Instant;

use crate::Liveness;

/// In-memory bus with the semantics of `RedisBus`: the same bounds and TTLs, on tokio's clock.
///
/// Clones share all state, which is dropped with the last of them.
#[derive(Debug, Clone)]
pub struct MemoryBus {
    shared: Arc<MemoryState>,
}

#[derive(Debug)]
struct MemoryState {
    /// Start of its clock, which from then on follows tokio's.
    started: (Instant, Timestamp),
    /// Source of new epochs.
    entropy: Arc<dyn Entropy>,
    events: Mutex<events::EventState>,
    lanes: jobs::LaneQueues,
    replies: Mutex<jobs::Replies>,
    cells: Mutex<limits::RateCells>,
    attempts: Mutex<limits::Attempts>,
    challenges: Mutex<challenges::Values>,
    sessions: Mutex<sessions::SessionTable>,
    seen_origins: Mutex<hints::SeenOrigins>,
    alert_checks: Mutex<hints::AlertChecks>,
    present: Mutex<presence::Sockets>,
    resume_tokens: Mutex<resume_tokens::TokenTable>,
}

impl MemoryBus {
    /// Creates an empty bus.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            shared: Arc::new(MemoryState {
                started: (Instant::now(), SystemClock.now().into()),
                entropy,
                events: Mutex::default(),
                lanes: jobs::LaneQueues::default(),
                replies: Mutex::default(),
                cells: Mutex::default(),
                attempts: Mutex::default(),
                challenges: Mutex::default(),
                sessions: Mutex::default(),
                seen_origins: Mutex::default(),
                alert_checks: Mutex::default(),
                present: Mutex::default(),
                resume_tokens: Mutex::default(),
            }),
        }
    }
}

impl MemoryState {
    /// Time on the clock of the bus.
    fn time(&self) -> Timestamp {
        let (instant, time) = self.started;
        time.plus(instant.elapsed())
    }
}

/// Always live: there is no server.
impl Liveness for MemoryBus {
    fn is_live(&self) -> bool {
        true
    }

    fn server_time(&self) -> Timestamp {
        self.shared.time()
    }
}

/// Locks for a few lines. Ignores poisoning: each change is complete within its lock.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
