//! Close reasons of a socket with their close code, metric label and treatment, slow consumers included: one table.

use protocol::code::CloseCode;

/// Reason for which a WebSocket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The peer closed it.
    ByPeer,
    /// The stream ended or broke.
    Lost,
    /// No valid token arrived in time.
    AuthenticationTimeout,
    /// No pong arrived in time.
    HeartbeatTimeout,
    /// The token was refused.
    Unauthenticated,
    /// The token expired while the socket was live.
    TokenExpired,
    /// The session expired without activity.
    SessionIdle,
    /// The session was ended.
    SessionEnded,
    /// The framing above WebSocket is broken, or a message is not allowed at this point.
    BadFrame,
    /// The WebSocket framing is broken.
    ProtocolError,
    /// A text message is not UTF-8.
    NotUtf8,
    /// A compressed message does not inflate.
    NotDeflated,
    /// A message is too large.
    TooBig,
    /// Slow consumer: the outbound queue overflowed.
    QueueFull,
    /// Slow consumer: the peer accepted no bytes for too long.
    Stalled,
    /// The client sent too many messages.
    Flood,
    /// The user opened too many sockets in a short time.
    JoinRate,
    /// The user exceeds the cap of sockets.
    Surplus,
    /// Events were lost, and the dialect has no event that reports it.
    Resync,
    /// The client resumed on another socket.
    Replaced,
    /// The bus is unavailable; the client may try again, here or on another gateway.
    Unavailable,
    /// The node drains.
    Restart,
}

/// Treatment of a close.
struct ClosePolicy {
    /// Metric label.
    label: &'static str,
    /// Code of the Close frame; `None` if none is sent.
    code: Option<CloseCode>,
    /// True if a Socket.IO client is sent DISCONNECT first, after which it does not reconnect by itself.
    disconnect: bool,
    /// True if the queue is sent first.
    flush: bool,
}

impl CloseReason {
    /// Metric label.
    pub(crate) fn label(self) -> &'static str {
        self.close_policy().label
    }

    /// Code of the Close frame.
    pub(crate) fn code(self) -> Option<CloseCode> {
        self.close_policy().code
    }

    /// True if a Socket.IO client is sent DISCONNECT (`41`) first, so that it does not reconnect by itself.
    pub(crate) fn sends_disconnect(self) -> bool {
        self.close_policy().disconnect
    }

    /// True if the queue is sent first.
    pub(crate) fn flushes(self) -> bool {
        self.close_policy().flush
    }

    fn close_policy(self) -> ClosePolicy {
        let close_policy = |label, code, disconnect, flush| ClosePolicy {
            label,
            code,
            disconnect,
            flush,
        };
        match self {
            Self::ByPeer => close_policy("by_peer", None, false, false),
            Self::Lost => close_policy("lost", None, false, false),
            Self::AuthenticationTimeout => {
                close_policy("authentication_timeout", Some(CloseCode::TimedOut), false, true)
            }
            Self::HeartbeatTimeout => close_policy("heartbeat_timeout", Some(CloseCode::TimedOut), false, false),
            Self::Unauthenticated => close_policy("unauthenticated", Some(CloseCode::Unauthenticated), false, true),
            Self::TokenExpired => close_policy("token_expired", Some(CloseCode::Unauthenticated), true, true),
            Self::SessionIdle => close_policy("session_idle", Some(CloseCode::Unauthenticated), true, true),
            Self::SessionEnded => close_policy("session_ended", Some(CloseCode::Forbidden), true, true),
            Self::BadFrame => close_policy("bad_frame", Some(CloseCode::BadFrame), false, true),
            Self::ProtocolError => close_policy("protocol_error", Some(CloseCode::ProtocolError), false, false),
            Self::NotUtf8 => close_policy("not_utf8", Some(CloseCode::InvalidPayload), false, false),
            Self::NotDeflated => close_policy("not_deflated", Some(CloseCode::InvalidPayload), false, false),
            Self::TooBig => close_policy("too_big", Some(CloseCode::TooBig), false, false),
            Self::QueueFull => close_policy("queue_full", Some(CloseCode::TooSlow), false, false),
            Self::Stalled => close_policy("stalled", Some(CloseCode::TooSlow), false, false),
            Self::Flood => close_policy("flood", Some(CloseCode::TooMany), true, true),
            Self::JoinRate => close_policy("join_rate", Some(CloseCode::TooMany), false, true),
            Self::Surplus => close_policy("surplus", Some(CloseCode::TooMany), true, true),
            Self::Resync => close_policy("resync", Some(CloseCode::Restart), false, true),
            Self::Replaced => close_policy("replaced", Some(CloseCode::TooMany), true, true),
            Self::Unavailable => close_policy("unavailable", Some(CloseCode::Restart), false, true),
            Self::Restart => close_policy("restart", Some(CloseCode::Restart), false, true),
        }
    }
}
