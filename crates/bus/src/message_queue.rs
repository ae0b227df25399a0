//! Bounded queue from a bus to a subscribed node. A full queue never blocks the bus: the node gets a notice of missed messages.

mod fair_queue;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::id::UserId;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;

use self::fair_queue::FairQueue;
use crate::channel_message::ChannelMessage;

/// Sending half. Clones share the queue.
///
/// A user has at most as many unread messages as there are free places. So a hot user fills half of the queue, two fill a third each, and
/// the rest is left to others; a [`ChannelMessage::MissedOf`] covers what is dropped above that.
#[derive(Debug, Clone)]
pub struct MessageQueue {
    sender: Arc<Sender>,
}

/// Receiving half. It reads one message of each user after the other, those of one user in the sequence in which they were sent, and
/// notices that are not about a single hot user first.
#[derive(Debug)]
pub struct ChannelMessages {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Sender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<FairQueue>,
    /// Notified when there may be something to read, or nothing will ever be again.
    readable: Notify,
    /// Cancelled when all senders are dropped.
    ended: CancellationToken,
    /// Cancelled when the receiver is dropped.
    closed: CancellationToken,
}

impl MessageQueue {
    /// Capacity in messages. At the usual 300 bytes of an event that is 2.5 MiB, at the longest 128 MiB.
    pub const CAPACITY: usize = 8192;

    /// Queue for `bound` messages, with its receiver.
    #[must_use]
    pub fn new(bound: usize) -> (Self, ChannelMessages) {
        let shared = Arc::new(Shared {
            queue: Mutex::new(FairQueue::new(bound)),
            readable: Notify::new(),
            ended: CancellationToken::new(),
            closed: CancellationToken::new(),
        });
        let sender = Arc::new(Sender {
            shared: Arc::clone(&shared),
        });
        (Self { sender }, ChannelMessages { shared })
    }

    /// Queues a message. One that does not fit is dropped; then a notice is queued, unless one that covers it is unread. True if a notice
    /// was queued.
    pub fn push(&self, message: ChannelMessage) -> bool {
        match message {
            ChannelMessage::Event { ref user, .. } | ChannelMessage::Redeemed { ref user, .. } => {
                let user = user.clone();
                self.change(|queue| queue.push(&user, message))
            }
            ChannelMessage::Missed => self.change(FairQueue::push_missed),
            ChannelMessage::MissedOf(users) => self.push_missed_of(users),
        }
    }

    /// Queues a notice that messages of these users may have been missed, unless one that covers it is unread. True if it was queued.
    pub(crate) fn push_missed_of(&self, users: Vec<UserId>) -> bool {
        self.change(|queue| queue.push_missed_of(users))
    }

    /// Resolves when the receiver is dropped.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.sender.shared.closed.clone().cancelled_owned()
    }

    /// Reports whether the receiver was dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.shared.closed.is_cancelled()
    }

    fn change(&self, change: impl FnOnce(&mut FairQueue) -> bool) -> bool {
        let shared = &self.sender.shared;
        let is_noticed = change(&mut shared.queue());
        shared.readable.notify_one();
        is_noticed
    }
}

impl ChannelMessages {
    /// Receives what is next; none once all senders are dropped and everything is read. Cancel safe.
    pub async fn recv(&mut self) -> Option<ChannelMessage> {
        // A flood would keep other tasks from the thread.
        consume_budget().await;
        loop {
            // Read before the queue is: what was sent before the end is read.
            let has_ended = self.shared.ended.is_cancelled();
            if let Some(next) = self.try_recv() {
                return Some(next);
            }
            if has_ended {
                return None;
            }
            self.shared.readable.notified().await;
        }
    }

    /// Takes what is next, without waiting.
    pub fn try_recv(&mut self) -> Option<ChannelMessage> {
        self.shared.queue().pop()
    }

    /// Reports whether nothing is to be read now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.queue().is_empty()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, FairQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.ended.cancel();
        self.shared.readable.notify_one();
    }
}

impl Drop for ChannelMessages {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}
