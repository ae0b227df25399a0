//! The embedded store: everything in one process, gone with it. What `postern dev` runs on, and what tests compare with.

mod accounts;
mod alerts;
mod answers;
mod audit;
mod deliveries;
mod devices;
mod inboxes;
mod outbox;
mod parking;
mod pauses;
mod queue;
mod refreshes;
mod sealings;
mod security;
mod sessions;
mod state;
mod syncs;
mod upkeep;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lifecycle::Clock;
use tokio::time::Instant;

use self::state::State;
use crate::StoreError;
use crate::answers::Receipt;
use crate::turns::Turns;
use crate::vault::AuditKeys;

/// All roles, in memory. A transaction is one hold of the lock, so each is done whole or not at all.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    audit: AuditKeys,
    relays: Turns,
}

impl MemoryStore {
    /// An empty store, whose audit log is signed with the first of these keys.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, audit: AuditKeys) -> Self {
        Self {
            state: Mutex::default(),
            clock,
            audit,
            relays: Turns::default(),
        }
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asked when all that is left is to write.
fn in_time(step: &'static str, receipt: &Receipt) -> Result<(), StoreError> {
    if Instant::now() < receipt.deadline {
        Ok(())
    } else {
        Err(StoreError::TooLate(step))
    }
}
