//! Slots of one user: bound of the jobs that this worker runs for a user at once, over all its lanes. The user's further jobs wait
//! without a concurrency permit and without a connection to the store. A job that calls a platform releases its slot.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::cluster::job::Lane;
use protocol::id::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Slots of all users with a claimed job. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserSlots {
    users: Arc<Mutex<Users>>,
}

#[derive(Debug, Default)]
struct Users {
    claimed: HashMap<(UserId, Share), Claims>,
    /// Number of claimed jobs of all users.
    total: usize,
}

/// Claimed jobs of one user in one share.
#[derive(Debug)]
struct Claims {
    count: usize,
    slots: Arc<Semaphore>,
}

/// Lanes that share a user's slots. Session openings and second factors have a slot of their own, so that a flood of other commands
/// never delays them.
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

    /// Number of slots: four over both shares.
    fn slots(self) -> usize {
        match self {
            Self::SignIn => 1,
            Self::Other => 3,
        }
    }
}

/// Claimed job of a user; dropped when the job is done.
#[derive(Debug)]
pub(super) struct UserClaim {
    users: Arc<Mutex<Users>>,
    of: (UserId, Share),
    slots: Arc<Semaphore>,
}

impl UserSlots {
    /// Counts a claimed job of a user; `None` when the maximum of jobs is waiting already.
    pub(super) fn claim(&self, user: &UserId, lane: Lane) -> Option<UserClaim> {
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
        Some(UserClaim {
            users: Arc::clone(&self.users),
            of,
            slots,
        })
    }
}

impl UserClaim {
    /// Acquires a slot if one is free.
    pub(super) fn try_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// Acquires a slot, waiting until one is free; the semaphore of a user is never closed.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }
}

impl Drop for UserClaim {
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

/// Jobs of one user that may wait for its slots, in each share. A client waits for 10 s at most; the user's budget admits fewer jobs
/// in that time.
const MOST_WAITING: usize = 64;
/// Claimed jobs of all users, above which no job waits for a slot.
const MOST_CLAIMED: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_user_has_four_slots_of_which_sign_in_has_one() {
        let slots = UserSlots::default();
        let claim = |lane| slots.claim(&user("u"), lane).unwrap();
        let claims = [Lane::Interactive, Lane::Platform, Lane::Interactive, Lane::Platform].map(claim);
        let taken: Vec<_> = claims.iter().map(UserClaim::try_slot).collect();
        assert_eq!(taken.iter().flatten().count(), 3);
        let sign_in = [Lane::SignIn; 2].map(claim);
        let of_sign_in: Vec<_> = sign_in.iter().filter_map(UserClaim::try_slot).collect();
        assert_eq!(of_sign_in.len(), 1);
        assert!(slots.claim(&user("v"), Lane::Platform).unwrap().try_slot().is_some());
        drop(taken);
        assert!(claims[3].try_slot().is_some());
    }

    #[test]
    fn waiting_jobs_of_a_user_are_bounded_and_finished_jobs_are_removed() {
        let slots = UserSlots::default();
        let claim = |id: &str| slots.claim(&user(id), Lane::Interactive);
        let mut claims: Vec<_> = std::iter::from_fn(|| claim("u")).collect();
        assert_eq!(claims.len(), 3 + MOST_WAITING);
        let of_others: Vec<_> = (0..2 * MOST_CLAIMED)
            .map_while(|n| claim(&(n % 20).to_string()))
            .collect();
        assert_eq!(claims.len() + of_others.len(), MOST_CLAIMED);
        assert!(claim("0").is_none(), "a further job waits above the bound");
        assert!(claim("idle").is_some(), "a user without jobs is refused");
        claims.pop();
        assert!(claim("0").is_some());
        drop((claims, of_others));
        assert!(lock(&slots.users).claimed.is_empty());
        assert_eq!(lock(&slots.users).total, 0);
    }
}
