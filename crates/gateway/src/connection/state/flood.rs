//! Message rate of one socket, and the flood that closes it.

use std::time::Duration;

use tokio::time::Instant;

use crate::rate::Limit;
use crate::settings::Rate;

/// Rate limit of one socket's messages.
pub(super) struct FloodGuard {
    limit: Limit,
    /// Start of the window in which refusals are counted.
    since: Instant,
    refused: u32,
}

/// Verdict on one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FloodVerdict {
    /// The message is within the rate.
    Admit,
    /// The message exceeds the rate; the next one is admitted after this time.
    Reject(Duration),
    /// Too many messages exceeded the rate.
    End,
}

impl FloodGuard {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            limit: Limit::new(rate, now),
            since: now,
            refused: 0,
        }
    }

    /// Counts a message. 200 refused within 10 s are a flood; the window begins with the first refusal after the last window.
    pub(super) fn check(&mut self, now: Instant) -> FloodVerdict {
        let Err(wait) = self.limit.admit(now) else {
            return FloodVerdict::Admit;
        };
        if now.saturating_duration_since(self.since) > WINDOW {
            self.since = now;
            self.refused = 0;
        }
        self.refused += 1;
        if self.refused >= MAX_REFUSED {
            FloodVerdict::End
        } else {
            FloodVerdict::Reject(wait)
        }
    }
}

const WINDOW: Duration = Duration::from_secs(10);
const MAX_REFUSED: u32 = 200;
