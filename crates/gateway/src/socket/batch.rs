//! Batch of one socket's feed events, which are sent together every few seconds.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::time::Timestamp;
use protocol::wire::Message;
use protocol::wire::native::{self, Encoding};
use tokio::time::Instant;

use super::outgoing::OutgoingMessage;

/// Batching of a socket's feed events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    /// Delay of the first event of a batch.
    pub(crate) every: Duration,
    /// Encoding of the array that a plain WebSocket gets as one message; `None` for Socket.IO, which gets one packet per event.
    pub(crate) array: Option<Encoding>,
}

/// Feed event for one socket.
#[derive(Debug, Clone)]
pub(crate) struct FeedEvent {
    /// Uncompressed message.
    pub(crate) message: Message,
    /// Message that is sent if the event is alone in its batch, compressed if large.
    pub(crate) alone: OutgoingMessage,
    /// Account whose running sync the event reports. The last of several such events supersedes the others.
    pub(crate) syncing: Option<AccountType>,
    /// Time of its publish.
    pub(crate) published_at: Option<Timestamp>,
}

/// Pending events in the sequence of the log.
#[derive(Debug, Default)]
pub(super) struct Batch {
    events: Vec<FeedEvent>,
    bytes: usize,
    due: Option<Instant>,
}

impl Batch {
    /// Time at which it is sent; `None` while it is empty.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Adds an event. The first one sets the due time of all.
    pub(super) fn add(&mut self, event: FeedEvent, due: Instant) {
        if event.syncing.is_some() {
            // The event that is left out has a lower offset than its successor, which is all that a client needs to resume.
            self.events.retain(|earlier| earlier.syncing != event.syncing);
        }
        self.events.push(event);
        self.bytes = self.events.iter().map(|event| event.message.bytes().len()).sum();
        self.due.get_or_insert(due);
    }

    /// True if it is to be sent before it is due, to bound memory and message size.
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    /// Empties it into the messages to send.
    pub(super) fn take(&mut self, array: Option<Encoding>) -> Vec<OutgoingMessage> {
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

const MAX_EVENTS: usize = 64;
/// Exceeded by one event at most, which is at most 16 KiB.
const MAX_BYTES: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str, syncing: Option<AccountType>) -> FeedEvent {
        let message = Message::Text(text.to_owned().into());
        FeedEvent {
            alone: message.clone().into(),
            message,
            syncing,
            published_at: None,
        }
    }

    fn text(text: &str) -> OutgoingMessage {
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
    fn batch_is_one_array_on_plain_websockets_and_one_packet_each_on_socket_io() {
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
    fn only_the_last_sync_event_of_an_account_is_sent() {
        let (github, discord) = (Some(AccountType::Github), Some(AccountType::Discord));
        let mut batch = batch(&[("1", github), ("2", None), ("3", discord), ("4", github), ("5", None)]);
        assert_eq!(batch.take(None), ["2", "3", "4", "5"].map(text));
    }

    #[test]
    fn first_event_sets_the_due_time_and_an_empty_batch_has_none() {
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
    fn batch_is_full_at_its_bounds() {
        let many = vec![("1", None); MAX_EVENTS];
        assert!(!batch(&many[1..]).is_full() && batch(&many).is_full());
        assert!(batch(&[(&"x".repeat(MAX_BYTES), None)]).is_full());
    }
}
