//! A job's permit to run in its lane.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// A permit that a job may give back before it ends. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct LanePermit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl LanePermit {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// That of a job which is refused before it runs.
    pub(super) fn none() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// From here on another job of the lane may run.
    pub(super) fn release(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
