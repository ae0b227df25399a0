//! Transport of one socket behind a lock: its task owns it, and the hub writes to it while that task is idle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};

use super::transport::{Transport, TransportEvent};
use crate::socket::{CloseReason, DirectWriter, OutboundQueue};

/// Transport that is shared until its task takes it to close the socket.
pub(super) struct SharedTransport {
    state: Mutex<SharedState>,
}

struct SharedState {
    transport: Option<Transport>,
    /// Waker of the socket's task, since its first poll.
    task: Option<Waker>,
}

impl SharedTransport {
    pub(super) fn new(transport: Transport) -> Self {
        let state = SharedState {
            transport: Some(transport),
            task: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Sends the queue as far as the peer accepts it, and returns the next event. For the socket's task. Cancel safe.
    pub(super) fn poll_event(&self, outbound: &OutboundQueue, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        let SharedState { transport, task } = &mut *self.lock();
        match task {
            Some(task) => task.clone_from(cx.waker()),
            None => *task = Some(cx.waker().clone()),
        }
        match transport {
            Some(transport) => transport.poll_event(outbound, cx),
            None => Poll::Ready(TransportEvent::Ended(CloseReason::Lost)),
        }
    }

    /// Sends a WebSocket ping.
    pub(super) fn ping(&self) {
        if let Some(transport) = &mut self.lock().transport {
            transport.ping();
        }
    }

    /// Takes the transport: nobody else writes to it any more.
    pub(super) fn take(&self) -> Option<Transport> {
        self.lock().transport.take()
    }

    /// Returns the transport.
    pub(super) fn put(&self, transport: Transport) {
        self.lock().transport = Some(transport);
    }

    fn lock(&self) -> MutexGuard<'_, SharedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DirectWriter for SharedTransport {
    fn try_write(&self, outbound: &OutboundQueue) -> bool {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            // The task of the socket may have looked at its queue already.
            Err(TryLockError::WouldBlock) => return false,
        };
        let SharedState {
            transport: Some(transport),
            task: Some(task),
        } = &mut *state
        else {
            return false;
        };
        let mut cx = Context::from_waker(task);
        let write = AssertUnwindSafe(|| transport.write_through(outbound, &mut cx));
        // A panic costs this socket, whose task then finds no transport, and not the hub.
        catch_unwind(write).unwrap_or_else(|_panic| {
            state.transport = None;
            false
        })
    }
}
