//! Request to close a socket, made outside of the socket's own task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::close_reason::CloseReason;

/// Close request of one socket. The first reason counts.
#[derive(Debug, Default)]
pub(crate) struct CloseRequest {
    reason: Mutex<Option<CloseReason>>,
    changed: Notify,
    /// Set once the session has ended: from then on the socket receives no event, and its commands are refused.
    has_session_ended: AtomicBool,
}

impl CloseRequest {
    /// Requests the close of the socket.
    pub(crate) fn close(&self, reason: CloseReason) {
        if matches!(reason, CloseReason::SessionEnded | CloseReason::SessionIdle) {
            self.has_session_ended.store(true, Ordering::SeqCst);
        }
        self.with(|pending| *pending.get_or_insert(reason));
        self.changed.notify_one();
    }

    /// True if the session of the socket is known to have ended.
    pub(crate) fn has_session_ended(&self) -> bool {
        self.has_session_ended.load(Ordering::SeqCst)
    }

    /// Resolves with the reason when a close is requested, once for each request.
    pub(crate) async fn requested(&self) -> CloseReason {
        loop {
            if let Some(reason) = self.with(Option::take) {
                return reason;
            }
            self.changed.notified().await;
        }
    }

    fn with<T>(&self, access: impl FnOnce(&mut Option<CloseReason>) -> T) -> T {
        access(&mut self.reason.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
