//! Heartbeat, deadlines and message rate of one socket: pure decisions about time, which the link carries out.

mod flood;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use self::flood::{FloodGuard, FloodVerdict};
use crate::settings::{Heartbeat, Rate};
use crate::socket::CloseReason;

/// Time bounds of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) heartbeat: Heartbeat,
    /// Time for a valid token, since the upgrade or a DISCONNECT.
    pub(crate) authentication: Duration,
    /// Longest time in which the peer accepts no bytes.
    pub(crate) write: Duration,
    /// Rate of the peer's messages; `None` is no limit.
    pub(crate) rate: Option<Rate>,
}

/// State of one socket in time.
pub(super) struct LinkState {
    bounds: Bounds,
    ping: PingState,
    phase: AuthPhase,
    flood: Option<FloodGuard>,
    blocked_since: Option<Instant>,
    close_at: Option<(Instant, CloseReason)>,
}

/// State of the heartbeat.
#[derive(Debug, Clone, Copy)]
enum PingState {
    /// The next ping is due then.
    Idle { ping_at: Instant },
    /// A ping was sent; its pong is due then.
    AwaitingPong { until: Instant },
}

/// Phase before or after authentication.
#[derive(Debug, Clone, Copy)]
enum AuthPhase {
    /// A valid token is due then.
    Unauthenticated { until: Instant },
    /// The token expires then.
    Authenticated { until: Instant },
}

/// Input of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The timer fired.
    Tick,
    /// A message arrived that is no pong.
    Message,
    /// A pong arrived.
    Pong,
    /// The peer accepts no bytes.
    Blocked,
    /// The peer accepts bytes again.
    Flowing,
    /// The outbound queue overflowed.
    Overflowed,
    /// A token was verified.
    Authenticated {
        /// Expiry of the token.
        expires: Instant,
    },
    /// The client disconnected without closing the WebSocket, and may authenticate again.
    Disconnected,
    /// The socket is to be closed later.
    CloseAt {
        /// Time of the close.
        at: Instant,
        /// Reason of the close.
        reason: CloseReason,
    },
}

/// Effect that the link carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkEffect {
    /// Send a ping.
    Ping,
    /// Reject this message: it exceeds the rate, and the next one is admitted after this time.
    Reject(Duration),
    /// Close the socket.
    End(CloseReason),
}

impl LinkState {
    /// Creates the state of a socket opened now.
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            ping: PingState::Idle {
                ping_at: now + bounds.heartbeat.interval,
            },
            phase: AuthPhase::Unauthenticated {
                until: now + bounds.authentication,
            },
            flood: bounds.rate.map(|rate| FloodGuard::new(rate, now)),
            blocked_since: None,
            close_at: None,
        }
    }

    /// Heartbeat of the socket.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.bounds.heartbeat
    }

    /// Applies an input and returns its effect. There is none after `End`.
    pub(super) fn on(&mut self, input: Input, now: Instant) -> Option<LinkEffect> {
        match input {
            Input::Tick => self.tick(now),
            Input::Message => self.message(now),
            Input::Pong => self.pong(now),
            Input::Blocked => {
                self.blocked_since.get_or_insert(now);
                None
            }
            Input::Flowing => {
                self.blocked_since = None;
                None
            }
            Input::Overflowed => Some(LinkEffect::End(CloseReason::QueueFull)),
            Input::Authenticated { expires } => {
                self.phase = AuthPhase::Authenticated { until: expires };
                None
            }
            Input::Disconnected => {
                self.phase = AuthPhase::Unauthenticated {
                    until: now + self.bounds.authentication,
                };
                None
            }
            Input::CloseAt { at, reason } => {
                if self.close_at.is_none_or(|(earlier, _)| at < earlier) {
                    self.close_at = Some((at, reason));
                }
                None
            }
        }
    }

    /// Time at which [`Input::Tick`] is due.
    pub(super) fn wake_at(&self) -> Instant {
        let ping = match self.ping {
            PingState::Idle { ping_at } => ping_at,
            PingState::AwaitingPong { until } => until,
        };
        let phase = match self.phase {
            AuthPhase::Unauthenticated { until } | AuthPhase::Authenticated { until } => until,
        };
        let stalled = self.blocked_since.map(|since| since + self.bounds.write);
        let close_at = self.close_at.map(|(at, _)| at);
        let others = [Some(phase), stalled, close_at];
        others.into_iter().flatten().fold(ping, Instant::min)
    }

    /// Closes before it pings. Of several reasons the one that concerns the client most comes first.
    fn tick(&mut self, now: Instant) -> Option<LinkEffect> {
        if let Some(reason) = self.due_close(now) {
            return Some(LinkEffect::End(reason));
        }
        match self.ping {
            PingState::Idle { ping_at } if ping_at <= now => {
                self.ping = PingState::AwaitingPong {
                    until: now + self.bounds.heartbeat.timeout,
                };
                Some(LinkEffect::Ping)
            }
            PingState::Idle { .. } | PingState::AwaitingPong { .. } => None,
        }
    }

    fn due_close(&self, now: Instant) -> Option<CloseReason> {
        match self.phase {
            AuthPhase::Unauthenticated { until } if until <= now => return Some(CloseReason::AuthenticationTimeout),
            AuthPhase::Authenticated { until } if until <= now => return Some(CloseReason::TokenExpired),
            AuthPhase::Unauthenticated { .. } | AuthPhase::Authenticated { .. } => {}
        }
        if self.blocked_since.is_some_and(|since| since + self.bounds.write <= now) {
            return Some(CloseReason::Stalled);
        }
        if matches!(self.ping, PingState::AwaitingPong { until } if until <= now) {
            return Some(CloseReason::HeartbeatTimeout);
        }
        self.close_at.and_then(|(at, reason)| (at <= now).then_some(reason))
    }

    /// An unsolicited pong delays the next ping too, as in the reference implementation, and counts as a message.
    fn pong(&mut self, now: Instant) -> Option<LinkEffect> {
        let is_awaited = matches!(self.ping, PingState::AwaitingPong { .. });
        self.ping = PingState::Idle {
            ping_at: now + self.bounds.heartbeat.interval,
        };
        if is_awaited { None } else { self.message(now) }
    }

    fn message(&mut self, now: Instant) -> Option<LinkEffect> {
        match self.flood.as_mut()?.check(now) {
            FloodVerdict::Admit => None,
            FloodVerdict::Reject(wait) => Some(LinkEffect::Reject(wait)),
            FloodVerdict::End => Some(LinkEffect::End(CloseReason::Flood)),
        }
    }
}
