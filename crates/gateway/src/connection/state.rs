//! When a socket is pinged, held back or ended: pure decisions about time. The task beside it feeds them and obeys.

mod flood;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use self::flood::{Flood, Judgement};
use super::ending::Ending;
use crate::settings::{Heartbeat, Rate};

/// The bounds a socket lives within.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Pings and their answers.
    pub(super) heartbeat: Heartbeat,
    /// From the upgrade, or from leaving, to a valid token.
    pub(super) authentication: Duration,
    /// How long the peer may take nothing.
    pub(super) write: Duration,
    /// How often the peer may say something; none is no limit.
    pub(super) rate: Option<Rate>,
}

/// What a socket's time is about.
pub(super) struct State {
    bounds: Bounds,
    pulse: Pulse,
    phase: Phase,
    flood: Option<Flood>,
    blocked_since: Option<Instant>,
    leaves: Option<(Instant, Ending)>,
}

/// The heartbeat.
#[derive(Debug, Clone, Copy)]
enum Pulse {
    /// A ping is due then.
    Resting { ping_at: Instant },
    /// A ping is out; its answer is due then.
    Waiting { until: Instant },
}

/// Before and after the token.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// A valid token is due then.
    Unproven { until: Instant },
    /// The token ends then.
    Live { until: Instant },
}

/// What happens to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Time has passed.
    Tick,
    /// The peer said something that is no answer to a ping.
    Message,
    /// The peer answered a ping, or says so.
    Pong,
    /// The peer takes nothing.
    Blocked,
    /// The peer takes again.
    Flowing,
    /// The queue is fuller than it may be.
    Overflowed,
    /// A token was valid, until then.
    Proven {
        /// Its end.
        until: Instant,
    },
    /// The client left without closing: it may come back with a token.
    Left,
    /// The socket is to end, in its turn.
    Leave {
        /// Its turn.
        at: Instant,
        /// Why.
        ending: Ending,
    },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Send a ping.
    Ping,
    /// Do not serve this message: the peer says too much. The next one is free after this long.
    HoldBack(Duration),
    /// End the socket.
    End(Ending),
}

impl State {
    /// A socket that was opened now.
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            pulse: Pulse::Resting {
                ping_at: now + bounds.heartbeat.interval,
            },
            phase: Phase::Unproven {
                until: now + bounds.authentication,
            },
            flood: bounds.rate.map(|rate| Flood::new(rate, now)),
            blocked_since: None,
            leaves: None,
        }
    }

    /// The heartbeat that is kept.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.bounds.heartbeat
    }

    /// Takes note of what happens, and says what is to be done. After `End` nothing more is.
    pub(super) fn on(&mut self, input: Input, now: Instant) -> Option<Effect> {
        match input {
            Input::Tick => self.tick(now),
            Input::Message => self.message(now),
            Input::Pong => {
                // An unasked pong moves the next ping too, as with the reference.
                let asked = matches!(self.pulse, Pulse::Waiting { .. });
                self.pulse = Pulse::Resting {
                    ping_at: now + self.bounds.heartbeat.interval,
                };
                // One pong for each ping is free.
                if asked { None } else { self.message(now) }
            }
            Input::Blocked => {
                self.blocked_since.get_or_insert(now);
                None
            }
            Input::Flowing => {
                self.blocked_since = None;
                None
            }
            Input::Overflowed => Some(Effect::End(Ending::QueueFull)),
            Input::Proven { until } => {
                self.phase = Phase::Live { until };
                None
            }
            Input::Left => {
                self.phase = Phase::Unproven {
                    until: now + self.bounds.authentication,
                };
                None
            }
            Input::Leave { at, ending } => {
                if self.leaves.is_none_or(|(earlier, _)| at < earlier) {
                    self.leaves = Some((at, ending));
                }
                None
            }
        }
    }

    /// When [`Input::Tick`] is due.
    pub(super) fn wake_at(&self) -> Instant {
        let pulse = match self.pulse {
            Pulse::Resting { ping_at } => ping_at,
            Pulse::Waiting { until } => until,
        };
        let phase = match self.phase {
            Phase::Unproven { until } | Phase::Live { until } => until,
        };
        let stalled = self.blocked_since.map(|since| since + self.bounds.write);
        let leaves = self.leaves.map(|(at, _)| at);
        let others = [Some(phase), stalled, leaves];
        others.into_iter().flatten().fold(pulse, Instant::min)
    }

    /// Endings come before pings, and what the client must know of comes first.
    fn tick(&mut self, now: Instant) -> Option<Effect> {
        if let Some(ending) = self.due_ending(now) {
            return Some(Effect::End(ending));
        }
        match self.pulse {
            Pulse::Resting { ping_at } if ping_at <= now => {
                self.pulse = Pulse::Waiting {
                    until: now + self.bounds.heartbeat.timeout,
                };
                Some(Effect::Ping)
            }
            Pulse::Resting { .. } | Pulse::Waiting { .. } => None,
        }
    }

    fn due_ending(&self, now: Instant) -> Option<Ending> {
        match self.phase {
            Phase::Unproven { until } if until <= now => return Some(Ending::AuthenticationTimeout),
            Phase::Live { until } if until <= now => return Some(Ending::TokenExpired),
            Phase::Unproven { .. } | Phase::Live { .. } => {}
        }
        if self.blocked_since.is_some_and(|since| since + self.bounds.write <= now) {
            return Some(Ending::Stalled);
        }
        if matches!(self.pulse, Pulse::Waiting { until } if until <= now) {
            return Some(Ending::HeartbeatTimeout);
        }
        self.leaves.and_then(|(at, ending)| (at <= now).then_some(ending))
    }

    fn message(&mut self, now: Instant) -> Option<Effect> {
        match self.flood.as_mut()?.judge(now) {
            Judgement::Serve => None,
            Judgement::HoldBack(wait) => Some(Effect::HoldBack(wait)),
            Judgement::End => Some(Effect::End(Ending::Flood)),
        }
    }
}
