//! Bounded outbound queue of one socket. Any task may add messages; the task of the socket takes them, or the hub on its behalf.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use protocol::time::Timestamp;
use tokio::time::Instant;

use super::batch::{Batch, Batching, FeedEvent};
use super::outgoing::{OutgoingMessage, QueuedMessage};
use crate::deflate::PerMessageDeflate;
use crate::metrics::BusDurations;

/// Queue of one socket: at most 4,096 messages and 1 MiB, besides the batched feed events, at most 64 and 48 KiB. An overflow closes the
/// socket as a slow consumer; on resumption its client gets the missed events from the log. An empty queue uses little memory.
#[derive(Debug, Default)]
pub(crate) struct OutboundQueue {
    deflate: Option<PerMessageDeflate>,
    durations: Option<Arc<BusDurations>>,
    queue: Mutex<Queue>,
    task: AtomicWaker,
    /// Transport of the socket, if another task may write to it.
    writer: Option<Weak<dyn DirectWriter>>,
}

/// Transport of a socket, for writes by another task than the socket's own: waking a task, often on another core, costs more than the write.
pub(crate) trait DirectWriter: Send + Sync {
    /// Writes what is queued. False if the socket's task is to be woken: it is running, or the write leaves it something to do.
    fn try_write(&self, outbound: &OutboundQueue) -> bool;
}

/// Error of a queue that overflowed: it accepts no more messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub(crate) struct Overflowed;

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<QueuedMessage>,
    bytes: usize,
    /// Batching of feed events, if enabled.
    batching: Option<Batching>,
    /// Batched feed events, which are sent before any later message.
    batch: Batch,
    state: QueueState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum QueueState {
    #[default]
    Open,
    Overflowed,
    Closed,
}

impl OutboundQueue {
    /// Creates the queue of a socket with the negotiated compression, if any. Latencies of its events are recorded in `durations`.
    pub(crate) fn new(deflate: Option<PerMessageDeflate>, durations: Arc<BusDurations>) -> Self {
        Self {
            deflate,
            durations: Some(durations),
            ..Self::default()
        }
    }

    /// Has the transport written by other tasks too.
    pub(crate) fn written_by(self, writer: Weak<dyn DirectWriter>) -> Self {
        Self {
            writer: Some(writer),
            ..self
        }
    }

    /// Creates the queue of the next client on the same socket.
    pub(crate) fn successor(&self) -> Self {
        Self {
            deflate: self.deflate.clone(),
            durations: self.durations.clone(),
            writer: self.writer.clone(),
            ..Self::default()
        }
    }

    /// Compression of the socket.
    pub(crate) fn deflate(&self) -> Option<&PerMessageDeflate> {
        self.deflate.as_ref()
    }

    /// Enables or disables batching of feed events.
    pub(crate) fn set_batching(&self, batching: Option<Batching>) {
        self.lock().batching = batching;
    }

    /// Queues a message after all batched feed events. A message that does not fit is dropped with the whole queue, and the task is
    /// notified. A closed queue ignores messages.
    pub(crate) fn push(&self, message: impl Into<OutgoingMessage>) {
        self.lock().push(QueuedMessage::untimed(message));
        self.wake();
    }

    /// Queues an event like any other message; it was published then. It is sent by [`OutboundQueue::write_or_wake`] or
    /// [`OutboundQueue::wake`].
    pub(crate) fn push_event(&self, message: OutgoingMessage, published_at: Option<Timestamp>) {
        self.lock().push(QueuedMessage { message, published_at });
    }

    /// Adds a feed event to the batch, if batching is enabled, else queues it as [`OutboundQueue::push_event`] does. True if it was queued
    /// and is to be sent. The delay of a batch is intended, so it is not timed.
    pub(crate) fn push_feed(&self, event: FeedEvent) -> bool {
        let mut queue = self.lock();
        let Some(Batching { every, .. }) = queue.batching else {
            let FeedEvent {
                alone, published_at, ..
            } = event;
            queue.push(QueuedMessage {
                message: alone,
                published_at,
            });
            return true;
        };
        if queue.state != QueueState::Open {
            return false;
        }
        let is_first = queue.batch.due().is_none();
        queue.batch.add(event, Instant::now() + every);
        let is_full = queue.batch.is_full();
        if is_full {
            queue.send_batch();
        }
        drop(queue);
        if is_first || is_full {
            self.wake();
        }
        false
    }

