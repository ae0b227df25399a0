//! The task behind the slots: it takes answers, fetches those it may have missed, and closes what is overdue.

use std::sync::Arc;
use std::time::Duration;

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
        let mut asking: BoxFuture<'static, ()> = future::pending().boxed();
        let mut is_asking = false;
        let mut to_ask = Vec::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                reply = replies.recv() => match reply {
                    Some(reply) => self.settle(&reply),
                    // The ear is closed for good: the node cannot go on.
                    None => return,
                },
                () = &mut asking, if is_asking => is_asking = false,
                () = missed.notified() => to_ask = self.pending.all(),
                _ = tick.tick() => {
                    let due = self.pending.due(Instant::now());
                    for job in &due.over {
                        self.close(job, &Failure::of(ErrorCode::Timeout));
                    }
                    to_ask.extend(due.ask);
                }
            }
            if !is_asking && !to_ask.is_empty() {
                is_asking = true;
                asking = Arc::clone(&self).ask(std::mem::take(&mut to_ask)).boxed();
            }
        }
    }

    /// Fetches the kept answers of these jobs.
    async fn ask(self: Arc<Self>, jobs: Vec<JobId>) {
        for batch in jobs.chunks(BATCH) {
            match self.bus.kept_replies(&self.node, batch).await {
                Ok(replies) => replies.iter().for_each(|reply| self.settle(reply)),
                Err(error) => {
                    // Each slot is asked about again, or closes at its deadline.
                    tracing::debug!(error = chain(&error), "kept answers could not be read");
                    return;
                }
            }
        }
    }
}

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(100);
/// How many answers are asked for at once.
const BATCH: usize = 500;
