//! The WebSocket itself: tungstenite over a client's stream, with bounds on all that it keeps.
//!
//! tungstenite knows nothing of compression, which goes around it: compressed messages leave as frames that it writes as they are, and
//! come as plain binary messages, because `walk` beneath it has made them so.

#[cfg(test)]
mod tests;
mod walk;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt, StreamExt};
use protocol::code::CloseCode;
use protocol::wire::Message;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};

use self::walk::{Packing, TooManyFragments, Walk};
use super::ending::Ending;
use super::outbound::{self, Outbound};
use super::outgoing::Outgoing;
use crate::deflate::{InflateError, PerMessageDeflate};
use crate::listener::{Stream, linger};

/// One WebSocket. It has one owner, who reads and writes: only so can its buffers be replaced.
pub(super) struct Transport {
    /// Gone only while it is replaced.
    socket: Option<WebSocketStream<Walk<Stream>>>,
    /// Compression, where it was agreed.
    deflate: Option<PerMessageDeflate>,
    /// Something was written and is not known to have left.
    unflushed: bool,
    /// The peer takes nothing just now.
    blocked: bool,
    /// A message was larger than the buffers are at rest: they have grown, and never shrink.
    bloated: bool,
}

/// What happened on the WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// A message came.
    Message(Message),
    /// A pong came.
    Pong,
    /// A ping came; it is answered already.
    Ping,
    /// The peer has begun to take nothing.
    Blocked,
    /// The peer takes again.
    Flowing,
    /// The queue was fuller than it may be.
    Overflowed,
    /// It is over.
    Ended(Ending),
}

impl Transport {
    /// A WebSocket on a stream that has seen nothing but the upgrade.
    pub(super) fn new(stream: Stream, deflate: Option<PerMessageDeflate>) -> Self {
        Self {
            socket: build(Walk::new(stream, deflate.is_some())),
            deflate,
            unflushed: false,
            blocked: false,
            bloated: false,
        }
    }

    /// Sends what is queued, as far as the peer takes it, and says what happens first. Nothing is lost when it is dropped while
    /// pending.
    pub(super) fn poll_happened(&mut self, outbound: &Outbound, cx: &mut Context<'_>) -> Poll<Happened> {
        let written = self.poll_write(outbound, cx);
        if let Poll::Ready(Err(happened)) = written {
            return Poll::Ready(happened);
        }
        let blocked = written.is_pending();
        if blocked != self.blocked {
            self.blocked = blocked;
            return Poll::Ready(if blocked { Happened::Blocked } else { Happened::Flowing });
        }
        self.poll_read(cx)
    }

    /// Sends a WebSocket ping.
    pub(super) fn ping(&mut self) {
        self.send(tungstenite::Message::Ping(Bytes::new()));
    }

    /// Sends all that is queued, as the peer takes it.
    pub(super) async fn flush(&mut self, outbound: &Outbound) {
        drop(poll_fn(|cx| self.poll_write(outbound, cx)).await);
    }

    /// Sends whatever comes into the queue, for as long as the stream takes it.
    pub(super) async fn keep_sending(&mut self, outbound: &Outbound) {
        let broken = poll_fn(|cx| match self.poll_write(outbound, cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        });
        broken.await;
    }

    /// Says goodbye, with a Close frame if there is a code, and waits for the peer to be done as well, within a deadline. The
    /// socket is not usable afterwards.
    pub(super) async fn close(&mut self, code: Option<(CloseCode, &str)>, within: Duration) {
        let Some(mut socket) = self.socket.take() else { return };
        let frame = code.map(|(code, reason)| {
            tungstenite::Message::Close(Some(CloseFrame {
                code: code.as_u16().into(),
                reason: reason.into(),
            }))
        });
        let goodbye = async {
            let said = match frame {
                Some(frame) => socket.send(frame).await,
                // The peer's own Close is answered by the flush.
                None => socket.flush().await,
            };
            if said.is_ok() {
                linger(socket.into_inner().into_inner(), within).await;
            }
        };
        // How it ends makes no difference to anyone: the peer is gone or will be.
        drop(timeout(within, Box::pin(goodbye)).await);
    }

