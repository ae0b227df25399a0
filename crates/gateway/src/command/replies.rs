//! Task of the pending requests: receives replies, reads those whose announcement may have been missed, and times out the others.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bus::BusError;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use lifecycle::PeriodicLoop;
use protocol::answer::Failure;
use protocol::cluster::job::Reply;
use protocol::code::ErrorCode;
use protocol::fault::chain;
use protocol::id::JobId;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Commands;

impl Commands {
    /// Runs until the node is done; `missed` is notified when announcements may have been missed.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut replies: mpsc::Receiver<Reply>,
        missed: Arc<Notify>,
        soft: CancellationToken,
    ) {
        let mut round: BoxFuture<'static, ()> = future::pending().boxed();
        let mut is_running = false;
        let (mut to_read, mut received) = (Vec::new(), Vec::new());
        let mut ticks = PeriodicLoop::new(TICK, soft.clone());
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                reply = replies.recv() => match reply {
                    Some(reply) => {
                        self.complete(&reply);
                        received.push(reply.job);
                    }
                    // The subscription is closed for good: the node cannot go on.
                    None => return,
                },
                () = &mut round, if is_running => is_running = false,
                () = missed.notified() => to_read = self.pending.all(),
                _ = ticks.next() => {
                    let due = self.pending.due(Instant::now());
                    for job in &due.timed_out {
                        self.fail(job, &Failure::of(ErrorCode::Timeout));
                    }
                    to_read.extend(due.to_read);
                }
            }
            let is_idle = to_read.is_empty() && received.is_empty();
            if !is_running && !is_idle {
                is_running = true;
                let this = Arc::clone(&self);
                round = this
                    .read_and_forget(std::mem::take(&mut to_read), std::mem::take(&mut received))
                    .boxed();
            }
        }
    }

    /// Reads the kept replies of some jobs, and deletes those of all that were received.
    async fn read_and_forget(self: Arc<Self>, to_read: Vec<JobId>, mut received: Vec<JobId>) {
        if let Err(error) = self.read(&to_read, &mut received).await {
            // Each request is read again, or times out.
            tracing::debug!(error = chain(&error), "kept reply read failed, retrying");
        }
        if let Err(error) = self.jobs.delete_replies(self.workers.node(), &received).await {
            tracing::debug!(
                error = chain(&error),
                "kept reply deletion failed, leaving them to expire"
            );
        }
    }

    async fn read(&self, jobs: &[JobId], received: &mut Vec<JobId>) -> Result<(), BusError> {
        for batch in jobs.chunks(BATCH) {
            for reply in self.jobs.stored_replies(self.workers.node(), batch).await? {
                self.complete(&reply);
                received.push(reply.job);
            }
        }
        Ok(())
    }
}

/// Resolution of the deadlines.
const TICK: Duration = Duration::from_millis(100);
/// Replies of one read.
const BATCH: usize = 500;