    /// Wakes the task of the socket, which sends what is queued.
    pub(crate) fn wake(&self) {
        self.task.wake();
    }

    /// Sends what is queued from this task while the task of the socket is idle, else wakes that one.
    pub(crate) fn write_or_wake(&self) {
        let writer = self.writer.as_ref().and_then(Weak::upgrade);
        if !writer.is_some_and(|writer| writer.try_write(self)) {
            self.wake();
        }
    }

    /// Registers the task of the socket, to be woken for messages that are queued from now on.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    /// Due time of the batched feed events.
    pub(crate) fn batch_due(&self) -> Option<Instant> {
        self.lock().batch.due()
    }

    /// Ready once the due time differs from this one.
    pub(crate) fn poll_batch_due(&self, known: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        self.register(cx);
        if self.batch_due() == known {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Queues the batched feed events if they are due.
    pub(crate) fn send_batch_due(&self, now: Instant) {
        let mut queue = self.lock();
        if queue.batch.due().is_some_and(|due| due <= now) {
            queue.send_batch();
        }
    }

    /// Queues the batched feed events.
    pub(crate) fn send_batch(&self) {
        self.lock().send_batch();
    }

    /// Queues a message before all others: the greeting precedes events that were queued meanwhile.
    pub(crate) fn push_first(&self, message: impl Into<OutgoingMessage>) {
        let message = QueuedMessage::untimed(message);
        let mut queue = self.lock();
        if queue.state == QueueState::Open {
            queue.bytes = queue.bytes.saturating_add(message.len());
            queue.messages.push_front(message);
        }
        drop(queue);
        self.wake();
    }

    /// Takes the next message, or registers the task to be woken for it.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Result<QueuedMessage, Overflowed>> {
        if let Some(next) = self.pop() {
            return Poll::Ready(next);
        }
        self.register(cx);
        // A message may have been queued just before the waker was registered.
        self.pop().map_or(Poll::Pending, Poll::Ready)
    }

    /// True if the queue has overflowed.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.lock().state == QueueState::Overflowed
    }

    /// Records the latency of a write to the socket, which began with an event that was published then.
    pub(crate) fn record_delivered(&self, published_at: Timestamp) {
        if let Some(durations) = &self.durations {
            durations.delivered(published_at);
        }
    }

    /// Drops all messages and accepts no more.
    pub(crate) fn close(&self) {
        self.lock().end(QueueState::Closed);
    }

