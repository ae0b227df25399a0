//! Feed events of one socket that wait for each other: what nobody waits for is sent together, every few seconds at most.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::wire::Message;
use protocol::wire::native::{self, Encoding};
use tokio::time::Instant;

use super::outgoing::Outgoing;

/// How the feed events of a socket are collected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    /// How long the first of them waits.
    pub(crate) every: Duration,
    /// A plain WebSocket gets them as one message, an array in this encoding; Socket.IO, which has no such message, as several at
    /// once.
    pub(crate) array: Option<Encoding>,
}

/// A feed event for one socket.
#[derive(Debug, Clone)]
pub(crate) struct FeedEvent {
    /// As it is.
    pub(crate) message: Message,
    /// As it leaves when it leaves by itself: compressed, where that is worth it.
    pub(crate) alone: Outgoing,
    /// It says that this account is being synced. Of several such the last says all.
    pub(crate) syncing: Option<AccountType>,
}

/// What waits, in the user's order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    events: Vec<FeedEvent>,
    bytes: usize,
    due: Option<Instant>,
}

impl Batch {
    /// When it is to leave; none while it is empty.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Adds an event. The first says when all are due.
    pub(super) fn add(&mut self, event: FeedEvent, due: Instant) {
        if event.syncing.is_some() {
            // What is left out has a lower offset than its successor, and needs none of its own.
            self.events.retain(|earlier| earlier.syncing != event.syncing);
        }
        self.events.push(event);
        self.bytes = self.events.iter().map(|event| event.message.bytes().len()).sum();
        self.due.get_or_insert(due);
    }

    /// Whether it is to leave though it is not due: what waits takes memory, and a message of any length takes time.
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= MOST_EVENTS || self.bytes >= MOST_BYTES
    }

    /// Empties it, into what is to be sent.
    pub(super) fn take(&mut self, array: Option<Encoding>) -> Vec<Outgoing> {
        let Self { events, .. } = std::mem::take(self);
        match array {
            Some(encoding) if events.len() > 1 => {
                let frames: Vec<Message> = events.into_iter().map(|event| event.message).collect();
                vec![native::batch(encoding, &frames).into()]
            }
            _ => events.into_iter().map(|event| event.alone).collect(),
        }
    }
}

const MOST_EVENTS: usize = 64;
/// Reached at the latest with an event of 16 KiB more.
const MOST_BYTES: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str, syncing: Option<AccountType>) -> FeedEvent {
        let message = Message::Text(text.to_owned().into());
        FeedEvent {
            alone: message.clone().into(),
            message,
            syncing,
        }
    }

    fn text(text: &str) -> Outgoing {
        Message::Text(text.to_owned().into()).into()
    }

    fn batch(events: &[(&str, Option<AccountType>)]) -> Batch {
        let mut batch = Batch::default();
        for (text, syncing) in events {
            batch.add(event(text, *syncing), Instant::now());
        }
        batch
    }

    #[test]
    fn a_plain_websocket_gets_one_array_and_socket_io_one_packet_each() {
        let two = || batch(&[("1", None), ("2", None)]);
        assert_eq!(two().take(Some(Encoding::Json)), [text("[1,2]")]);
        assert_eq!(two().take(None), [text("1"), text("2")]);
        assert_eq!(
            batch(&[("1", None)]).take(Some(Encoding::Json)),
            [text("1")],
            "no array of one"
        );
        assert_eq!(Batch::default().take(Some(Encoding::Json)), []);
    }

    #[test]
    fn of_several_syncs_of_one_account_the_last_is_sent() {
        let (github, discord) = (Some(AccountType::Github), Some(AccountType::Discord));
        let mut batch = batch(&[("1", github), ("2", None), ("3", discord), ("4", github), ("5", None)]);
        assert_eq!(batch.take(None), ["2", "3", "4", "5"].map(text));
    }

    #[test]
    fn the_first_event_says_when_all_leave_and_an_empty_batch_never_does() {
        let (now, mut batch) = (Instant::now(), Batch::default());
        assert_eq!(batch.due(), None);
        for second in 5..8 {
            batch.add(event("1", None), now + Duration::from_secs(second));
        }
        assert_eq!(batch.due(), Some(now + Duration::from_secs(5)));
        batch.take(None);
        assert_eq!(batch.due(), None);
    }

    #[test]
    fn much_does_not_wait() {
        let many = vec![("1", None); MOST_EVENTS];
        assert!(!batch(&many[1..]).is_full() && batch(&many).is_full());
        assert!(batch(&[(&"x".repeat(MOST_BYTES), None)]).is_full());
    }
}
