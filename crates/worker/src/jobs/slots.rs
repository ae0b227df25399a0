//! How many jobs of one user this worker has in hand, over all its lanes: the user's further jobs wait without a concurrency permit
//! and without a connection to the store. A job that asks a platform gives its slot back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::cluster::job::Lane;
use protocol::id::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of all users with a claimed job. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserSlots {
    users: Arc<Mutex<Users>>,
}

#[derive(Debug, Default)]
struct Users {
    claimed: HashMap<(UserId, Share), Claims>,
    /// Claimed jobs of all users.
    total: usize,
}

/// The claimed jobs of one user in one share.
#[derive(Debug)]
struct Claims {
    count: usize,
    slots: Arc<Semaphore>,
}

/// The lanes that share a user's slots. Session openings and second factors have a slot of their own, so that a flood of other
/// commands never delays them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Share {
    SignIn,
    Other,
}

impl Share {
    fn of(lane: Lane) -> Self {
        match lane {
            Lane::SignIn => Self::SignIn,
            Lane::Interactive | Lane::Platform | Lane::Webhook => Self::Other,
        }
    }

    /// Four over both.
    fn slots(self) -> usize {
        match self {
            Self::SignIn => 1,
            Self::Other => 3,
        }
    }
}

/// A claimed job among those of its user; dropped when the job is done.
#[derive(Debug)]
pub(super) struct Place {
    users: Arc<Mutex<Users>>,
    of: (UserId, Share),
    slots: Arc<Semaphore>,
}

impl UserSlots {
    /// Counts a claimed job of a user; `None` when as many as may wait are waiting.
    pub(super) fn enter(&self, user: &UserId, lane: Lane) -> Option<Place> {
        let of = (user.clone(), Share::of(lane));
        let mut users = lock(&self.users);
        let is_full = users.total >= MOST_CLAIMED;
        let slots = of.1.slots();
        let claims = users.claimed.entry(of.clone()).or_insert_with(|| Claims {
            count: 0,
            slots: Arc::new(Semaphore::new(slots)),
        });
        let most = if is_full { slots } else { slots + MOST_WAITING };
        if claims.count >= most {
            return None;
        }
        claims.count += 1;
        let slots = Arc::clone(&claims.slots);
        users.total += 1;
        Some(Place {
            users: Arc::clone(&self.users),
            of,
            slots,
        })
    }
}

impl Place {
    /// A slot, if one is free.
    pub(super) fn try_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// A slot, once one is free; the slots of a user are never closed.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = lock(&self.users);
        users.total -= 1;
        if let Entry::Occupied(mut claims) = users.claimed.entry(self.of.clone()) {
            claims.get_mut().count -= 1;
            if claims.get().count == 0 {
                claims.remove();
            }
        }
    }
}

fn lock(users: &Mutex<Users>) -> MutexGuard<'_, Users> {
    users.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Jobs of one user that may wait for its slots, in each share. A client waits for 10 s at most, in which a user's budget gives it
/// fewer.
const MOST_WAITING: usize = 64;
/// Claimed jobs of all users; above it no user's job waits for a slot.
const MOST_CLAIMED: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_user_has_four_slots_and_sign_in_keeps_one_of_them() {
        let slots = UserSlots::default();
        let enter = |lane| slots.enter(&user("u"), lane).unwrap();
        let places = [Lane::Interactive, Lane::Platform, Lane::Interactive, Lane::Platform].map(enter);
        let taken: Vec<_> = places.iter().map(Place::try_slot).collect();
        assert_eq!(taken.iter().flatten().count(), 3);
        let sign_in = [Lane::SignIn; 2].map(enter);
        let of_sign_in: Vec<_> = sign_in.iter().filter_map(Place::try_slot).collect();
        assert_eq!(of_sign_in.len(), 1);
        assert!(slots.enter(&user("v"), Lane::Platform).unwrap().try_slot().is_some());
        drop(taken);
        assert!(places[3].try_slot().is_some());
    }

    #[test]
    fn so_many_jobs_of_a_user_may_wait_and_what_is_done_is_forgotten() {
        let slots = UserSlots::default();
        let enter = |id: &str| slots.enter(&user(id), Lane::Interactive);
        let mut places: Vec<_> = std::iter::from_fn(|| enter("u")).collect();
        assert_eq!(places.len(), 3 + MOST_WAITING);
        let of_others: Vec<_> = (0..2 * MOST_CLAIMED)
            .map_while(|n| enter(&(n % 20).to_string()))
            .collect();
        assert_eq!(places.len() + of_others.len(), MOST_CLAIMED);
        assert!(enter("0").is_none(), "nobody may wait any more");
        assert!(enter("newcomer").is_some(), "but who has nothing in hand is served");
        places.pop();
        assert!(enter("0").is_some());
        drop((places, of_others));
        assert!(lock(&slots.users).claimed.is_empty());
        assert_eq!(lock(&slots.users).total, 0);
    }
}
