//! Embedded store: all state in one process, lost at its end. `postern dev` runs on it, and tests compare it with Postgres.

mod account_state;
mod accounts;
mod alerts;
mod answers;
mod app_webhooks;
mod audit;
mod deliveries;
mod devices;
mod encrypted_columns;
mod inboxes;
mod key_uses;
mod outbox;
mod pauses;
mod pending_links;
mod queue;
mod refreshes;
mod retention;
mod revocations;
mod rows;
mod security;
mod sessions;
mod state;
mod syncs;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lifecycle::{Clock, KeyedLocks};
use protocol::app_webhook::AppWebhookType;
use protocol::id::UserId;
use tokio::time::Instant;

use self::state::State;
use crate::StoreError;
use crate::answers::Receipt;
use crate::vault::AuditKeys;

/// All roles, in memory. A transaction runs under one lock, so it is committed whole or not at all.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    audit: AuditKeys,
    relays: KeyedLocks<UserId>,
}

impl MemoryStore {
    /// Creates an empty store. The first of these keys signs the audit log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, audit: AuditKeys) -> Self {
        Self {
            state: Mutex::default(),
            clock,
            audit,
            relays: KeyedLocks::default(),
        }
    }

    /// Queues a webhook to the application for each event of these types.
    #[must_use]
    pub fn queueing_app_webhooks(self, types: &[AppWebhookType]) -> Self {
        self.state().app_webhook_types = types.to_vec();
        self
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks the deadline when only the writes remain.
fn in_time(step: &'static str, receipt: &Receipt) -> Result<(), StoreError> {
    if Instant::now() < receipt.deadline {
        Ok(())
    } else {
        Err(StoreError::TooLate(step))
    }
}
