//! Encoding of events and answers for one socket: its dialect and client options.

use protocol::json::Json;
use protocol::wire::native::{self, Encoding};
use protocol::wire::{Dialect, Message, Push, RequestId, socketio};

/// Encoding of a socket's messages. Sockets of one encoding get the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientEncoding {
    dialect: Dialect,
    offsets: bool,
}

impl ClientEncoding {
    /// Number of encodings.
    pub(crate) const COUNT: usize = 6;

    /// Creates an encoding. `offsets` applies to Socket.IO only: it appends the offset to the arguments of events.
    pub(crate) fn new(dialect: Dialect, offsets: bool) -> Self {
        Self { dialect, offsets }
    }

    /// Dialect of the socket.
    pub(crate) fn dialect(self) -> Dialect {
        self.dialect
    }

    /// Index of the encoding, below [`ClientEncoding::COUNT`].
    pub(crate) fn index(self) -> usize {
        match (self.dialect, self.offsets) {
            (Dialect::NativeJson, _) => 0,
            (Dialect::NativeMsgpack, _) => 1,
            (Dialect::SocketIo, true) => 2,
            (Dialect::SocketIo, false) => 3,
            (Dialect::SocketIoMsgpack, true) => 4,
            (Dialect::SocketIoMsgpack, false) => 5,
        }
    }

    /// Encoding of a plain WebSocket; `None` for Socket.IO.
    pub(crate) fn native(self) -> Option<Encoding> {
        match self.dialect {
            Dialect::NativeJson => Some(Encoding::Json),
            Dialect::NativeMsgpack => Some(Encoding::Msgpack),
            Dialect::SocketIo | Dialect::SocketIoMsgpack => None,
        }
    }

    /// True if its client can resume.
    pub(crate) fn recovers(self) -> bool {
        self.offsets || self.native().is_some()
    }

    /// Encodes an event.
    pub(crate) fn push(self, push: &Push<'_>) -> Message {
        match self.native() {
            Some(encoding) => native::push(encoding, push),
            None if self.offsets => socketio::event(self.dialect, push),
            None => socketio::event_without_offset(self.dialect, push),
        }
    }

    /// Encodes the answer to a request with a response event: on a plain WebSocket one frame, on Socket.IO the event and, if the client
    /// requested one, the acknowledgement with the same object.
    pub(crate) fn answer(self, event: &str, data: &Json, id: Option<&RequestId>) -> Vec<Message> {
        if let Some(encoding) = self.native() {
            return vec![native::answer(encoding, event, data, id)];
        }
        let push = Push {
            event,
            data,
            offset: None,
            event_id: None,
        };
        let ack = self.ack(data, id);
        std::iter::once(self.push(&push)).chain(ack).collect()
    }

    /// Encodes the acknowledgement, if a Socket.IO client requested one.
    pub(crate) fn ack(self, data: &Json, id: Option<&RequestId>) -> Option<Message> {
        match id {
            Some(RequestId::Ack(ack)) => Some(socketio::ack(self.dialect, *ack, data)),
            Some(RequestId::Native(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_encoding_has_its_own_index() {
        let dialects = [
            Dialect::NativeJson,
            Dialect::NativeMsgpack,
            Dialect::SocketIo,
            Dialect::SocketIoMsgpack,
        ];
        let encodings = dialects
            .into_iter()
            .flat_map(|dialect| [true, false].map(|offsets| ClientEncoding::new(dialect, offsets)));
        let mut seen: Vec<usize> = encodings.map(ClientEncoding::index).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..ClientEncoding::COUNT).collect::<Vec<_>>());
    }
}
