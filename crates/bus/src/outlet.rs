//! The bounded way from a bus to the node that listens: a slow node is told that it missed something, and nobody waits.

use tokio::sync::mpsc;

use crate::ChannelMessage;

/// Sends what is heard. One place of the channel is kept free for [`ChannelMessage::Missed`], so that a full channel always ends with
/// it: an event for which there is no room is covered by a `Missed` that is still to be read.
#[derive(Debug)]
pub(crate) struct Outlet {
    sender: mpsc::Sender<ChannelMessage>,
    /// The kept place. Without it, the last thing in the channel is a `Missed`.
    kept: Option<mpsc::OwnedPermit<ChannelMessage>>,
    /// How much was sent after the last `Missed`, if there was one.
    since_missed: Option<usize>,
}

impl Outlet {
    /// How many messages may wait to be read. At the usual 300 bytes of an event that is 2.5 MiB, at the longest 128 MiB.
    pub(crate) const BOUND: usize = 8192;

    /// An outlet for `bound` messages and one `Missed`, and its end.
    pub(crate) fn new(bound: usize) -> (Self, mpsc::Receiver<ChannelMessage>) {
        let (sender, receiver) = mpsc::channel(bound.saturating_add(1));
        let outlet = Self {
            sender,
            kept: None,
            since_missed: None,
        };
        (outlet, receiver)
    }

    /// Passes on what was heard, or tells that something was missed. True when it was passed on.
    pub(crate) fn pass(&mut self, heard: ChannelMessage) -> bool {
        let Some(kept) = self.kept() else {
            return false;
        };
        let sent = self.sender.try_send(heard).is_ok();
        self.kept = Some(kept);
        if sent {
            self.since_missed = self.since_missed.map(|sent| sent + 1);
        } else {
            self.missed();
        }
        sent
    }

    /// Tells that messages may have been missed, unless that is still to be read: whoever reads it then looks for all of them.
    pub(crate) fn missed(&mut self) {
        if self.since_missed.is_some_and(|sent| self.unread() > sent) {
            return;
        }
        if let Some(kept) = self.kept() {
            kept.send(ChannelMessage::Missed);
            self.since_missed = Some(0);
        }
    }

    /// Comes to its end when nobody listens any more.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }

    /// Whether nobody listens any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn unread(&self) -> usize {
        let taken = self.sender.max_capacity() - self.sender.capacity();
        taken - usize::from(self.kept.is_some())
    }

    fn kept(&mut self) -> Option<mpsc::OwnedPermit<ChannelMessage>> {
        let kept = self.kept.take();
        kept.or_else(|| mpsc::Sender::clone(&self.sender).try_reserve_owned().ok())
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
            }),
        }
    }

    proptest! {
        /// Whatever the pace of the reader: what it reads has no hole that a `Missed` after it does not cover.
        #[test]
        fn every_event_is_read_or_a_missed_follows_it(
            bound in 1usize..5,
            steps in prop::collection::vec((0usize..6, prop::bool::weighted(0.2)), 1..60),
        ) {
            let (mut outlet, mut end) = Outlet::new(bound);
            let mut unread: Vec<u64> = Vec::new();
            let mut seq = 0;
            for (reads, lost_on_the_way) in steps {
                seq += 1;
                if lost_on_the_way {
                    outlet.missed();
                } else {
                    outlet.pass(event(seq));
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
            while let Ok(heard) = end.try_recv() {
                match heard {
                    ChannelMessage::Event { offset, .. } => unread.retain(|seq| *seq != offset.seq),
                    _missed => unread.clear(),
                }
            }
            prop_assert!(unread.is_empty(), "neither read nor covered: {unread:?}");
        }
    }

    #[test]
    fn a_missed_is_not_repeated_while_it_is_unread() {
        let (mut outlet, mut end) = Outlet::new(9);
        for seq in 0..100 {
            outlet.missed();
            outlet.pass(event(seq));
        }
        let read = std::iter::from_fn(|| end.try_recv().ok());
        assert_eq!(read.filter(|heard| *heard == ChannelMessage::Missed).count(), 1);
        outlet.missed();
        assert_eq!(end.try_recv(), Ok(ChannelMessage::Missed));
    }
}
