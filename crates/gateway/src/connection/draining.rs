//! Close phase: the queue is flushed, and the Close frame sent.

use std::sync::Arc;
use std::time::Duration;

use protocol::code::{CloseCode, ErrorCode};
use protocol::time::Timestamp;
use protocol::wire::socketio;

use super::handover::PendingCommands;
use super::link::Link;
use crate::socket::{Caller, CloseReason};

/// Socket that is to be closed, with the reason.
pub(super) struct Draining {
    link: Box<Link>,
    close_reason: CloseReason,
    /// Caller of a socket that was live.
    caller: Option<Arc<Caller>>,
}

/// Socket that is closed.
pub(super) struct ClosedSocket {
    pub(super) close_reason: CloseReason,
    /// Commands that were pending when a drain closed the socket.
    pub(super) pending: PendingCommands,
}

impl Draining {
    /// Takes a socket that never became live.
    pub(super) fn unauthenticated(link: Box<Link>, close_reason: CloseReason) -> Self {
        Self {
            link,
            close_reason,
            caller: None,
        }
    }

    /// Takes a socket that was live.
    pub(super) fn live(link: Box<Link>, close_reason: CloseReason, caller: Arc<Caller>) -> Self {
        Self {
            link,
            close_reason,
            caller: Some(caller),
        }
    }

    /// Time at which the session of the socket was ended, if an event announced it.
    pub(super) fn session_ended_at(&self) -> Option<Timestamp> {
        self.link.close_request().session_ended_at()
    }

    /// Sends the queue and closes, within a deadline.
    pub(super) async fn flush(mut self, within: Duration) -> ClosedSocket {
        let mut pending = PendingCommands::None;
        if let Some(caller) = &self.caller {
            if self.close_reason == CloseReason::Restart && !caller.is_idle() {
                // Pending commands can be answered on this socket only.
                Box::pin(self.link.send_until(caller.idle(), ANSWERS_WITHIN)).await;
                pending = PendingCommands::answered(caller.is_idle());
            }
            if self.close_reason.sends_disconnect() && caller.encoding.native().is_none() {
                self.link.send(socketio::disconnect(caller.encoding.dialect()));
            }
        }
        let reason = self.reason();
        Box::pin(self.link.close(self.close_reason, &reason, within)).await;
        ClosedSocket {
            close_reason: self.close_reason,
            pending,
        }
    }

    /// Reason text of the Close frame. It states when to reconnect after a drain or an outage.
    fn reason(&self) -> String {
        let reason = match self.close_reason {
            CloseReason::Restart => CloseCode::Restart.as_str(),
            CloseReason::Unavailable => ErrorCode::Unavailable.as_str(),
            other => return other.code().map_or("", CloseCode::as_str).to_owned(),
        };
        let after = self.link.reconnect_after().as_millis();
        format!("{reason}; reconnect-after-ms={after}")
    }
}

/// Time for the answers of pending commands on a draining node.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
