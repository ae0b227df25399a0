//! How many may have a connection at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// As many places as the pool has connections, and fewer while the server lets us open no more: then callers wait, in their
/// order, for a connection that exists. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    closed: Arc<Mutex<Closed>>,
    waiting: Arc<AtomicUsize>,
}

/// Places that nobody is given.
#[derive(Debug, Default)]
struct Closed {
    count: usize,
    last: Option<Instant>,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            closed: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// Waits for a place; it is free again when the permit is dropped.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.open_after_a_while();
        let _waiting = Waiting::count(&self.waiting);
        Arc::clone(&self.free).acquire_owned().await
    }

    /// Closes a place for a while: the server refused the connection for it.
    pub(super) fn close(&self, place: OwnedSemaphorePermit) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.count += 1;
        closed.last = Some(Instant::now());
        place.forget();
    }

    /// Whether the server lets us have fewer connections than we want.
    pub(super) fn are_crowded(&self) -> bool {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).count > 0
    }

    /// Those who wait for a place.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn open_after_a_while(&self) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.last.is_some_and(|last| last.elapsed() >= CLOSED_FOR) {
            self.free.add_permits(closed.count);
            *closed = Closed::default();
        }
    }
}

/// One who waits, counted until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// After the last refusal, until the server is asked for more connections again.
const CLOSED_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_closed_place_is_given_to_nobody_and_opens_after_a_while() {
        let places = Places::new(2);
        let kept = places.take().await.unwrap();
        places.close(places.take().await.unwrap());
        assert!(timeout(Duration::from_secs(1), places.take()).await.is_err());
        drop(kept);
        let kept = places.take().await.unwrap();
        advance(CLOSED_FOR).await;
        assert!(timeout(Duration::from_secs(1), places.take()).await.is_ok());
        drop(kept);
    }
}
