//! How one socket is spoken to: events, answers and greetings in its dialect.

use protocol::json::Json;
use protocol::wire::native::{self, Encoding};
use protocol::wire::{Dialect, Message, Push, RequestId, socketio};

/// The form of what a socket is sent. Sockets of one form get the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    dialect: Dialect,
    offsets: bool,
}

impl Form {
    /// How many forms there are.
    pub(crate) const COUNT: usize = 6;

    /// `offsets` counts for Socket.IO alone: whether events end in their offset or have their payload for only argument.
    pub(crate) fn new(dialect: Dialect, offsets: bool) -> Self {
        Self { dialect, offsets }
    }

    /// The dialect.
    pub(crate) fn dialect(self) -> Dialect {
        self.dialect
    }

    /// The form's number, below [`Form::COUNT`].
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

    /// The encoding, on a plain WebSocket.
    pub(crate) fn native(self) -> Option<Encoding> {
        match self.dialect {
            Dialect::NativeJson => Some(Encoding::Json),
            Dialect::NativeMsgpack => Some(Encoding::Msgpack),
            Dialect::SocketIo | Dialect::SocketIoMsgpack => None,
        }
    }

    /// Whether its client can come back to its place.
    pub(crate) fn recovers(self) -> bool {
        self.offsets || self.native().is_some()
    }

    /// An event.
    pub(crate) fn push(self, push: &Push) -> Message {
        match self.native() {
            Some(encoding) => native::push(encoding, push),
            None if self.offsets => socketio::event(self.dialect, push),
            None => socketio::event_without_offset(self.dialect, push),
        }
    }

    /// The answer to a request that has a response event: on a plain WebSocket one frame, on Socket.IO the event and, where the
    /// client gave a callback, the ack with the same object.
    pub(crate) fn answer(self, event: &str, data: &Json, id: Option<&RequestId>) -> Vec<Message> {
        if let Some(encoding) = self.native() {
            return vec![native::answer(encoding, event, data, id)];
        }
        let push = Push {
            event: event.to_owned(),
            data: data.clone(),
            offset: None,
        };
        let ack = self.ack(data, id);
        std::iter::once(self.push(&push)).chain(ack).collect()
    }

    /// The ack, where a Socket.IO client gave a callback.
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
    fn every_form_has_a_number_of_its_own() {
        let dialects = [
            Dialect::NativeJson,
            Dialect::NativeMsgpack,
            Dialect::SocketIo,
            Dialect::SocketIoMsgpack,
        ];
        let forms = dialects
            .into_iter()
            .flat_map(|dialect| [true, false].map(|offsets| Form::new(dialect, offsets)));
        let mut seen: Vec<usize> = forms.map(Form::index).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..Form::COUNT).collect::<Vec<_>>());
    }
}
