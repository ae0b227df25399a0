//! Bounded queue from a bus to a subscribed node. A full queue never blocks the bus: the node gets a notice of missed messages.

mod shares;
#[cfg(test)]
mod tests;

use protocol::id::UserId;
use tokio::sync::mpsc;

use self::shares::{Entry, UserShares};
use crate::ChannelMessage;

/// Sending half. One permit of the channel is reserved for [`ChannelMessage::Missed`], so that a full channel always ends with
/// it: a dropped message is covered by a notice that is still unread.
///
/// A user has at most as many unread messages as the channel has free places. So a hot user fills half of it, two fill a third each, and the
/// rest is left to others; a [`ChannelMessage::MissedOf`] covers what is dropped above that.
#[derive(Debug)]
pub(crate) struct MessageQueue {
    sender: mpsc::Sender<ChannelMessage>,
    /// Reserved permit. None while the last message in the channel is a `Missed`.
    reserved: Option<mpsc::OwnedPermit<ChannelMessage>>,
    /// Messages sent after the last `Missed`, if there was one.
    since_missed: Option<usize>,
    shares: UserShares,
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
            shares: UserShares::new(bound / UNCOUNTED_PART),
        };
        (queue, receiver)
    }

    /// Queues a message of a user. It is dropped if the queue or the user's share of it is full; then a notice is queued, unless one that
    /// covers it is unread. True if a notice was queued.
    pub(crate) fn push(&mut self, user: &UserId, message: ChannelMessage) -> bool {
        if !self.reserve() {
            // The channel is full, and ends with a `Missed`.
            return false;
        }
        self.shares.forget_read(self.unread());
        if self.shares.unread_of(user) >= self.sender.capacity() {
            return !self.shares.has_unread_notice(user) && self.push_missed_of(vec![user.clone()]);
        }
        !self.send(message, Entry::MessageOf(user.clone())) && self.push_missed()
    }

    /// Queues a `Missed`, unless one is unread: it covers all messages before it is read. True if it was queued.
    pub(crate) fn push_missed(&mut self) -> bool {
        if self.is_missed_unread() || !self.reserve() {
            return false;
        }
        let unread = self.unread();
        let Some(reserved) = self.reserved.take() else {
            return false;
        };
        reserved.send(ChannelMessage::Missed);
        self.shares.sent(unread, Entry::Notice);
        self.since_missed = Some(0);
        true
    }

    /// Queues a `MissedOf`, or a `Missed` if it does not fit; neither if a `Missed` is unread. True if one was queued.
    pub(crate) fn push_missed_of(&mut self, users: Vec<UserId>) -> bool {
        if users.is_empty() || self.is_missed_unread() || !self.reserve() {
            return false;
        }
        let entry = match users.as_slice() {
            [user] => Entry::NoticeOf(user.clone()),
            _ => Entry::Notice,
        };
        self.send(ChannelMessage::MissedOf(users), entry) || self.push_missed()
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

    /// Sends a message without the reserved permit. False if the channel is full.
    fn send(&mut self, message: ChannelMessage, entry: Entry) -> bool {
        let unread = self.unread();
        if self.sender.try_send(message).is_err() {
            return false;
        }
        self.shares.sent(unread, entry);
        self.since_missed = self.since_missed.map(|sent| sent + 1);
        true
    }

    fn is_missed_unread(&self) -> bool {
        self.since_missed.is_some_and(|sent| self.unread() > sent)
    }

    fn unread(&self) -> usize {
        let taken = self.sender.max_capacity() - self.sender.capacity();
        taken - usize::from(self.reserved.is_some())
    }

    /// Takes the reserved permit, if it is not taken. False if the channel is full.
    fn reserve(&mut self) -> bool {
        if self.reserved.is_none() {
            self.reserved = mpsc::Sender::clone(&self.sender).try_reserve_owned().ok();
        }
        self.reserved.is_some()
    }
}

/// Part of the channel up to which it may fill before messages are counted by user: usually it is almost empty.
const UNCOUNTED_PART: usize = 8;
