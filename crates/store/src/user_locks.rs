//! Mutual exclusion per user within this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::id::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Fair locks, one per user. Users do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct UserLocks {
    /// Semaphore with one permit for each user whose lock is taken or awaited.
    users: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

/// Lock of one user, or a wait for it; released when dropped.
#[derive(Debug)]
pub(crate) struct UserLock<'a> {
    locks: &'a UserLocks,
    user: UserId,
    semaphore: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl UserLocks {
    /// Locks a user, in the order of the calls.
    pub(crate) async fn lock(&self, user: &UserId) -> UserLock<'_> {
        let semaphore = Arc::clone(
            self.users()
                .entry(user.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(1))),
        );
        // Constructed before the wait, so that a cancelled wait also removes the entry.
        let mut lock = UserLock {
            locks: self,
            user: user.clone(),
            semaphore: Some(Arc::clone(&semaphore)),
            permit: None,
        };
        // `acquire_owned` fails only on a closed semaphore, and none is ever closed.
        lock.permit = semaphore.acquire_owned().await.ok();
        lock
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Arc<Semaphore>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UserLock<'_> {
    fn drop(&mut self) {
        let mut users = self.locks.users();
        drop(self.permit.take());
        drop(self.semaphore.take());
        // If the map has the last reference, nobody has or awaits the lock, and the locked map admits no new waiter.
        if users.get(&self.user).is_some_and(|last| Arc::strong_count(last) == 1) {
            users.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_user_has_one_lock_at_a_time_and_others_do_not_wait() {
        let locks = UserLocks::default();
        let (user, other) = (UserId::new("GEN-001").unwrap(), UserId::new("GEN-002").unwrap());
        let lock = locks.lock(&user).await;
        assert!(locks.lock(&user).now_or_never().is_none());
        assert!(locks.lock(&other).now_or_never().is_some());
        drop(lock);
        assert!(locks.lock(&user).now_or_never().is_some());
    }

    #[tokio::test]
    async fn entry_of_a_user_is_removed_with_the_last_lock() {
        let locks = UserLocks::default();
        let user = UserId::new("GEN-001").unwrap();
        let lock = locks.lock(&user).await;
        let mut gives_up = Box::pin(locks.lock(&user));
        assert!((&mut gives_up).now_or_never().is_none());
        drop(lock);
        drop(gives_up);
        assert!(locks.users().is_empty());
    }
}
