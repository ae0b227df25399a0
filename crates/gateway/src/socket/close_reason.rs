//! Why a WebSocket ends, and what its client is told: one table.

use protocol::code::CloseCode;

/// Why a WebSocket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The peer closed it.
    ByPeer,
    /// The stream ended or broke.
    Lost,
    /// No valid token in time.
    AuthenticationTimeout,
    /// No answer to a ping.
    HeartbeatTimeout,
    /// The token was refused.
    Unauthenticated,
    /// The token's end came while the socket was live.
    TokenExpired,
    /// Nothing happened in its session for too long.
    SessionIdle,
    /// Someone ended its session.
    SessionEnded,
    /// Framing above WebSocket is broken, or something came out of turn.
    BadFrame,
    /// WebSocket itself is broken.
    ProtocolError,
    /// A text message is not UTF-8.
    NotUtf8,
    /// A compressed message is none.
    NotDeflated,
    /// A message is too long.
    TooBig,
    /// The queue is full.
    QueueFull,
    /// The peer takes nothing.
    Stalled,
    /// Too many messages.
    Flood,
    /// Its user comes too often.
    JoinRate,
    /// Too many sockets of its user.
    Surplus,
    /// Events are lost, and its client has no word for that.
    Resync,
    /// Its client has come back elsewhere.
    Replaced,
    /// The bus does not answer: another try may find it, here or elsewhere.
    Unavailable,
    /// The node drains.
    Restart,
}

/// What the peer is told when its socket ends.
struct Goodbye {
    /// The metric label.
    label: &'static str,
    /// In the Close frame; none where the peer cannot or need not be told.
    code: Option<CloseCode>,
    /// Socket.IO clients come back by themselves unless they are told not to.
    stay_away: bool,
    /// What is queued is sent first.
    flush: bool,
}

impl Ending {
    /// The metric label.
    pub(crate) fn label(self) -> &'static str {
        self.goodbye().label
    }

    /// What stands in the Close frame.
    pub(crate) fn code(self) -> Option<CloseCode> {
        self.goodbye().code
    }

    /// Whether a Socket.IO client is told first that it is disconnected (`41`), so that it does not come back by itself.
    pub(crate) fn stay_away(self) -> bool {
        self.goodbye().stay_away
    }

    /// Whether what is queued is sent first.
    pub(crate) fn flushes(self) -> bool {
        self.goodbye().flush
    }

    fn goodbye(self) -> Goodbye {
        let goodbye = |label, code, stay_away, flush| Goodbye {
            label,
            code,
            stay_away,
            flush,
        };
        match self {
            Self::ByPeer => goodbye("by_peer", None, false, false),
            Self::Lost => goodbye("lost", None, false, false),
            Self::AuthenticationTimeout => goodbye("authentication_timeout", Some(CloseCode::TimedOut), false, true),
            Self::HeartbeatTimeout => goodbye("heartbeat_timeout", Some(CloseCode::TimedOut), false, false),
            Self::Unauthenticated => goodbye("unauthenticated", Some(CloseCode::Unauthenticated), false, true),
            Self::TokenExpired => goodbye("token_expired", Some(CloseCode::Unauthenticated), true, true),
            Self::SessionIdle => goodbye("session_idle", Some(CloseCode::Unauthenticated), true, true),
            Self::SessionEnded => goodbye("session_ended", Some(CloseCode::Forbidden), true, true),
            Self::BadFrame => goodbye("bad_frame", Some(CloseCode::BadFrame), false, true),
            Self::ProtocolError => goodbye("protocol_error", Some(CloseCode::ProtocolError), false, false),
            Self::NotUtf8 => goodbye("not_utf8", Some(CloseCode::InvalidPayload), false, false),
            Self::NotDeflated => goodbye("not_deflated", Some(CloseCode::InvalidPayload), false, false),
            Self::TooBig => goodbye("too_big", Some(CloseCode::TooBig), false, false),
            Self::QueueFull => goodbye("queue_full", Some(CloseCode::TooSlow), false, false),
            Self::Stalled => goodbye("stalled", Some(CloseCode::TooSlow), false, false),
            Self::Flood => goodbye("flood", Some(CloseCode::TooMany), true, true),
            Self::JoinRate => goodbye("join_rate", Some(CloseCode::TooMany), false, true),
            Self::Surplus => goodbye("surplus", Some(CloseCode::TooMany), true, true),
            Self::Resync => goodbye("resync", Some(CloseCode::Restart), false, true),
            Self::Replaced => goodbye("replaced", Some(CloseCode::TooMany), true, true),
            Self::Unavailable => goodbye("unavailable", Some(CloseCode::Restart), false, true),
            Self::Restart => goodbye("restart", Some(CloseCode::Restart), false, true),
        }
    }
}
