//! Request to close a socket, made outside of the socket's own task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::time::Timestamp;
use tokio::sync::Notify;

use crate::close_reason::CloseReason;

/// Close request of one socket. The first reason counts.
#[derive(Debug, Default)]
pub(crate) struct CloseRequest {
    state: Mutex<RequestState>,
    changed: Notify,
    /// Set once the session has ended: from then on the socket receives no event, and its commands are refused.
    has_session_ended: AtomicBool,
}

#[derive(Debug, Default)]
struct RequestState {
    reason: Option<CloseReason>,
    session_ended_at: Option<Timestamp>,
}

impl CloseRequest {
    /// Requests the close of the socket.
    pub(crate) fn close(&self, reason: CloseReason) {
        if matches!(reason, CloseReason::SessionEnded | CloseReason::SessionIdle) {
            self.has_session_ended.store(true, Ordering::SeqCst);
        }
        self.state().reason.get_or_insert(reason);
        self.changed.notify_one();
    }

    /// Requests the close of the socket, because its session was ended at this time.
    pub(crate) fn end_session(&self, at: Timestamp) {
        self.state().session_ended_at.get_or_insert(at);
        self.close(CloseReason::SessionEnded);
    }

    /// True if the session of the socket is known to have ended.
    pub(crate) fn has_session_ended(&self) -> bool {
        self.has_session_ended.load(Ordering::SeqCst)
    }

    /// Time at which the session was ended, if an event announced it.
    pub(crate) fn session_ended_at(&self) -> Option<Timestamp> {
        self.state().session_ended_at
    }

    /// Resolves with the reason when a close is requested, once for each request.
    pub(crate) async fn requested(&self) -> CloseReason {
        loop {
            let reason = self.state().reason.take();
            if let Some(reason) = reason {
                return reason;
            }
            self.changed.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
