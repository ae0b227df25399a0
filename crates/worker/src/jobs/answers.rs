//! Answers of finished jobs: those that wait at the same time are sent together, one command per node, and their entries are removed
//! together, one command per lane.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use bus::{EntryId, Jobs};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lifecycle::OutageReporter;
use protocol::cluster::job::{Lane, Reply};
use protocol::id::NodeId;
use tokio::sync::{mpsc, oneshot};

use crate::outage::report_failure;

/// Job whose run has ended.
#[derive(Debug)]
pub(crate) struct FinishedJob {
    pub(super) lane: Lane,
    pub(super) entry: EntryId,
    /// Node that submitted the job.
    pub(super) node: NodeId,
    /// None for a job that nobody waits for any more.
    pub(super) reply: Option<Reply>,
    /// Dropped when the job is removed, or is left to be delivered again.
    pub(super) removed: oneshot::Sender<()>,
}

/// Queue of the finished jobs.
#[derive(Debug)]
pub(crate) struct AnswerQueue(mpsc::Sender<FinishedJob>);

/// Sends the answers of finished jobs, one batch after the other, without a wait for more.
pub(crate) struct JobAnswers {
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) queue: mpsc::Receiver<FinishedJob>,
    /// Outages of the bus in which answers are not sent, or finished jobs not removed: those jobs are delivered again.
    pub(crate) outage: OutageReporter,
}

impl AnswerQueue {
    /// Queue, and its end for [`JobAnswers`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<FinishedJob>) {
        let (sender, receiver) = mpsc::channel(MAX_BATCH);
        (Self(sender), receiver)
    }

    /// Sends the answer and removes the entry. An entry whose answer could not be sent stays: it is delivered again, and its answer
    /// repeated.
    pub(super) async fn finish(&self, lane: Lane, entry: EntryId, node: NodeId, reply: Option<Reply>) {
        let (removed, is_removed) = oneshot::channel();
        let finished = FinishedJob {
            lane,
            entry,
            node,
            reply,
            removed,
        };
        if self.0.send(finished).await.is_ok() {
            drop(is_removed.await);
        }
    }
}

impl JobAnswers {
    /// Sends answers until no job runs any more.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
            let answered = self.reply(mem::take(&mut batch)).await;
            self.remove(answered).await;
        }
    }

    /// Sends the replies. Returns the jobs to remove: those whose replies were sent, and those without one.
    async fn reply(&self, batch: Vec<FinishedJob>) -> Vec<FinishedJob> {
        let mut of_nodes: HashMap<_, Vec<_>> = HashMap::new();
        for finished in batch {
            of_nodes.entry(finished.node.clone()).or_default().push(finished);
        }
        let sent = of_nodes.into_iter().map(|(node, jobs)| self.reply_to(node, jobs));
        let mut sent: FuturesUnordered<_> = sent.collect();
        let mut answered = Vec::new();
        while let Some(jobs) = sent.next().await {
            answered.extend(jobs);
        }
        answered
    }

    async fn reply_to(&self, node: NodeId, mut jobs: Vec<FinishedJob>) -> Vec<FinishedJob> {
        let replies: Vec<_> = jobs.iter_mut().filter_map(|finished| finished.reply.take()).collect();
        match self.jobs.reply_all(&node, &replies).await {
            Ok(()) => jobs,
            Err(error) => {
                report_failure(&self.outage, &error);
                Vec::new()
            }
        }
    }

    async fn remove(&self, answered: Vec<FinishedJob>) {
        let mut of_lanes: HashMap<_, Vec<_>> = HashMap::new();
        let mut waiting = Vec::with_capacity(answered.len());
        for finished in answered {
            of_lanes.entry(finished.lane).or_default().push(finished.entry);
            waiting.push(finished.removed);
        }
        for (lane, entries) in of_lanes {
            match self.jobs.finish_all(lane, &entries).await {
                Ok(()) => self.outage.succeeded(),
                Err(error) => report_failure(&self.outage, &error),
            }
        }
        drop(waiting);
    }
}

/// Answers of one batch.
const MAX_BATCH: usize = 256;
