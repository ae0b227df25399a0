//! Socket.IO v5 on Engine.IO v4, with the default parser or socket.io-msgpack-parser.
//!
//! Only the namespace `/` is served. Input that makes the reference server close is a [`FrameError`] here, input that it accepts
//! is not; docs/protocol.md names the reference's versions.

use self::attachments::Assembly;
use super::engineio::EngineIoPacket;
use super::{Dialect, FrameError, Message, engineio};

pub use self::incoming::Incoming;
pub use self::outgoing::{RefusalData, ack, connect_error, connected, disconnect, event, event_without_offset};
pub use super::engineio::{Open, open, ping};

mod attachments;
mod incoming;
mod msgpack;
mod outgoing;
mod packet;
mod payload;
mod text;

/// Decoder of one connection. It detects the client's parser from the first Socket.IO packet, and keeps an event until its
/// attachments are complete: at most 10, and 64 KiB in total.
#[derive(Debug, Default)]
pub struct Decoder {
    parser: Parser,
}

/// Parser of the client, known from its first packet: the handshake does not name it.
#[derive(Debug, Default)]
enum Parser {
    #[default]
    Unknown,
    Text(Option<Box<Assembly>>),
    Msgpack,
}

impl Decoder {
    /// Decoder of a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a message; `None` while attachments are missing. After an error the connection must be closed.
    ///
    /// # Errors
    /// [`FrameError`] where the reference closes the connection.
    pub fn decode(&mut self, message: &Message) -> Result<Option<Incoming>, FrameError> {
        match message {
            Message::Text(text) => match engineio::read(text)? {
                EngineIoPacket::Message(packet) => self.text(packet),
                EngineIoPacket::Pong => Ok(Some(Incoming::Pong)),
                EngineIoPacket::Ignored => Ok(Some(Incoming::Ignored)),
            },
            Message::Binary(bytes) => self.binary(bytes),
        }
    }

    /// Dialect of the answers; [`Dialect::SocketIo`] until the first Socket.IO packet turns out to be MessagePack.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.parser {
            Parser::Unknown | Parser::Text(_) => Dialect::SocketIo,
            Parser::Msgpack => Dialect::SocketIoMsgpack,
        }
    }

    fn text(&mut self, packet: &str) -> Result<Option<Incoming>, FrameError> {
        match self.parser {
            Parser::Msgpack => return Err(FrameError("a text packet after MessagePack ones")),
            Parser::Text(Some(_)) => return Err(FrameError("a packet where an attachment was due")),
            Parser::Unknown | Parser::Text(None) => {}
        }
        let (mut packet, attachments) = text::read(packet)?;
        if attachments == 0 {
            self.parser = Parser::Text(None);
            return Incoming::of(packet).map(Some);
        }
        if let Some(data) = &mut packet.data {
            attachments::clear_placeholders(data, attachments)?;
        }
        let assembly = Assembly::new(Incoming::of(packet)?, attachments);
        self.parser = Parser::Text(Some(Box::new(assembly)));
        Ok(None)
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<Option<Incoming>, FrameError> {
        match &mut self.parser {
            Parser::Unknown | Parser::Msgpack => {
                let packet = msgpack::read(bytes)?;
                self.parser = Parser::Msgpack;
                Incoming::of(packet).map(Some)
            }
            Parser::Text(under_way) => {
                let Some(assembly) = under_way else {
                    return Err(FrameError("an attachment without its header"));
                };
                let complete = assembly.attach(bytes)?;
                Ok(under_way.take_if(|_| complete).map(|assembly| assembly.incoming()))
            }
        }
    }
}
