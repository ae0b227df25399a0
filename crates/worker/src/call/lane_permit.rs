//! Concurrency permit of a running job: one of its lane, and a slot of its user.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// Permit of the lane, and a slot of the user where the job counts for one. A job may release both before it ends. Clones share
/// them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LanePermit(Arc<Mutex<Option<AcquiredPermits>>>);

#[derive(Debug)]
struct AcquiredPermits {
    _permit: OwnedSemaphorePermit,
    _slot: Option<OwnedSemaphorePermit>,
}

impl LanePermit {
    pub(crate) fn new(permit: OwnedSemaphorePermit, slot: Option<OwnedSemaphorePermit>) -> Self {
        let permits = AcquiredPermits {
            _permit: permit,
            _slot: slot,
        };
        Self(Arc::new(Mutex::new(Some(permits))))
    }

    /// No permit: for a job that is refused before it runs.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Releases both, so that another job of the lane, and of the user, may run.
    pub(crate) fn release(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
