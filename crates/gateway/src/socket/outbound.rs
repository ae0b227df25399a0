//! What waits to be sent on one socket. Whoever has something for the socket puts it here; its task alone takes it out.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::batch::{Batch, Batching, FeedEvent};
use super::outgoing::Outgoing;
use crate::deflate::PerMessageDeflate;

/// The queue of one socket: at most 4,096 messages and 1 MiB, beside the feed events that wait, at most 64 and 48 KiB. What does not
/// fit costs the socket: its peer is too slow, and what it misses it gets from the log when it comes back. It takes no memory while
/// it is empty.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    deflate: Option<PerMessageDeflate>,
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
    /// How feed events are collected, if they are.
    batching: Option<Batching>,
    /// Those that wait. Nothing overtakes them.
    batch: Batch,
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
    pub(crate) fn new(deflate: Option<PerMessageDeflate>) -> Self {
        Self {
            deflate,
            ..Self::default()
        }
    }

    /// The socket's compression.
    pub(crate) fn deflate(&self) -> Option<&PerMessageDeflate> {
        self.deflate.as_ref()
    }

    /// Has feed events collected from now on, or no longer.
    pub(crate) fn set_batching(&self, batching: Option<Batching>) {
        self.lock().batching = batching;
    }

    /// Queues a message, after all feed events that wait. What does not fit is dropped with all the rest, and the task learns of it;
    /// a closed queue takes nothing.
    pub(crate) fn push(&self, message: impl Into<Outgoing>) {
        let mut queue = self.lock();
        queue.send_batch();
        queue.add(message.into());
        drop(queue);
        self.task.wake();
    }

    /// Lets a feed event wait for others, where they are collected.
    pub(crate) fn push_feed(&self, event: FeedEvent) {
        let mut queue = self.lock();
        let Some(Batching { every, .. }) = queue.batching else {
            drop(queue);
            return self.push(event.alone);
        };
        if queue.state != State::Open {
            return;
        }
        let is_first = queue.batch.due().is_none();
        queue.batch.add(event, Instant::now() + every);
        let is_full = queue.batch.is_full();
        if is_full {
            queue.send_batch();
        }
        drop(queue);
        if is_first || is_full {
            self.task.wake();
        }
    }

    /// When the feed events that wait are due.
    pub(crate) fn batch_due(&self) -> Option<Instant> {
        self.lock().batch.due()
    }

    /// Ready once feed events are due at another time than this.
    pub(crate) fn poll_batch_due(&self, known: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        if self.batch_due() == known {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Queues the feed events that wait, if they are due.
    pub(crate) fn send_batch_due(&self, now: Instant) {
        let mut queue = self.lock();
        if queue.batch.due().is_some_and(|due| due <= now) {
            queue.send_batch();
        }
    }

    /// Queues the feed events that wait.
    pub(crate) fn send_batch(&self) {
        self.lock().send_batch();
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
    pub(crate) fn poll_overflowed(&self, cx: &mut Context<'_>) -> Poll<Overflowed> {
        self.task.register(cx.waker());
        match self.lock().state {
            State::Overflowed => Poll::Ready(Overflowed),
            State::Open | State::Closed => Poll::Pending,
        }
    }

    /// Takes nothing more: what is queued is dropped.
    pub(crate) fn close(&self) {
        self.lock().end(State::Closed);
    }

    /// Ready once nothing waits. For the task that takes messages out, which alone is woken when it can.
    pub(crate) async fn drained(&self) {
        let drained = || self.lock().messages.is_empty();
        poll_fn(|_| if drained() { Poll::Ready(()) } else { Poll::Pending }).await;
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
    fn add(&mut self, message: Outgoing) {
        if self.state != State::Open {
            return;
        }
        let bytes = self.bytes.saturating_add(message.len());
        if self.messages.len() < MAX_MESSAGES && bytes <= MAX_QUEUE_BYTES {
            self.messages.push_back(message);
            self.bytes = bytes;
        } else {
            self.end(State::Overflowed);
        }
    }

    fn send_batch(&mut self) {
        let array = self.batching.and_then(|batching| batching.array);
        for message in self.batch.take(array) {
            self.add(message);
        }
    }

    fn end(&mut self, state: State) {
        *self = Self {
            state,
            ..Self::default()
        };
    }
}

const MAX_MESSAGES: usize = 4_096;
/// In bytes.
pub(crate) const MAX_QUEUE_BYTES: usize = 1024 * 1024;
/// An empty queue keeps room for so many messages: a few are usual, and cost 48 bytes each.
const KEPT_CAPACITY: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::task::noop_waker_ref;
    use protocol::wire::Message;
    use protocol::wire::native::Encoding;

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
        heavy.push(text(MAX_QUEUE_BYTES));
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
            outbound.push(text(MAX_QUEUE_BYTES));
            assert_eq!(next(&outbound), Poll::Ready(Ok(text(MAX_QUEUE_BYTES))));
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

    fn feed(len: usize) -> FeedEvent {
        let message = Message::Text(Bytes::from(vec![b'1'; len]));
        FeedEvent {
            alone: message.clone().into(),
            message,
            syncing: None,
        }
    }

    fn collecting(array: Option<Encoding>) -> Outbound {
        let outbound = Outbound::default();
        outbound.set_batching(Some(Batching {
            every: Duration::from_secs(5),
            array,
        }));
        outbound
    }

    #[test]
    fn nothing_overtakes_what_waits() {
        let outbound = collecting(Some(Encoding::Json));
        outbound.push_feed(feed(1));
        outbound.push_feed(feed(2));
        assert_eq!(next(&outbound), Poll::Pending);
        outbound.push(text(3));
        let array = Outgoing::from(Message::Text("[1,11]".into()));
        assert_eq!(
            (next(&outbound), next(&outbound)),
            (Poll::Ready(Ok(array)), Poll::Ready(Ok(text(3))))
        );
        assert_eq!((next(&outbound), outbound.batch_due()), (Poll::Pending, None));
    }

    #[test]
    fn where_nothing_is_collected_a_feed_event_leaves_at_once() {
        let outbound = Outbound::default();
        outbound.push_feed(feed(2));
        assert_eq!(next(&outbound), Poll::Ready(Ok(feed(2).alone)));
    }

    #[test]
    fn what_is_collected_stays_within_the_bound() {
        let outbound = collecting(None);
        for _ in 0..=MAX_QUEUE_BYTES / 10_000 + 4 {
            outbound.push_feed(feed(10_000));
        }
        assert_eq!(next(&outbound), Poll::Ready(Err(Overflowed)));
        outbound.push_feed(feed(1));
        assert_eq!(outbound.batch_due(), None, "and nothing more is");
    }
}
