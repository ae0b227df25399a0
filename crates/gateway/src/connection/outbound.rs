//! What waits to be sent on one socket. Whoever has something for the socket puts it here; its task alone takes it out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::outgoing::Outgoing;
use crate::deflate::Deflate;

/// The queue of one socket: at most 4,096 messages and 1 MiB. What does not fit costs the socket: its peer is too slow, and what it
/// misses it gets from the log when it comes back. It takes no memory while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    deflate: Option<Deflate>,
    queue: Mutex<Queue>,
    task: AtomicWaker,
}

/// The queue did not take a message and never will again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub(crate) struct Overflowed;

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Outgoing>,
    bytes: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Overflowed,
    Closed,
}

impl Outbound {
    /// The queue of a socket with this compression, if any was agreed.
    pub(super) fn new(deflate: Option<Deflate>) -> Self {
        Self {
            deflate,
            ..Self::default()
        }
    }

    /// The socket's compression.
    pub(crate) fn deflate(&self) -> Option<&Deflate> {
        self.deflate.as_ref()
    }

    /// Queues a message. What does not fit is dropped with all the rest, and the task learns of it; a closed queue takes nothing.
    pub(crate) fn push(&self, message: impl Into<Outgoing>) {
        let message = message.into();
        let mut queue = self.lock();
        if queue.state != State::Open {
            return;
        }
        let bytes = queue.bytes.saturating_add(message.len());
        if queue.messages.len() < MAX_MESSAGES && bytes <= MAX_BYTES {
            queue.messages.push_back(message);
            queue.bytes = bytes;
        } else {
            queue.end(State::Overflowed);
        }
        drop(queue);
        self.task.wake();
    }

    /// Puts a message before all others: a greeting comes before what has been queued since.
    pub(crate) fn push_first(&self, message: impl Into<Outgoing>) {
        let message = message.into();
        let mut queue = self.lock();
        if queue.state == State::Open {
            queue.bytes = queue.bytes.saturating_add(message.len());
            queue.messages.push_front(message);
        }
        drop(queue);
        self.task.wake();
    }

    /// Takes the next message, or arranges for the task to be woken when there is one.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, Overflowed>> {
        if let Some(next) = self.pop() {
            return Poll::Ready(next);
        }
        self.task.register(cx.waker());
        // A message may have come just before the waker was there.
        self.pop().map_or(Poll::Pending, Poll::Ready)
    }

    /// Ready once the queue is fuller than it may be. For a task that cannot take messages out just now.
    pub(super) fn poll_overflowed(&self, cx: &mut Context<'_>) -> Poll<Overflowed> {
        self.task.register(cx.waker());
        match self.lock().state {
            State::Overflowed => Poll::Ready(Overflowed),
            State::Open | State::Closed => Poll::Pending,
        }
    }

    /// Takes nothing more: what is queued is dropped.
    pub(super) fn close(&self) {
        self.lock().end(State::Closed);
    }

    /// Whether nobody reads this any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().state == State::Closed
    }

    fn pop(&self) -> Option<Result<Outgoing, Overflowed>> {
        let mut queue = self.lock();
        if queue.state == State::Overflowed {
            return Some(Err(Overflowed));
        }
        let message = queue.messages.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(message.len());
        if queue.messages.is_empty() && queue.messages.capacity() > KEPT_CAPACITY {
            queue.messages = VecDeque::new();
        }
        Some(Ok(message))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn end(&mut self, state: State) {
        *self = Self {
            state,
            ..Self::default()
        };
    }
}

const MAX_MESSAGES: usize = 4_096;
/// In bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// An empty queue keeps room for so many messages: a few are usual, and cost 48 bytes each.
const KEPT_CAPACITY: usize = 8;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::task::noop_waker_ref;
    use protocol::wire::Message;

    use super::*;

    fn text(len: usize) -> Outgoing {
        Message::Text(Bytes::from(vec![b'x'; len])).into()
    }

    fn next(outbound: &Outbound) -> Poll<Result<Outgoing, Overflowed>> {
        outbound.poll_pop(&mut Context::from_waker(noop_waker_ref()))
    }

    #[test]
    fn messages_leave_in_order_and_a_greeting_first() {
        let outbound = Outbound::default();
        outbound.push(text(1));
        outbound.push(text(2));
        outbound.push_first(text(3));
        for len in [3, 1, 2] {
            assert_eq!(next(&outbound), Poll::Ready(Ok(text(len))));
        }
        assert_eq!(next(&outbound), Poll::Pending);
    }

    #[test]
    fn the_bound_is_in_bytes_and_in_messages() {
        let heavy = Outbound::default();
        heavy.push(text(MAX_BYTES));
        heavy.push(text(1));
        assert_eq!(next(&heavy), Poll::Ready(Err(Overflowed)));

        let many = Outbound::default();
        for _ in 0..MAX_MESSAGES {
            many.push(text(1));
        }
        many.push(text(1));
        assert_eq!(next(&many), Poll::Ready(Err(Overflowed)));
    }

    #[test]
    fn what_was_sent_makes_room() {
        let outbound = Outbound::default();
        for _ in 0..10 {
            outbound.push(text(MAX_BYTES));
            assert_eq!(next(&outbound), Poll::Ready(Ok(text(MAX_BYTES))));
        }
    }

    #[test]
    fn an_empty_queue_gives_its_memory_back() {
        let outbound = Outbound::default();
        for _ in 0..1_000 {
            outbound.push(text(1));
        }
        while next(&outbound).is_ready() {}
        assert_eq!(outbound.lock().messages.capacity(), 0);
    }
}
