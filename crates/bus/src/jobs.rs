//! Jobs: commands of a waiting client on their way to a worker, and answers on their way back.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::{Job, Lane, Reply};
use protocol::id::{JobId, NodeId, WorkerId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::BusError;

/// The job lanes and the way back. Delivery is at least once: a job is claimed again when its worker falls silent, and a
/// submit that was answered with an error may still have happened. The job's id is what makes it one.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Queues a job that is worth running for `patience` from now, by the server's clock.
    ///
    /// # Errors
    /// [`BusError::Full`] above 10,000 entries or 64 MiB in the lane; [`BusError::Unavailable`].
    async fn submit(&self, lane: Lane, job: &Job, patience: Duration) -> Result<(), BusError>;

    /// Takes up to `max` jobs, waiting up to `wait` for the first: new ones, and those whose worker has not renewed them for 3 s.
    /// Entries past their deadline are dropped, entries lost by a second worker are buried; neither is returned. A claim that is
    /// dropped while it waits takes no job with it.
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

    /// Says that these entries are still being worked on; due each second.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn renew(&self, lane: Lane, worker: &WorkerId, entries: &[EntryId]) -> Result<(), BusError>;

    /// Removes an entry that is done; the payload is gone with it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]; the entry may be delivered again.
    async fn finish(&self, lane: Lane, entry: &EntryId) -> Result<(), BusError>;

    /// Sends an answer to the node that waits: kept for 60 s for a node that is cut off, and announced.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn reply(&self, node: &NodeId, reply: &Reply) -> Result<(), BusError>;

    /// Opens this node's ear for answers. Answers may come twice.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the server cannot be reached at all.
    async fn subscribe_replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError>;

    /// Reads the kept answer of each job, for a node that may have missed the announcement; those without one are left out.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError>;

    /// Drops the kept answers of jobs whose node has heard them: an answer may hold a secret, and is kept no longer than needed.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]; they are dropped after their 60 s.
    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError>;
}

/// A job in the hands of a worker.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Its place in the lane.
    pub entry: EntryId,
    /// What to do.
    pub job: Job,
    /// When it stops being worth doing.
    pub deadline: Instant,
}

/// The place of a job in its lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryId(pub String);
