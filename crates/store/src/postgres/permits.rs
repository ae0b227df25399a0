//! Permits to use a connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Permits for the connections of a pool: one each, and fewer while the server refuses further connections. Callers then wait, in
/// the order of their calls, for an existing connection. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPermits {
    free: Arc<Semaphore>,
    withheld: Arc<Mutex<Withheld>>,
    waiting: Arc<AtomicUsize>,
}

/// Permits that are withheld after refusals.
#[derive(Debug, Default)]
struct Withheld {
    count: usize,
    last: Option<Instant>,
}

impl ConnectionPermits {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            withheld: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// Waits for a permit, which is returned when dropped.
    pub(super) async fn acquire(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.restore_withheld();
        let _waiting = Waiting::count(&self.waiting);
        Arc::clone(&self.free).acquire_owned().await
    }

    /// Withholds a permit for some time, after the server refused the connection for it.
    pub(super) fn withhold(&self, permit: OwnedSemaphorePermit) {
        let mut withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        withheld.count += 1;
        withheld.last = Some(Instant::now());
        permit.forget();
    }

    /// True while the server accepts fewer connections than the pool wants.
    pub(super) fn are_reduced(&self) -> bool {
        self.withheld.lock().unwrap_or_else(PoisonError::into_inner).count > 0
    }

    /// Number of callers that wait for a permit.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn restore_withheld(&self) {
        let mut withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        if withheld.last.is_some_and(|last| last.elapsed() >= WITHHELD_FOR) {
            self.free.add_permits(withheld.count);
            *withheld = Withheld::default();
        }
    }
}

/// Caller that waits, counted until it is dropped.
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

/// Time after the last refusal until the pool asks for more connections again.
const WITHHELD_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn withheld_permit_is_unavailable_until_its_time_has_passed() {
        let permits = ConnectionPermits::new(2);
        let kept = permits.acquire().await.unwrap();
        permits.withhold(permits.acquire().await.unwrap());
        assert!(timeout(Duration::from_secs(1), permits.acquire()).await.is_err());
        drop(kept);
        let kept = permits.acquire().await.unwrap();
        advance(WITHHELD_FOR).await;
        assert!(timeout(Duration::from_secs(1), permits.acquire()).await.is_ok());
        drop(kept);
    }
}
