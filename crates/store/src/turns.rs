//! One at a time per user, within this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::id::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hands out turns, in the order they were asked for. Users do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// A semaphore of one permit for each user who has or awaits a turn.
    users: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

/// A turn, or a place in the queue for it; over when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    user: UserId,
    semaphore: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits until nobody else has this user's turn.
    pub(crate) async fn take(&self, user: &UserId) -> Turn<'_> {
        let semaphore = Arc::clone(
            self.users()
                .entry(user.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(1))),
        );
        // Made before the wait, so that one who gives up waiting leaves nothing behind.
        let mut turn = Turn {
            turns: self,
            user: user.clone(),
            semaphore: Some(Arc::clone(&semaphore)),
            permit: None,
        };
        // Fails only when closed, and nobody closes it.
        turn.permit = semaphore.acquire_owned().await.ok();
        turn
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Arc<Semaphore>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut users = self.turns.users();
        drop(self.permit.take());
        drop(self.semaphore.take());
        // The map's own is the last: nobody else has, awaits or, with the map locked, can ask for a turn.
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
    async fn a_user_has_one_turn_at_a_time_and_others_do_not_wait() {
        let turns = Turns::default();
        let (user, other) = (UserId::new("GEN-001").unwrap(), UserId::new("GEN-002").unwrap());
        let turn = turns.take(&user).await;
        assert!(turns.take(&user).now_or_never().is_none());
        assert!(turns.take(&other).now_or_never().is_some());
        drop(turn);
        assert!(turns.take(&user).now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_is_remembered_after_the_last_turn() {
        let turns = Turns::default();
        let user = UserId::new("GEN-001").unwrap();
        let turn = turns.take(&user).await;
        let mut gives_up = Box::pin(turns.take(&user));
        assert!((&mut gives_up).now_or_never().is_none());
        drop(turn);
        drop(gives_up);
        assert!(turns.users().is_empty());
    }
}