    /// Ready when nothing is left to write; pending when the peer takes nothing.
    fn poll_write(&mut self, outbound: &Outbound, cx: &mut Context<'_>) -> Poll<Result<(), Happened>> {
        loop {
            let Some(socket) = self.socket.as_mut() else {
                return Poll::Ready(Err(Happened::Ended(Ending::Lost)));
            };
            if self.unflushed {
                match socket.poll_flush_unpin(cx) {
                    Poll::Pending => return outbound.poll_overflowed(cx).map(|_| Err(Happened::Overflowed)),
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Happened::Ended(ending(&error)))),
                }
            }
            for _ in 0..BATCH {
                match outbound.poll_pop(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(message)) => self.send_data(message),
                    Poll::Ready(Err(outbound::Overflowed)) => return Poll::Ready(Err(Happened::Overflowed)),
                }
            }
            if !self.unflushed {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Compresses what is not compressed yet: messages that several sockets are sent come compressed once for all of them.
    fn send_data(&mut self, message: Outgoing) {
        let message = match (message, &self.deflate) {
            (Outgoing::Plain(message), Some(deflate)) => Outgoing::deflated(message, deflate),
            (message, _) => message,
        };
        self.send(frame(message));
    }

    /// Writes a frame into tungstenite's buffer, which is empty or nearly so. An error shows again at the flush.
    fn send(&mut self, message: tungstenite::Message) {
        self.bloated |= message.len() > BUFFER;
        self.unflushed = true;
        if let Some(socket) = self.socket.as_mut() {
            drop(std::pin::Pin::new(socket).start_send(message));
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        loop {
            let Some(socket) = self.socket.as_mut() else {
                return Poll::Ready(Happened::Ended(Ending::Lost));
            };
            match socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(happened) = self.received(message) {
                        return Poll::Ready(happened);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Happened::Ended(ending(&error))),
                Poll::Ready(None) => return Poll::Ready(Happened::Ended(Ending::Lost)),
                Poll::Pending => {
                    if !self.rebuild() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn received(&mut self, message: tungstenite::Message) -> Option<Happened> {
        self.bloated |= message.len() > BUFFER;
        match message {
            tungstenite::Message::Text(text) => Some(self.unpacked(Message::Text(text.into()))),
            tungstenite::Message::Binary(bytes) => Some(self.unpacked(Message::Binary(bytes))),
            tungstenite::Message::Pong(_) => Some(Happened::Pong),
            tungstenite::Message::Ping(_) => Some(Happened::Ping),
            tungstenite::Message::Close(_) => Some(Happened::Ended(Ending::ByPeer)),
            // Never read, says tungstenite.
            tungstenite::Message::Frame(_) => None,
        }
    }

    /// A message as the client meant it.
    fn unpacked(&mut self, message: Message) -> Happened {
        let walk = self.socket.as_mut().map(WebSocketStream::get_mut);
        let packing = walk.map_or(Packing::Plain, Walk::packing);
        let (Message::Binary(payload), Some(deflate)) = (&message, &self.deflate) else {
            return Happened::Message(message);
        };
        if packing == Packing::Plain {
            return Happened::Message(message);
        }
        match deflate.inflate(payload, MAX_MESSAGE) {
            Ok(bytes) if packing == Packing::DeflatedBinary => Happened::Message(Message::Binary(bytes)),
            Ok(bytes) if std::str::from_utf8(&bytes).is_ok() => Happened::Message(Message::Text(bytes)),
            Ok(_) => Happened::Ended(Ending::NotUtf8),
            Err(InflateError::TooBig) => Happened::Ended(Ending::TooBig),
            Err(InflateError::Corrupt) => Happened::Ended(Ending::NotDeflated),
        }
    }

    /// Gives grown buffers back, by building the WebSocket anew around its stream. That loses nothing when nothing is waiting to
    /// be written and every byte read has come out again as a message.
    fn rebuild(&mut self) -> bool {
        let at_rest = self.socket.as_ref().is_some_and(|socket| socket.get_ref().is_at_rest());
        if !self.bloated || self.unflushed || !at_rest {
            return false;
        }
        self.bloated = false;
        self.socket = self.socket.take().and_then(|socket| build(socket.into_inner()));
        true
    }
}

/// tungstenite's constructor is asynchronous in name only.
fn build(stream: Walk<Stream>) -> Option<WebSocketStream<Walk<Stream>>> {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    Box::pin(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config))).now_or_never()
}

/// A message of ours as it is: its text is known to be UTF-8, and is not checked again for each socket. RSV1 says that it is
/// compressed (RFC 7692, section 6).
fn frame(message: Outgoing) -> tungstenite::Message {
    let (bytes, kind, rsv1) = match message {
        Outgoing::Plain(Message::Text(bytes)) => (bytes, Data::Text, false),
        Outgoing::Plain(Message::Binary(bytes)) => (bytes, Data::Binary, false),
        Outgoing::DeflatedText(bytes) => (bytes, Data::Text, true),
        Outgoing::DeflatedBinary(bytes) => (bytes, Data::Binary, true),
    };
    let header = FrameHeader {
        rsv1,
        opcode: OpCode::Data(kind),
        ..FrameHeader::default()
    };
    tungstenite::Message::Frame(Frame::from_payload(header, bytes))
}

/// What an error of tungstenite means. It sends no Close frame of its own.
fn ending(error: &Error) -> Ending {
    match error {
        Error::Capacity(_) => Ending::TooBig,
        Error::Io(error) if error.get_ref().is_some_and(|error| error.is::<TooManyFragments>()) => Ending::TooBig,
        Error::Utf8(_) => Ending::NotUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ending::Lost,
        Error::Protocol(_) => Ending::ProtocolError,
        _ => Ending::Lost,
    }
}

/// The longest message a client may send, in bytes.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;
/// What each direction has for a buffer at rest, in bytes.
const BUFFER: usize = 4 * 1024;
/// Messages are written in batches of so many, each flushed before the next.
const BATCH: usize = 16;
/// Above what a batch can hold, since the queue holds no more than this: tungstenite's own bound is never met.
const MAX_WRITE_BUFFER: usize = 2 * outbound::MAX_BYTES;
