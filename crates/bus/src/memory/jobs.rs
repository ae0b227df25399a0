//! Jobs and answers in memory.

mod lane;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::{Job, Lane, Reply};
use protocol::id::{JobId, NodeId, WorkerId};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use self::lane::Queue;
use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{REPLIES_BOUND, reply_life};
use crate::letter::Letter;
use crate::{BusError, ClaimedJob, EntryId, Jobs};

/// One queue per lane.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    sign_in: SharedQueue,
    interactive: SharedQueue,
    platform: SharedQueue,
    webhook: SharedQueue,
}

impl Lanes {
    fn of(&self, lane: Lane) -> &SharedQueue {
        match lane {
            Lane::SignIn => &self.sign_in,
            Lane::Interactive => &self.interactive,
            Lane::Platform => &self.platform,
            Lane::Webhook => &self.webhook,
        }
    }
}

#[derive(Debug, Default)]
struct SharedQueue {
    queue: Mutex<Queue>,
    /// Wakes one claimer per new job.
    filled: Notify,
}

/// Answers that are kept, and the nodes that listen for them.
#[derive(Debug, Default)]
pub(super) struct Replies {
    kept: Expiring<(NodeId, JobId), Reply>,
    ears: HashMap<NodeId, Vec<mpsc::Sender<Reply>>>,
}

#[async_trait]
impl Jobs for MemoryBus {
    async fn submit(&self, lane: Lane, job: &Job, patience: Duration) -> Result<(), BusError> {
        let shared = self.shared.lanes.of(lane);
        let fits = lock(&shared.queue).push(job.write()?, Instant::now() + patience);
        if !fits {
            return Err(BusError::Full(lane.as_str()));
        }
        shared.filled.notify_one();
        Ok(())
    }

    async fn claim(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedJob>, BusError> {
        let shared = self.shared.lanes.of(lane);
        let until = Instant::now() + wait;
        loop {
            let now = Instant::now();
            // Asked for before the look into the queue, so that what comes in between wakes.
            let filled = shared.filled.notified();
            let (claimed, next_silence) = {
                let mut queue = lock(&shared.queue);
                (queue.claim(worker, max, now), queue.next_silence())
            };
            if !claimed.is_empty() || now >= until {
                return Ok(claimed);
            }
            let wake = next_silence.map_or(until, |silence| silence.min(until));
            tokio::select! {
                () = filled => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    async fn renew(&self, lane: Lane, worker: &WorkerId, entries: &[EntryId]) -> Result<(), BusError> {
        lock(&self.shared.lanes.of(lane).queue).renew(worker, entries, Instant::now());
        Ok(())
    }

    async fn finish(&self, lane: Lane, entry: &EntryId) -> Result<(), BusError> {
        lock(&self.shared.lanes.of(lane).queue).remove(entry);
        Ok(())
    }

    async fn reply(&self, node: &NodeId, reply: &Reply) -> Result<(), BusError> {
        let mut replies = lock(&self.shared.replies);
        let life = reply_life(reply);
        if !life.is_zero() {
            let key = (node.clone(), reply.job.clone());
            replies.kept.insert(key, reply.clone(), life);
        }
        if let Some(ears) = replies.ears.get_mut(node) {
            ears.retain(|ear| !ear.is_closed());
            for ear in ears {
                // Without room it stays among the kept ones.
                drop(ear.try_send(reply.clone()));
            }
        }
        Ok(())
    }

    async fn subscribe_replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
        let (ear, replies) = mpsc::channel(REPLIES_BOUND);
        let mut state = lock(&self.shared.replies);
        state.ears.retain(|_, ears| ears.iter().any(|ear| !ear.is_closed()));
        state.ears.entry(node.clone()).or_default().push(ear);
        Ok(replies)
    }

    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        let replies = lock(&self.shared.replies);
        let kept = |job: &JobId| replies.kept.get(&(node.clone(), job.clone())).cloned();
        Ok(jobs.iter().filter_map(kept).collect())
    }

    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        let mut replies = lock(&self.shared.replies);
        for job in jobs {
            replies.kept.remove(&(node.clone(), job.clone()));
        }
        Ok(())
    }
}
