//! Moment at which an HTTP connection is cut, whatever its peer does until then.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Stage of the one exchange of a connection, shared by the service, which moves it on, and the connection's task, which keeps it.
#[derive(Debug, Clone)]
pub(super) struct Cutoff(Arc<Mutex<Stage>>);

/// What the connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The head of a request, which is due then.
    Requesting(Instant),
    /// A route, which has a deadline of its own.
    Answering,
    /// The peer, which is to have taken the answer by then.
    Writing(Instant),
}

impl Cutoff {
    /// A connection whose request is due then.
    pub(super) fn new(request_by: Instant) -> Self {
        Self(Arc::new(Mutex::new(Stage::Requesting(request_by))))
    }

    /// The connection is at this stage from now on.
    pub(super) fn enter(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Ready with the stage that took too long. `timer` is the connection's one timer.
    pub(super) fn poll_late(&self, timer: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> Poll<Stage> {
        let stage = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Stage::Requesting(by) | Stage::Writing(by)) = stage else {
            return Poll::Pending;
        };
        if timer.deadline() != by {
            timer.as_mut().reset(by);
        }
        timer.as_mut().poll(cx).map(|()| stage)
    }

    /// A timer for [`Cutoff::poll_late`].
    pub(super) fn timer(by: Instant) -> Pin<Box<Sleep>> {
        Box::pin(sleep_until(by))
    }
}
