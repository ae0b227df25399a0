//! Bounded queue from a bus to a subscribed node. A full queue never blocks the bus: the node gets a notice of missed messages.

use tokio::sync::mpsc;

use crate::ChannelMessage;

/// Sending half. One permit of the channel is reserved for [`ChannelMessage::Missed`], so that a full channel always ends with
/// it: a dropped event is covered by a `Missed` that is still unread.
#[derive(Debug)]
pub(crate) struct MessageQueue {
    sender: mpsc::Sender<ChannelMessage>,
    /// Reserved permit. None while the last message in the channel is a `Missed`.
    reserved: Option<mpsc::OwnedPermit<ChannelMessage>>,
    /// Messages sent after the last `Missed`, if there was one.
    since_missed: Option<usize>,
}

impl MessageQueue {
    /// Capacity in messages. At the usual 300 bytes of an event that is 2.5 MiB, at the longest 128 MiB.
    pub(crate) const CAPACITY: usize = 8192;

    /// Queue for `bound` messages and one `Missed`, with its receiver.
    pub(crate) fn new(bound: usize) -> (Self, mpsc::Receiver<ChannelMessage>) {
        let (sender, receiver) = mpsc::channel(bound.saturating_add(1));
        let queue = Self {
            sender,
            reserved: None,
            since_missed: None,
        };
        (queue, receiver)
    }

    /// Queues a message, or a `Missed` if the queue is full. True if the message was queued.
    pub(crate) fn push(&mut self, message: ChannelMessage) -> bool {
        let Some(reserved) = self.reserved() else {
            return false;
        };
        let sent = self.sender.try_send(message).is_ok();
        self.reserved = Some(reserved);
        if sent {
            self.since_missed = self.since_missed.map(|sent| sent + 1);
        } else {
            self.push_missed();
        }
        sent
    }

    /// Queues a `Missed`, unless one is unread after which nothing was sent: it covers all messages before it is read.
    pub(crate) fn push_missed(&mut self) {
        if self.since_missed.is_some_and(|sent| self.unread() > sent) {
            return;
        }
        if let Some(reserved) = self.reserved() {
            reserved.send(ChannelMessage::Missed);
            self.since_missed = Some(0);
        }
    }

    /// Resolves when the receiver is dropped.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }

    /// Reports whether the receiver was dropped.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn unread(&self) -> usize {
        let taken = self.sender.max_capacity() - self.sender.capacity();
        taken - usize::from(self.reserved.is_some())
    }

    fn reserved(&mut self) -> Option<mpsc::OwnedPermit<ChannelMessage>> {
        let reserved = self.reserved.take();
        reserved.or_else(|| mpsc::Sender::clone(&self.sender).try_reserve_owned().ok())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use protocol::cluster::envelope::{Audience, Envelope};
    use protocol::cluster::offset::{Epoch, Offset};
    use protocol::event::DeliveryClass;
    use protocol::id::{EventId, UserId};
    use protocol::json::Json;

    use super::*;

    fn event(seq: u64) -> ChannelMessage {
        ChannelMessage::Event {
            user: UserId::new("u").unwrap(),
            offset: Offset {
                epoch: Epoch::new("e").unwrap(),
                seq,
            },
            envelope: Arc::new(Envelope {
                v: Envelope::VERSION,
                id: EventId::new("id").unwrap(),
                audience: Audience::User,
                class: DeliveryClass::Feed,
                event: "test".to_owned(),
                data: Json::of(&seq),
                traceparent: None,
                published_at: None,
            }),
        }
    }

    proptest! {
        /// Gaps in the messages are each followed by a `Missed`, at any pace of the reader.
        #[test]
        fn every_dropped_event_is_followed_by_missed(
            bound in 1usize..5,
            steps in prop::collection::vec((0usize..6, prop::bool::weighted(0.2)), 1..60),
        ) {
            let (mut queue, mut end) = MessageQueue::new(bound);
            let mut unread: Vec<u64> = Vec::new();
            let mut seq = 0;
            for (reads, is_lost) in steps {
                seq += 1;
                if is_lost {
                    queue.push_missed();
                } else {
                    queue.push(event(seq));
                }
                unread.push(seq);
                for _ in 0..reads {
                    match end.try_recv() {
                        Ok(ChannelMessage::Event { offset, .. }) => unread.retain(|seq| *seq != offset.seq),
                        Ok(_missed) => unread.clear(),
                        Err(_) => break,
                    }
                }
            }
            while let Ok(message) = end.try_recv() {
                match message {
                    ChannelMessage::Event { offset, .. } => unread.retain(|seq| *seq != offset.seq),
                    _missed => unread.clear(),
                }
            }
            prop_assert!(unread.is_empty(), "neither read nor covered by a Missed: {unread:?}");
        }
    }

    #[test]
    fn missed_is_not_repeated_while_unread() {
        let (mut queue, mut end) = MessageQueue::new(9);
        for seq in 0..100 {
            queue.push_missed();
            queue.push(event(seq));
        }
        let read = std::iter::from_fn(|| end.try_recv().ok());
        assert_eq!(read.filter(|message| *message == ChannelMessage::Missed).count(), 1);
        queue.push_missed();
        assert_eq!(end.try_recv(), Ok(ChannelMessage::Missed));
    }
}
