//! Deadline of an HTTP connection, which depends on the stage of its exchange.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Stage of the exchange, shared by the service, which advances it, and the connection's task, which enforces its deadline.
#[derive(Debug, Clone)]
pub(super) struct Cutoff(Arc<Mutex<Stage>>);

/// Stage of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Reading the request head, until this deadline.
    Requesting(Instant),
    /// Running the route, which has a deadline of its own.
    Running,
    /// Writing the response, until this deadline.
    Writing(Instant),
}

impl Cutoff {
    /// Starts with the request and its deadline.
    pub(super) fn new(request_by: Instant) -> Self {
        Self(Arc::new(Mutex::new(Stage::Requesting(request_by))))
    }

    /// Enters a stage.
    pub(super) fn enter(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Resolves with the stage whose deadline has passed. `timer` is the connection's timer.
    pub(super) fn poll_expired(&self, timer: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> Poll<Stage> {
        let stage = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Stage::Requesting(by) | Stage::Writing(by)) = stage else {
            return Poll::Pending;
        };
        if timer.deadline() != by {
            timer.as_mut().reset(by);
        }
        timer.as_mut().poll(cx).map(|()| stage)
    }

    /// Creates the timer for [`Cutoff::poll_expired`].
    pub(super) fn timer(by: Instant) -> Pin<Box<Sleep>> {
        Box::pin(sleep_until(by))
    }
}
