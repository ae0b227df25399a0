//! Close reasons of a socket with their metric labels, close codes and treatment, slow consumers included.

use protocol::code::CloseCode;

use crate::label::labels;

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

labels!(CloseReason {
    ByPeer => "by_peer",
    Lost => "lost",
    AuthenticationTimeout => "authentication_timeout",
    HeartbeatTimeout => "heartbeat_timeout",
    Unauthenticated => "unauthenticated",
    TokenExpired => "token_expired",
    SessionIdle => "session_idle",
    SessionEnded => "session_ended",
    BadFrame => "bad_frame",
    ProtocolError => "protocol_error",
    NotUtf8 => "not_utf8",
    NotDeflated => "not_deflated",
    TooBig => "too_big",
    QueueFull => "queue_full",
    Stalled => "stalled",
    Flood => "flood",
    JoinRate => "join_rate",
    Surplus => "surplus",
    Resync => "resync",
    Replaced => "replaced",
    Unavailable => "unavailable",
    Restart => "restart",
});

/// Treatment of a close.
struct ClosePolicy {
    /// Code of the Close frame; `None` if none is sent.
    code: Option<CloseCode>,
    /// True if a Socket.IO client is sent DISCONNECT first, after which it does not reconnect by itself.
    disconnect: bool,
    /// True if the queue is sent first.
    flush: bool,
}

impl CloseReason {
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
        let close_policy = |code, disconnect, flush| ClosePolicy {
            code,
            disconnect,
            flush,
        };
        match self {
            Self::ByPeer => close_policy(None, false, false),
            Self::Lost => close_policy(None, false, false),
            Self::AuthenticationTimeout => close_policy(Some(CloseCode::TimedOut), false, true),
            Self::HeartbeatTimeout => close_policy(Some(CloseCode::TimedOut), false, false),
            Self::Unauthenticated => close_policy(Some(CloseCode::Unauthenticated), false, true),
            Self::TokenExpired => close_policy(Some(CloseCode::Unauthenticated), true, true),
            Self::SessionIdle => close_policy(Some(CloseCode::Unauthenticated), true, true),
            Self::SessionEnded => close_policy(Some(CloseCode::Forbidden), true, true),
            Self::BadFrame => close_policy(Some(CloseCode::BadFrame), false, true),
            Self::ProtocolError => close_policy(Some(CloseCode::ProtocolError), false, false),
            Self::NotUtf8 => close_policy(Some(CloseCode::InvalidPayload), false, false),
            Self::NotDeflated => close_policy(Some(CloseCode::InvalidPayload), false, false),
            Self::TooBig => close_policy(Some(CloseCode::TooBig), false, false),
            Self::QueueFull => close_policy(Some(CloseCode::TooSlow), false, false),
            Self::Stalled => close_policy(Some(CloseCode::TooSlow), false, false),
            Self::Flood => close_policy(Some(CloseCode::TooMany), true, true),
            Self::JoinRate => close_policy(Some(CloseCode::TooMany), false, true),
            Self::Surplus => close_policy(Some(CloseCode::TooMany), true, true),
            Self::Resync => close_policy(Some(CloseCode::Restart), false, true),
            Self::Replaced => close_policy(Some(CloseCode::TooMany), true, true),
            Self::Unavailable => close_policy(Some(CloseCode::Restart), false, true),
            Self::Restart => close_policy(Some(CloseCode::Restart), false, true),
        }
    }
}