    /// Resolves once the queue is empty. For the task that takes the messages, which alone is woken.
    pub(crate) async fn drained(&self) {
        let drained = || self.lock().messages.is_empty();
        poll_fn(|_| if drained() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// True if the queue is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().state == QueueState::Closed
    }

    /// Takes the next message, if there is one.
    pub(crate) fn pop(&self) -> Option<Result<QueuedMessage, Overflowed>> {
        let mut queue = self.lock();
        if queue.state == QueueState::Overflowed {
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
    /// Adds a message after all batched feed events.
    fn push(&mut self, message: QueuedMessage) {
        self.send_batch();
        self.add(message);
    }

    fn add(&mut self, message: QueuedMessage) {
        if self.state != QueueState::Open {
            return;
        }
        let bytes = self.bytes.saturating_add(message.len());
        if self.messages.len() < MAX_MESSAGES && bytes <= MAX_QUEUE_BYTES {
            if self.messages.capacity() == 0 {
                // Most queues never have two: the greeting of an idle socket would leave room for four.
                self.messages.reserve_exact(1);
            }
            self.messages.push_back(message);
            self.bytes = bytes;
        } else {
            self.end(QueueState::Overflowed);
        }
    }

    fn send_batch(&mut self) {
        if self.batch.due().is_none() {
            return;
        }
        let array = self.batching.and_then(|batching| batching.array);
        for message in self.batch.take(array) {
            self.add(QueuedMessage::untimed(message));
        }
    }

    fn end(&mut self, state: QueueState) {
        *self = Self {
            state,
            ..Self::default()
        };
    }
}

const MAX_MESSAGES: usize = 4_096;
/// Bound of the queue, in bytes.
pub(crate) const MAX_QUEUE_BYTES: usize = 1024 * 1024;
/// Capacity that an empty queue keeps: a few messages are usual, of 64 bytes each.
const KEPT_CAPACITY: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::task::noop_waker_ref;
    use protocol::wire::Message;
    use protocol::wire::native::Encoding;

    use super::*;

    fn text(len: usize) -> OutgoingMessage {
        Message::Text(Bytes::from(vec![b'x'; len])).into()
    }

    fn next(outbound: &OutboundQueue) -> Poll<Result<OutgoingMessage, Overflowed>> {
        let queued = outbound.poll_pop(&mut Context::from_waker(noop_waker_ref()));
        queued.map_ok(|queued| queued.message)
    }

    #[test]
    fn messages_are_sent_first_in_first_out_and_a_greeting_first() {
        let outbound = OutboundQueue::default();
        outbound.push(text(1));
        outbound.push(text(2));
        outbound.push_first(text(3));
        for len in [3, 1, 2] {
            assert_eq!(next(&outbound), Poll::Ready(Ok(text(len))));
        }
        assert_eq!(next(&outbound), Poll::Pending);
    }

    #[test]
    fn queue_is_bounded_in_bytes_and_in_messages() {
        let heavy = OutboundQueue::default();
        heavy.push(text(MAX_QUEUE_BYTES));
        heavy.push(text(1));
        assert_eq!(next(&heavy), Poll::Ready(Err(Overflowed)));

        let many = OutboundQueue::default();
        for _ in 0..MAX_MESSAGES {
            many.push(text(1));
        }
        many.push(text(1));
        assert_eq!(next(&many), Poll::Ready(Err(Overflowed)));
    }

    #[test]
    fn sent_messages_free_capacity() {
        let outbound = OutboundQueue::default();
        for _ in 0..10 {
            outbound.push(text(MAX_QUEUE_BYTES));
            assert_eq!(next(&outbound), Poll::Ready(Ok(text(MAX_QUEUE_BYTES))));
        }
    }

    #[test]
    fn empty_queue_releases_its_memory() {
        let outbound = OutboundQueue::default();
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
            published_at: Some(Timestamp::from_millis(7)),
        }
    }

    fn collecting(array: Option<Encoding>) -> OutboundQueue {
        let outbound = OutboundQueue::default();
        outbound.set_batching(Some(Batching {
            every: Duration::from_secs(5),
            array,
        }));
        outbound
    }

    #[test]
    fn batched_events_are_sent_before_later_messages() {
        let outbound = collecting(Some(Encoding::Json));
        outbound.push_feed(feed(1));
        outbound.push_feed(feed(2));
        assert_eq!(next(&outbound), Poll::Pending);
        outbound.push(text(3));
        let array = OutgoingMessage::from(Message::Text("[1,11]".into()));
        assert_eq!(
            (next(&outbound), next(&outbound)),
            (Poll::Ready(Ok(array)), Poll::Ready(Ok(text(3))))
        );
        assert_eq!((next(&outbound), outbound.batch_due()), (Poll::Pending, None));
    }

    #[test]
    fn feed_event_is_sent_at_once_without_batching() {
        let outbound = OutboundQueue::default();
        outbound.push_feed(feed(2));
        assert_eq!(next(&outbound), Poll::Ready(Ok(feed(2).alone)));
    }

    #[test]
    fn event_keeps_the_time_of_its_publish_unless_it_is_batched() {
        let published_at = |outbound: &OutboundQueue| {
            let mut cx = Context::from_waker(noop_waker_ref());
            let Poll::Ready(Ok(queued)) = outbound.poll_pop(&mut cx) else {
                panic!("the queue is empty");
            };
            queued.published_at
        };
        let now = Some(Timestamp::from_millis(7));
        let outbound = OutboundQueue::default();
        outbound.push_event(text(1), now);
        outbound.push_feed(feed(1));
        outbound.push(text(1));
        assert_eq!([(); 3].map(|()| published_at(&outbound)), [now, now, None]);

        let batching = collecting(None);
        batching.push_feed(feed(1));
        batching.send_batch();
        assert_eq!(published_at(&batching), None);
    }

    #[test]
    fn batched_events_count_towards_the_bound() {
        let outbound = collecting(None);
        for _ in 0..=MAX_QUEUE_BYTES / 10_000 + 4 {
            outbound.push_feed(feed(10_000));
        }
        assert_eq!(next(&outbound), Poll::Ready(Err(Overflowed)));
        outbound.push_feed(feed(1));
        assert_eq!(outbound.batch_due(), None, "no event is batched after an overflow");
    }
}
