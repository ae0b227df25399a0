//! A message on its way to a socket, as it will stand on the wire.

use bytes::Bytes;
use protocol::wire::Message;

use crate::deflate::PerMessageDeflate;

/// A message for one socket, or for several that are sent the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// As it is, so far.
    Plain(Message),
    /// The payload of a text message, compressed.
    DeflatedText(Bytes),
    /// The payload of a binary message, compressed.
    DeflatedBinary(Bytes),
}

impl Outgoing {
    /// A message, compressed where that is worth it.
    pub(crate) fn deflated(message: Message, deflate: &PerMessageDeflate) -> Self {
        match &message {
            Message::Text(bytes) => deflate.compress(bytes).map(Self::DeflatedText),
            Message::Binary(bytes) => deflate.compress(bytes).map(Self::DeflatedBinary),
        }
        .unwrap_or(Self::Plain(message))
    }

    /// How many bytes it keeps.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(Message::Text(bytes) | Message::Binary(bytes))
            | Self::DeflatedText(bytes)
            | Self::DeflatedBinary(bytes) => bytes.len(),
        }
    }
}

impl From<Message> for Outgoing {
    fn from(message: Message) -> Self {
        Self::Plain(message)
    }
}
