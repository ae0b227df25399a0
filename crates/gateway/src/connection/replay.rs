//! Replay of missed events: a resumed socket reads the event log page by page, at the pace of its peer, and receives new events from
//! the moment it has caught up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bus::LogRead;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::offset::Offset;
use protocol::fault::chain;
use tokio::time::{Instant, sleep_until};

use crate::hub::{ReplayProgress, Subscription};
use crate::socket::OutboundQueue;

/// Replay of one socket.
pub(super) struct Replay {
    outbound: Arc<OutboundQueue>,
    /// Offset up to which events were queued.
    cursor: Offset,
    /// Events that were read and are not yet queued.
    page: VecDeque<(Offset, Envelope)>,
    /// Offset of the log when the socket subscribed. Earlier events for one session or socket were not addressed to this one.
    joined: Offset,
    /// Earliest time of the next read.
    pause_until: Option<Instant>,
}

/// Result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplayStep {
    /// More steps follow.
    Continue,
    /// The socket receives new events.
    Done,
}

/// Makes the next step; pending without a replay.
pub(super) async fn step(replay: &mut Option<Box<Replay>>, subscription: &Subscription) -> ReplayStep {
    match replay {
        // Boxed: inline, the task of the socket would hold its memory for as long as the socket is open.
        Some(replay) => Box::pin(replay.step(subscription)).await,
        None => std::future::pending().await,
    }
}

impl Replay {
    /// Starts after `cursor`, with the events of `page` that were read already.
    pub(super) fn new(
        outbound: Arc<OutboundQueue>,
        cursor: Offset,
        page: Vec<(Offset, Envelope)>,
        joined: Offset,
    ) -> Self {
        Self {
            outbound,
            cursor,
            page: page.into(),
            joined,
            pause_until: None,
        }
    }

    /// Makes one step. Cancel safe. Replay never overflows the queue: it adds events only to an empty one.
    async fn step(&mut self, subscription: &Subscription) -> ReplayStep {
        if !self.page.is_empty() {
            self.outbound.drained().await;
            self.queue(subscription);
            return ReplayStep::Continue;
        }
        match subscription.go_live(&self.cursor) {
            ReplayProgress::CaughtUp => return ReplayStep::Done,
            ReplayProgress::Behind => {}
            // The hub compares the epochs meanwhile.
            ReplayProgress::OtherEpoch => self.pause(SHORT_PAUSE),
        }
        if let Some(until) = self.pause_until {
            sleep_until(until).await;
            self.pause_until = None;
        }
        self.read(subscription).await
    }

    fn queue(&mut self, subscription: &Subscription) {
        for _ in 0..QUEUE_BATCH {
            let Some((offset, envelope)) = self.page.pop_front() else {
                return;
            };
            if envelope.audience == Audience::User || self.is_since_joined(&offset) {
                subscription.replay(&offset, &envelope);
            }
            self.cursor = offset;
        }
    }

    async fn read(&mut self, subscription: &Subscription) -> ReplayStep {
        match subscription.read(&self.cursor, PAGE).await {
            Ok(Some(LogRead::Events(events))) => {
                if events.is_empty() {
                    self.pause(SHORT_PAUSE);
                }
                self.page = events.into();
                ReplayStep::Continue
            }
            Ok(None) => {
                self.pause(RETRY_PAUSE);
                ReplayStep::Continue
            }
            Ok(Some(LogRead::Gap(now))) => {
                subscription.report_loss();
                self.cursor = now;
                ReplayStep::Continue
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "event log read failed, retrying");
                self.pause(RETRY_PAUSE);
                ReplayStep::Continue
            }
        }
    }

    fn is_since_joined(&self, offset: &Offset) -> bool {
        offset.epoch != self.joined.epoch || offset.seq > self.joined.seq
    }

    fn pause(&mut self, pause: Duration) {
        self.pause_until.get_or_insert_with(|| Instant::now() + pause);
    }
}

/// Events of one read, at most 512 KiB.
pub(super) const PAGE: usize = 32;
/// Events queued at once, at most 256 KiB: the queue holds more.
const QUEUE_BATCH: usize = 16;
/// Pause after a read without new events.
const SHORT_PAUSE: Duration = Duration::from_millis(50);
/// Pause after a failed read.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
