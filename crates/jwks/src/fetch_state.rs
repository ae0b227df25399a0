//! State that the fetching task and the lookups share: the last key set, and requests for an early fetch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::key_set::KeySet;

/// Result of the fetches so far.
#[derive(Debug, Default)]
pub(crate) struct FetchState {
    pub(crate) keys: Arc<KeySet>,
    /// Time of the last successful fetch.
    pub(crate) fetched: Option<Instant>,
    /// Number of the last request that a fetch has completed, successful or not.
    pub(crate) completed: u64,
}

/// Requests for an early fetch. All requests within a cooldown share one fetch.
#[derive(Debug, Default)]
pub(crate) struct FetchRequests {
    last: Mutex<FetchRequest>,
    wake: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct FetchRequest {
    number: u64,
    at: Option<Instant>,
}

impl FetchState {
    /// Reports whether the last successful fetch is recent enough.
    pub(crate) fn is_fresh(&self, max_stale: Duration) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() < max_stale)
    }
}

impl FetchRequests {
    /// Adds a request and returns its number: that of the last one until `cooldown` has passed since.
    pub(crate) fn add(&self, now: Instant, cooldown: Duration) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_none_or(|at| at + cooldown <= now) {
            last.number += 1;
            last.at = Some(now);
            self.wake.notify_one();
        }
        last.number
    }

    /// Number of the last request.
    pub(crate) fn number(&self) -> u64 {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).number
    }

    /// Resolves once there is a request after this one.
    pub(crate) async fn after(&self, number: u64) {
        while self.number() <= number {
            self.wake.notified().await;
        }
    }
}
