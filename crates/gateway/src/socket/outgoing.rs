//! Outgoing message of a socket, as it is written on the wire.

use bytes::Bytes;
use protocol::time::Timestamp;
use protocol::wire::Message;

use crate::deflate::PerMessageDeflate;

/// Message for one socket, or for several that share its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutgoingMessage {
    /// Uncompressed message.
    Plain(Message),
    /// Compressed payload of a text message.
    DeflatedText(Bytes),
    /// Compressed payload of a binary message.
    DeflatedBinary(Bytes),
}

/// Message in the queue of one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuedMessage {
    /// Message.
    pub(crate) message: OutgoingMessage,
    /// Time of the publish of its event; `None` for any other message, and where the delivery is delayed on purpose.
    pub(crate) published_at: Option<Timestamp>,
}

impl OutgoingMessage {
    /// Compresses a message of sufficient size.
    pub(crate) fn deflated(message: Message, deflate: &PerMessageDeflate) -> Self {
        match &message {
            Message::Text(bytes) => deflate.compress(bytes).map(Self::DeflatedText),
            Message::Binary(bytes) => deflate.compress(bytes).map(Self::DeflatedBinary),
        }
        .unwrap_or(Self::Plain(message))
    }

    /// Size in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(Message::Text(bytes) | Message::Binary(bytes))
            | Self::DeflatedText(bytes)
            | Self::DeflatedBinary(bytes) => bytes.len(),
        }
    }
}

impl QueuedMessage {
    /// Message that is no event, or not to be timed.
    pub(super) fn untimed(message: impl Into<OutgoingMessage>) -> Self {
        Self {
            message: message.into(),
            published_at: None,
        }
    }

    /// Size in bytes.
    pub(super) fn len(&self) -> usize {
        self.message.len()
    }
}

impl From<Message> for OutgoingMessage {
    fn from(message: Message) -> Self {
        Self::Plain(message)
    }
}
