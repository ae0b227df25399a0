//! Jobs and replies in memory.

mod dead_letter;
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
use crate::bounds::{REPLY_QUEUE, reply_ttl};
use crate::versioned_message::VersionedMessage;
use crate::{BusError, ClaimedJob, EntryId, Jobs};

/// Queues of all lanes.
#[derive(Debug, Default)]
pub(super) struct LaneQueues {
    sign_in: SharedQueue,
    interactive: SharedQueue,
    platform: SharedQueue,
    webhook: SharedQueue,
}

impl LaneQueues {
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
    /// Wakes one claiming task per new job.
    filled: Notify,
}

/// Stored replies, and the subscribed nodes.
#[derive(Debug, Default)]
pub(super) struct Replies {
    stored: Expiring<(NodeId, JobId), Reply>,
    subscribers: HashMap<NodeId, Vec<mpsc::Sender<Reply>>>,
}

#[async_trait]
impl Jobs for MemoryBus {
    async fn submit(&self, lane: Lane, job: &Job, ttl: Duration) -> Result<(), BusError> {
        let shared = self.shared.lanes.of(lane);
        let (job, now) = (job.write()?, Instant::now());
        let mut queue = lock(&shared.queue);
        if !queue.is_served(now) {
            return Err(BusError::Unserved(lane.as_str()));
        }
        if !queue.push(job, now + ttl) {
            return Err(BusError::Full(lane.as_str()));
        }
        drop(queue);
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
            // Created before the queue is checked, so that a job submitted in between wakes this task.
            let filled = shared.filled.notified();
            let (claimed, next_expiry) = {
                let mut queue = lock(&shared.queue);
                (queue.claim(worker, max, now), queue.next_expiry())
            };
            if !claimed.is_empty() || now >= until {
                return Ok(claimed);
            }
            let mark = now + MARK_INTERVAL;
            let wake = next_expiry.map_or(mark, |expiry| expiry.min(mark)).min(until);
            tokio::select! {
                () = filled => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    async fn is_served(&self, lane: Lane) -> Result<bool, BusError> {
        Ok(lock(&self.shared.lanes.of(lane).queue).is_served(Instant::now()))
    }

    async fn mark_served(&self, lane: Lane) -> Result<(), BusError> {
        lock(&self.shared.lanes.of(lane).queue).mark_served(Instant::now());
        Ok(())
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
        let life = reply_ttl(reply);
        if !life.is_zero() {
            let key = (node.clone(), reply.job.clone());
            replies.stored.insert(key, reply.clone(), life);
        }
        if let Some(subscribers) = replies.subscribers.get_mut(node) {
            subscribers.retain(|subscriber| !subscriber.is_closed());
            for subscriber in subscribers {
                // A reply that does not fit is read from the stored ones.
                drop(subscriber.try_send(reply.clone()));
            }
        }
        Ok(())
    }

    async fn subscribe_replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
        let (subscriber, replies) = mpsc::channel(REPLY_QUEUE);
        let mut state = lock(&self.shared.replies);
        state
            .subscribers
            .retain(|_, subscribers| subscribers.iter().any(|subscriber| !subscriber.is_closed()));
        state.subscribers.entry(node.clone()).or_default().push(subscriber);
        Ok(replies)
    }

    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        let replies = lock(&self.shared.replies);
        let stored = |job: &JobId| replies.stored.get(&(node.clone(), job.clone())).cloned();
        Ok(jobs.iter().filter_map(stored).collect())
    }

    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        let mut replies = lock(&self.shared.replies);
        for job in jobs {
            replies.stored.remove(&(node.clone(), job.clone()));
        }
        Ok(())
    }
}

/// Interval at which a waiting claim marks its lane as served.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
