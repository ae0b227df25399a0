//! What is worked on is renewed each second, or after three another worker takes it for lost.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{EntryId, Jobs};
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;

/// The entries of one lane that this worker has in hand. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    entries: Arc<Mutex<HashSet<EntryId>>>,
}

impl Held {
    /// Takes an entry in hand until the guard is dropped; none when it is there already.
    pub(super) fn hold(&self, entry: &EntryId) -> Option<Hold> {
        let new = self.with(|entries| entries.insert(entry.clone()));
        new.then(|| Hold {
            held: self.clone(),
            entry: entry.clone(),
        })
    }

    fn list(&self) -> Vec<EntryId> {
        self.with(|entries| entries.iter().cloned().collect())
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashSet<EntryId>) -> T) -> T {
        look(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An entry in hand.
#[derive(Debug)]
pub(super) struct Hold {
    held: Held,
    entry: EntryId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.with(|entries| entries.remove(&self.entry));
    }
}

/// Renews until the lane is closed and nothing is held any more.
pub(super) async fn renew(jobs: &dyn Jobs, lane: Lane, worker: &WorkerId, held: &Held, closed: &CancellationToken) {
    let outage = Outage::of("renew jobs");
    loop {
        tokio::time::sleep(PERIOD).await;
        let entries = held.list();
        if entries.is_empty() {
            if closed.is_cancelled() {
                return;
            }
            continue;
        }
        match jobs.renew(lane, worker, &entries).await {
            Ok(()) => outage.over(),
            Err(error) => outage.met(&error),
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_in_hand_once_and_until_it_is_let_go() {
        let held = Held::default();
        let entry = EntryId("1-0".to_owned());
        let hold = held.hold(&entry).unwrap();
        assert!(held.hold(&entry).is_none());
        assert_eq!(held.list(), std::slice::from_ref(&entry));
        drop(hold);
        assert!(held.list().is_empty());
        assert!(held.hold(&entry).is_some());
    }
}
