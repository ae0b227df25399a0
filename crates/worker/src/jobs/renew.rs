//! Renewal of claimed jobs, each second: after three seconds without it, another worker claims the job.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{EntryId, Jobs};
use lifecycle::OutageReporter;
use protocol::cluster::job::Lane;
use protocol::id::WorkerId;
use tokio_util::sync::CancellationToken;

use crate::outage::report_failure;

/// Entries of one lane that this worker has claimed. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ClaimedEntries {
    entries: Arc<Mutex<HashSet<EntryId>>>,
}

impl ClaimedEntries {
    /// Adds an entry until the guard is dropped; none when the worker has it already.
    pub(super) fn insert(&self, entry: &EntryId) -> Option<EntryGuard> {
        let new = self.with(|entries| entries.insert(entry.clone()));
        new.then(|| EntryGuard {
            claimed: self.clone(),
            entry: entry.clone(),
        })
    }

    fn list(&self) -> Vec<EntryId> {
        self.with(|entries| entries.iter().cloned().collect())
    }

    fn with<T>(&self, access: impl FnOnce(&mut HashSet<EntryId>) -> T) -> T {
        access(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Guard of one claimed entry.
#[derive(Debug)]
pub(super) struct EntryGuard {
    claimed: ClaimedEntries,
    entry: EntryId,
}

impl Drop for EntryGuard {
    fn drop(&mut self) {
        self.claimed.with(|entries| entries.remove(&self.entry));
    }
}

/// Renews the claimed entries until the lane is closed and none is left.
pub(super) async fn renew(
    jobs: &dyn Jobs,
    lane: Lane,
    worker: &WorkerId,
    claimed: &ClaimedEntries,
    closed: &CancellationToken,
) {
    let outage = OutageReporter::new("renew jobs");
    loop {
        tokio::time::sleep(PERIOD).await;
        let entries = claimed.list();
        if entries.is_empty() {
            if closed.is_cancelled() {
                return;
            }
            continue;
        }
        match jobs.renew(lane, worker, &entries).await {
            Ok(()) => outage.succeeded(),
            Err(error) => report_failure(&outage, &error),
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_claimed_once_until_its_guard_is_dropped() {
        let claimed = ClaimedEntries::default();
        let entry = EntryId("1-0".to_owned());
        let guard = claimed.insert(&entry).unwrap();
        assert!(claimed.insert(&entry).is_none());
        assert_eq!(claimed.list(), std::slice::from_ref(&entry));
        drop(guard);
        assert!(claimed.list().is_empty());
        assert!(claimed.insert(&entry).is_some());
    }
}
