//! How much a peer may say, and when it is too much to listen any longer.

use std::time::Duration;

use tokio::time::Instant;

use crate::rate::Limit;
use crate::settings::Rate;

/// The count of one socket.
pub(super) struct Flood {
    limit: Limit,
    /// When the run of refusals that is counted began.
    since: Instant,
    refused: u32,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is within the rate.
    Serve,
    /// It is not; the next one is free after this long.
    HoldBack(Duration),
    /// It is not, and neither were too many before it.
    End,
}

impl Flood {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            limit: Limit::new(rate, now),
            since: now,
            refused: 0,
        }
    }

    /// Counts a message. 200 refused within 10 s are a flood; the 10 s begin with the first refusal after the last 10 s.
    pub(super) fn judge(&mut self, now: Instant) -> Judgement {
        let Err(wait) = self.limit.admit(now) else {
            return Judgement::Serve;
        };
        if now.saturating_duration_since(self.since) > WINDOW {
            self.since = now;
            self.refused = 0;
        }
        self.refused += 1;
        if self.refused >= PATIENCE {
            Judgement::End
        } else {
            Judgement::HoldBack(wait)
        }
    }
}

const WINDOW: Duration = Duration::from_secs(10);
const PATIENCE: u32 = 200;
