//! One lane in memory: queued and claimed jobs.

use std::collections::{BTreeMap, VecDeque};

use protocol::cluster::job::Job;
use protocol::fault::chain;
use protocol::id::WorkerId;
use tokio::time::Instant;

use super::dead_letter::is_dead_letter;
use crate::bounds::{CLAIM_TTL, MAX_LANE_BYTES, MAX_LANE_JOBS, UNSERVED_AFTER};
use crate::versioned_message::VersionedMessage;
use crate::{ClaimedJob, EntryId};

/// Entries of a lane. Time is an argument.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Number of the newest entry; the first is 1.
    newest: u64,
    waiting: VecDeque<(u64, QueuedJob)>,
    claims: BTreeMap<u64, Claim>,
    bytes: usize,
    served: Served,
}

/// Times by which a lane without workers is found.
#[derive(Debug, Default)]
struct Served {
    claimed: Option<Instant>,
    checked: Option<Instant>,
}

#[derive(Debug)]
struct QueuedJob {
    /// Encoded as for Redis, as a lane's bound is in bytes.
    job: Vec<u8>,
    deadline: Instant,
}

#[derive(Debug)]
struct Claim {
    entry: QueuedJob,
    worker: WorkerId,
    /// Time of the last renewal by the worker.
    renewed_at: Instant,
    deliveries: u32,
}

impl Queue {
    /// Queues a job, if the lane has capacity.
    pub(super) fn push(&mut self, job: Vec<u8>, deadline: Instant) -> bool {
        let fits = self.waiting.len() + self.claims.len() < MAX_LANE_JOBS
            && self.bytes.saturating_add(job.len()) <= MAX_LANE_BYTES;
        if fits {
            self.newest += 1;
            self.bytes += job.len();
            self.waiting.push_back((self.newest, QueuedJob { job, deadline }));
        }
        fits
    }

    /// Claims up to `max` jobs for a worker: first those with an expired claim, then new ones.
    pub(super) fn claim(&mut self, worker: &WorkerId, max: usize, now: Instant) -> Vec<ClaimedJob> {
        self.mark_served(now);
        let mut claimed = Vec::new();
        while claimed.len() < max {
            let Some((number, entry, lost)) = self.next_expired(now).or_else(|| self.next_waiting()) else {
                break;
            };
            if entry.deadline <= now {
                self.bytes -= entry.job.len();
                continue;
            }
            if is_dead_letter(number, lost) {
                self.bytes -= entry.job.len();
                continue;
            }
            match Job::read(&entry.job) {
                Ok(job) => claimed.push(ClaimedJob {
                    entry: EntryId(number.to_string()),
                    job,
                    deadline: entry.deadline,
                }),
                Err(error) => tracing::warn!(
                    entry = number,
                    error = chain(&error),
                    "job does not decode, left to newer workers"
                ),
            }
            let claim = Claim {
                entry,
                worker: worker.clone(),
                renewed_at: now,
                deliveries: lost + 1,
            };
            self.claims.insert(number, claim);
        }
        claimed
    }

    /// Records that a worker serves the lane.
    pub(super) fn mark_served(&mut self, now: Instant) {
        self.served.claimed = Some(now);
    }

    /// Reports whether the lane is served. Where the last check is too old, the time since the last claim begins anew.
    pub(super) fn is_served(&mut self, now: Instant) -> bool {
        let is_recent = |time: &Instant| now.saturating_duration_since(*time) < UNSERVED_AFTER;
        if self
            .served
            .checked
            .replace(now)
            .as_ref()
            .is_none_or(|checked| !is_recent(checked))
        {
            self.mark_served(now);
        }
        self.served.claimed.as_ref().is_some_and(is_recent)
    }

    /// Expiry of the next claim.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.claims.values().map(|claim| claim.renewed_at + CLAIM_TTL).min()
    }

    /// Renews a worker's claims. Entries that another worker has reclaimed stay unchanged.
    pub(super) fn renew(&mut self, worker: &WorkerId, entries: &[EntryId], now: Instant) {
        for number in entries.iter().filter_map(number) {
            if let Some(claim) = self.claims.get_mut(&number).filter(|claim| claim.worker == *worker) {
                claim.renewed_at = now;
            }
        }
    }

    /// Removes an entry, whichever worker has claimed it.
    pub(super) fn remove(&mut self, entry: &EntryId) {
        if let Some(claim) = number(entry).and_then(|number| self.claims.remove(&number)) {
            self.bytes -= claim.entry.job.len();
        }
    }

    fn next_expired(&mut self, now: Instant) -> Option<(u64, QueuedJob, u32)> {
        let mut claims = self.claims.iter();
        let (&number, _) = claims.find(|(_, claim)| claim.renewed_at + CLAIM_TTL <= now)?;
        let claim = self.claims.remove(&number)?;
        Some((number, claim.entry, claim.deliveries))
    }

    fn next_waiting(&mut self) -> Option<(u64, QueuedJob, u32)> {
        let (number, entry) = self.waiting.pop_front()?;
        Some((number, entry, 0))
    }
}

fn number(entry: &EntryId) -> Option<u64> {
    entry.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn renewal_of_a_lost_claim_is_ignored() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let workers = ["w-1", "w-2", "w-3"].map(|id| WorkerId::new(id).unwrap());
        queue.push(b"does not decode".to_vec(), start + 99 * CLAIM_TTL);
        queue.claim(&workers[0], 1, start);
        queue.claim(&workers[1], 1, start + CLAIM_TTL);
        queue.renew(
            &workers[0],
            &[EntryId("1".to_owned())],
            start + CLAIM_TTL + CLAIM_TTL / 2,
        );
        assert_eq!(
            queue.next_expiry(),
            Some(start + 2 * CLAIM_TTL),
            "claim of the second worker"
        );
        queue.claim(&workers[2], 1, start + 2 * CLAIM_TTL);
        assert!(queue.claims.is_empty() && queue.bytes == 0, "dead letter");
    }
}
