//! Locks per key, such as a user, within this process: mutual exclusion, or a bound of what runs at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Fair locks, one per key unless a bound is given. The holders of different keys do not wait for each other.
#[derive(Debug)]
pub struct KeyedLocks<K> {
    /// Semaphore for each key whose lock is taken or awaited.
    keys: Mutex<HashMap<K, Arc<Semaphore>>>,
    /// Locks of a key that may be held at once.
    at_once: usize,
}

/// Lock of one key, or a wait for it; released when dropped.
#[derive(Debug)]
pub struct KeyedLock<'a, K: Eq + Hash> {
    locks: &'a KeyedLocks<K>,
    key: K,
    semaphore: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<K> Default for KeyedLocks<K> {
    fn default() -> Self {
        Self::with_bound(1)
    }
}

impl<K> KeyedLocks<K> {
    /// Locks of which so many may be held at once for each key.
    #[must_use]
    pub fn with_bound(at_once: usize) -> Self {
        Self {
            keys: Mutex::default(),
            at_once,
        }
    }
}

impl<K: Clone + Eq + Hash> KeyedLocks<K> {
    /// Locks a key, in the order of the calls.
    pub async fn lock(&self, key: &K) -> KeyedLock<'_, K> {
        let semaphore = Arc::clone(
            self.keys()
                .entry(key.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(self.at_once))),
        );
        // Constructed before the wait, so that a cancelled wait also removes the entry.
        let mut lock = KeyedLock {
            locks: self,
            key: key.clone(),
            semaphore: Some(Arc::clone(&semaphore)),
            permit: None,
        };
        // `acquire_owned` fails only on a closed semaphore, and none is ever closed.
        lock.permit = semaphore.acquire_owned().await.ok();
        lock
    }
}

impl<K> KeyedLocks<K> {
    fn keys(&self) -> MutexGuard<'_, HashMap<K, Arc<Semaphore>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for KeyedLock<'_, K> {
    fn drop(&mut self) {
        let mut keys = self.locks.keys();
        drop(self.permit.take());
        drop(self.semaphore.take());
        // If the map has the last reference, nobody has or awaits the lock, and the locked map admits no new waiter.
        if keys.get(&self.key).is_some_and(|last| Arc::strong_count(last) == 1) {
            keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_has_one_lock_at_a_time_and_others_do_not_wait() {
        let locks = KeyedLocks::default();
        let (key, other) = ("one", "other");
        let lock = locks.lock(&key).await;
        assert!(locks.lock(&key).now_or_never().is_none());
        assert!(locks.lock(&other).now_or_never().is_some());
        drop(lock);
        assert!(locks.lock(&key).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_key_has_as_many_locks_at_a_time_as_its_bound() {
        let locks = KeyedLocks::with_bound(2);
        let (key, other) = ("one", "other");
        let first = locks.lock(&key).await;
        let _second = locks.lock(&key).await;
        assert!(locks.lock(&key).now_or_never().is_none());
        assert!(locks.lock(&other).now_or_never().is_some());
        drop(first);
        assert!(locks.lock(&key).now_or_never().is_some());
    }

    #[tokio::test]
    async fn entry_of_a_key_is_removed_with_the_last_lock() {
        let locks = KeyedLocks::default();
        let key = "one";
        let lock = locks.lock(&key).await;
        let mut gives_up = Box::pin(locks.lock(&key));
        assert!((&mut gives_up).now_or_never().is_none());
        drop(lock);
        drop(gives_up);
        assert!(locks.keys().is_empty());
    }
}
