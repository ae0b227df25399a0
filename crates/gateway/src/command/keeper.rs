//! The task behind the slots: it takes answers, fetches those it may have missed, and closes what is overdue.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bus::BusError;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use protocol::answer::Failure;
use protocol::cluster::job::Reply;
use protocol::code::ErrorCode;
use protocol::fault::chain;
use protocol::id::JobId;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Commands;

impl Commands {
    /// Answers until the node is done; `missed` tells that announcements may have been missed.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut replies: mpsc::Receiver<Reply>,
        missed: Arc<Notify>,
        soft: CancellationToken,
    ) {
        let mut errand: BoxFuture<'static, ()> = future::pending().boxed();
        let mut is_away = false;
        let (mut to_ask, mut heard) = (Vec::new(), Vec::new());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                reply = replies.recv() => match reply {
                    Some(reply) => {
                        self.settle(&reply);
                        heard.push(reply.job);
                    }
                    // The ear is closed for good: the node cannot go on.
                    None => return,
                },
                () = &mut errand, if is_away => is_away = false,
                () = missed.notified() => to_ask = self.pending.all(),
                _ = tick.tick() => {
                    let due = self.pending.due(Instant::now());
                    for job in &due.over {
                        self.close(job, &Failure::of(ErrorCode::Timeout));
                    }
                    to_ask.extend(due.ask);
                }
            }
            let is_idle = to_ask.is_empty() && heard.is_empty();
            if !is_away && !is_idle {
                is_away = true;
                let this = Arc::clone(&self);
                errand = this
                    .errand(std::mem::take(&mut to_ask), std::mem::take(&mut heard))
                    .boxed();
            }
        }
    }

    /// Fetches the kept answers of some jobs, and drops those of all that were heard.
    async fn errand(self: Arc<Self>, to_ask: Vec<JobId>, mut heard: Vec<JobId>) {
        if let Err(error) = self.ask(&to_ask, &mut heard).await {
            // Each slot is asked about again, or closes at its deadline.
            tracing::debug!(error = chain(&error), "kept answers could not be read");
        }
        if let Err(error) = self.bus.delete_replies(&self.node, &heard).await {
            tracing::debug!(error = chain(&error), "kept answers are left to their end");
        }
    }

    async fn ask(&self, jobs: &[JobId], heard: &mut Vec<JobId>) -> Result<(), BusError> {
        for batch in jobs.chunks(BATCH) {
            for reply in self.bus.stored_replies(&self.node, batch).await? {
                self.settle(&reply);
                heard.push(reply.job);
            }
        }
        Ok(())
    }
}

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(100);
/// How many answers are asked for at once.
const BATCH: usize = 500;
