//! From where its client left off to the present: a socket reads the log page by page, as fast as its peer takes what it reads, and
//! hears what comes from the moment it has read all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bus::LogRead;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::offset::Offset;
use protocol::fault::chain;
use tokio::time::{Instant, sleep_until};

use super::outbound::Outbound;
use crate::hub::{Progress, Seat};

/// A socket that is not at the present yet.
pub(super) struct Replay {
    outbound: Arc<Outbound>,
    /// Up to here everything was queued.
    cursor: Offset,
    /// What was read and not yet queued.
    page: VecDeque<(Offset, Envelope)>,
    /// Where the user's order stood when the socket took its seat. What was said to one session or socket before that was not said
    /// to this one.
    joined: Offset,
    /// The log is not read before then.
    rests_until: Option<Instant>,
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is.
    GoOn,
    /// The socket hears what comes.
    Done,
}

/// The next step, if there is one to make.
pub(super) async fn step(replay: &mut Option<Box<Replay>>, seat: &Seat) -> Step {
    match replay {
        // Boxed: the task of a socket would keep room for it for as long as it lives.
        Some(replay) => Box::pin(replay.step(seat)).await,
        None => std::future::pending().await,
    }
}

impl Replay {
    /// A socket that has heard everything up to `cursor`, and of what came after it `page`.
    pub(super) fn new(outbound: Arc<Outbound>, cursor: Offset, page: Vec<(Offset, Envelope)>, joined: Offset) -> Self {
        Self {
            outbound,
            cursor,
            page: page.into(),
            joined,
            rests_until: None,
        }
    }

    /// One step. Nothing is lost when it is dropped while pending. However much there is to replay, it does not fill the queue: the
    /// queue is empty before more is put there.
    async fn step(&mut self, seat: &Seat) -> Step {
        if !self.page.is_empty() {
            self.outbound.drained().await;
            self.queue(seat);
            return Step::GoOn;
        }
        match seat.go_live(&self.cursor) {
            Progress::Live => return Step::Done,
            Progress::Behind => {}
            // The room asks meanwhile which epoch is over.
            Progress::Apart => self.rest(SOON),
        }
        if let Some(until) = self.rests_until {
            sleep_until(until).await;
            self.rests_until = None;
        }
        self.read(seat).await
    }

    fn queue(&mut self, seat: &Seat) {
        for _ in 0..AT_ONCE {
            let Some((offset, envelope)) = self.page.pop_front() else {
                return;
            };
            if envelope.audience == Audience::User || self.is_since_joined(&offset) {
                seat.replay(&offset, &envelope);
            }
            self.cursor = offset;
        }
    }

    async fn read(&mut self, seat: &Seat) -> Step {
        match seat.read(&self.cursor, PAGE).await {
            Ok(Some(LogRead::Events(events))) => {
                if events.is_empty() {
                    self.rest(SOON);
                }
                self.page = events.into();
                Step::GoOn
            }
            Ok(None) => {
                self.rest(LATER);
                Step::GoOn
            }
            Ok(Some(LogRead::Gap(now))) => {
                seat.lose();
                self.cursor = now;
                Step::GoOn
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "the log was not read, and will be later");
                self.rest(LATER);
                Step::GoOn
            }
        }
    }

    fn is_since_joined(&self, offset: &Offset) -> bool {
        offset.epoch != self.joined.epoch || offset.seq > self.joined.seq
    }

    fn rest(&mut self, rest: Duration) {
        self.rests_until.get_or_insert_with(|| Instant::now() + rest);
    }
}

/// How many events are read at once, at most 512 KiB.
pub(super) const PAGE: usize = 32;
/// How many events are queued at once, at most 256 KiB: the queue holds more.
const AT_ONCE: usize = 16;
/// How long the log is left alone when it had nothing new.
const SOON: Duration = Duration::from_millis(50);
/// How long after a failure the log is read again.
const LATER: Duration = Duration::from_secs(1);
