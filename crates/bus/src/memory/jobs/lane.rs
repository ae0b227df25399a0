//! One lane in memory: what waits, and what is in the hands of a worker.

use std::collections::{BTreeMap, VecDeque};

use protocol::cluster::job::Job;
use protocol::fault::chain;
use protocol::id::WorkerId;
use tokio::time::Instant;

use crate::bounds::{DELIVERIES, LANE_BYTES, LANE_ENTRIES, SILENCE};
use crate::letter::Letter;
use crate::{ClaimedJob, EntryId};

/// The entries of a lane. Time is an argument.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The number of the newest entry; the first is 1.
    newest: u64,
    waiting: VecDeque<(u64, Entry)>,
    held: BTreeMap<u64, Held>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// Written out, as it would be in Redis: a lane's bound counts bytes.
    job: Vec<u8>,
    deadline: Instant,
}

#[derive(Debug)]
struct Held {
    entry: Entry,
    by: WorkerId,
    /// When the worker was last heard of.
    heard: Instant,
    deliveries: u32,
}

impl Queue {
    /// Adds a job, if it fits.
    pub(super) fn push(&mut self, job: Vec<u8>, deadline: Instant) -> bool {
        let fits =
            self.waiting.len() + self.held.len() < LANE_ENTRIES && self.bytes.saturating_add(job.len()) <= LANE_BYTES;
        if fits {
            self.newest += 1;
            self.bytes += job.len();
            self.waiting.push_back((self.newest, Entry { job, deadline }));
        }
        fits
    }

    /// Gives up to `max` jobs to a worker: first those whose worker fell silent, then new ones.
    pub(super) fn claim(&mut self, worker: &WorkerId, max: usize, now: Instant) -> Vec<ClaimedJob> {
        let mut claimed = Vec::new();
        while claimed.len() < max {
            let Some((number, entry, lost)) = self.next_silent(now).or_else(|| self.next_waiting()) else {
                break;
            };
            if entry.deadline <= now {
                self.bytes -= entry.job.len();
                continue;
            }
            if lost >= DELIVERIES {
                self.bytes -= entry.job.len();
                tracing::warn!(
                    entry = number,
                    deliveries = lost,
                    "a job that cost its workers is buried"
                );
                continue;
            }
            match Job::read(&entry.job) {
                Ok(job) => claimed.push(ClaimedJob {
                    entry: EntryId(number.to_string()),
                    job,
                    deadline: entry.deadline,
                }),
                Err(error) => tracing::warn!(entry = number, error = chain(&error), "a job is left to others"),
            }
            let held = Held {
                entry,
                by: worker.clone(),
                heard: now,
                deliveries: lost + 1,
            };
            self.held.insert(number, held);
        }
        claimed
    }

    /// When the next entry is due to be taken from its worker.
    pub(super) fn next_silence(&self) -> Option<Instant> {
        self.held.values().map(|held| held.heard + SILENCE).min()
    }

    /// The worker still works on these; on those that were given to another it no longer has a say.
    pub(super) fn renew(&mut self, worker: &WorkerId, entries: &[EntryId], now: Instant) {
        for number in entries.iter().filter_map(number) {
            if let Some(held) = self.held.get_mut(&number).filter(|held| held.by == *worker) {
                held.heard = now;
            }
        }
    }

    /// Removes an entry in whoever's hands it is.
    pub(super) fn remove(&mut self, entry: &EntryId) {
        if let Some(held) = number(entry).and_then(|number| self.held.remove(&number)) {
            self.bytes -= held.entry.job.len();
        }
    }

    fn next_silent(&mut self, now: Instant) -> Option<(u64, Entry, u32)> {
        let mut held = self.held.iter();
        let (&number, _) = held.find(|(_, held)| held.heard + SILENCE <= now)?;
        let held = self.held.remove(&number)?;
        Some((number, held.entry, held.deliveries))
    }

    fn next_waiting(&mut self) -> Option<(u64, Entry, u32)> {
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
    async fn a_worker_that_lost_a_job_cannot_take_it_back_by_renewing() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let workers = ["w-1", "w-2", "w-3"].map(|id| WorkerId::new(id).unwrap());
        queue.push(b"unreadable, which is left to others".to_vec(), start + 99 * SILENCE);
        queue.claim(&workers[0], 1, start);
        queue.claim(&workers[1], 1, start + SILENCE);
        queue.renew(&workers[0], &[EntryId("1".to_owned())], start + SILENCE + SILENCE / 2);
        assert_eq!(queue.next_silence(), Some(start + 2 * SILENCE), "the second has it");
        queue.claim(&workers[2], 1, start + 2 * SILENCE);
        assert!(queue.held.is_empty() && queue.bytes == 0, "it is buried");
    }
}
