//! Jobs: commands for workers, and their replies to the gateways.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::{Job, Lane, Reply};
use protocol::id::{JobId, NodeId, WorkerId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::BusError;

/// Job lanes and replies. Delivery is at least once: a job is reclaimed when its worker stops renewing it, and a submit that
/// returned an error may have taken effect. Workers deduplicate by the job's id.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Queues a job with a deadline of `ttl` from now, by the server's clock.
    ///
    /// # Errors
    /// [`BusError::Unserved`] if the lane is not served; [`BusError::Full`] above 10,000 entries or 64 MiB in the lane;
    /// [`BusError::Unavailable`].
    async fn submit(&self, lane: Lane, job: &Job, ttl: Duration) -> Result<(), BusError>;

    /// Claims up to `max` jobs, waiting up to `wait` for the first: new ones, and those whose worker has not renewed them for 3
    /// s. Jobs past their deadline are dropped, jobs that a second worker lost become dead letters; neither is returned. Cancel
    /// safe: a dropped claim takes no job.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn claim(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedJob>, BusError>;

    /// Reports whether the lane is served: a worker has claimed from it, or waited at it, within the last 5 s. After 5 s without a
    /// check or a submit, that time begins anew: a server that stalled, and a server or cluster that has just started, count as
    /// served. So a check is due every 2 s.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn is_served(&self, lane: Lane) -> Result<bool, BusError>;

    /// Records that a worker serves the lane, though it has no capacity to claim; due each second. A claim records it itself, each
    /// second while it waits.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn mark_served(&self, lane: Lane) -> Result<(), BusError>;

    /// Renews the claims on these entries; due each second.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn renew(&self, lane: Lane, worker: &WorkerId, entries: &[EntryId]) -> Result<(), BusError>;

    /// Removes a finished entry with its payload.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the entry may be delivered again.
    async fn finish(&self, lane: Lane, entry: &EntryId) -> Result<(), BusError>;

    /// Same as [`Jobs::finish`], for several entries of the lane.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: entries may be delivered again.
    async fn finish_all(&self, lane: Lane, entries: &[EntryId]) -> Result<(), BusError> {
        for entry in entries {
            self.finish(lane, entry).await?;
        }
        Ok(())
    }

    /// Publishes a reply to its node, and stores it for 60 s for a node that is disconnected.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn reply(&self, node: &NodeId, reply: &Reply) -> Result<(), BusError>;

    /// Same as [`Jobs::reply`], for several replies to one node.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: some may have been sent.
    async fn reply_all(&self, node: &NodeId, replies: &[Reply]) -> Result<(), BusError> {
        for reply in replies {
            self.reply(node, reply).await?;
        }
        Ok(())
    }

    /// Subscribes to this node's replies. Replies may arrive twice.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] if the server is unreachable.
    async fn subscribe_replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError>;

    /// Reads the stored replies of these jobs, for a node that may have missed them; jobs without one are left out.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError>;

    /// Deletes the stored replies of jobs whose node has received them, so that none is stored longer than needed.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: they expire after 60 s.
    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError>;
}

/// Job claimed by a worker.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Entry in the lane.
    pub entry: EntryId,
    /// Job.
    pub job: Job,
    /// Deadline, after which nobody waits for the reply.
    pub deadline: Instant,
}

/// Id of an entry in its lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryId(pub String);
