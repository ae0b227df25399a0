//! WebSocket transport: tungstenite over a client's stream, with bounds on all its buffers.
//!
//! tungstenite does not support compression, which bypasses it: compressed messages are sent as raw frames, and are received as plain
//! binary messages, since `frame_scanner` below it rewrites their headers.

mod frame_scanner;
#[cfg(test)]
mod tests;

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

use self::frame_scanner::{FrameScanner, MAX_FRAGMENTS, Packing, TooManyFragments};
use crate::deflate::{InflateError, PerMessageDeflate};
use crate::listener::{Stream, linger};
use crate::socket::{CloseReason, MAX_QUEUE_BYTES, OutboundQueue, OutgoingMessage, Overflowed, QueuedMessage};

/// WebSocket of one client. One owner reads and writes, so that its buffers can be replaced.
pub(super) struct Transport {
    /// `None` only while it is replaced.
    socket: Option<WebSocketStream<FrameScanner<Stream>>>,
    /// Compression, if negotiated.
    deflate: Option<PerMessageDeflate>,
    limits: &'static TransportLimits,
    /// True if bytes were written since the last complete flush.
    unflushed: bool,
    /// True while the peer accepts no bytes.
    blocked: bool,
    /// True if a message outgrew the initial buffers: tungstenite never shrinks them.
    has_grown: bool,
}

/// Event of the WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TransportEvent {
    /// A message arrived.
    Message(Message),
    /// A pong arrived.
    Pong,
    /// A ping arrived; tungstenite has answered it.
    Ping,
    /// The peer stopped accepting bytes.
    Blocked,
    /// The peer accepts bytes again.
    Flowing,
    /// The outbound queue overflowed.
    Overflowed,
    /// The WebSocket ended.
    Ended(CloseReason),
}

/// Limits of a WebSocket.
#[derive(Debug)]
pub(super) struct TransportLimits {
    /// Maximum size of a received message, in bytes.
    pub(super) max_message: usize,
    /// Maximum number of frames of a received message.
    pub(super) max_fragments: usize,
    /// Maximum number of bytes that wait in tungstenite to be written.
    pub(super) max_write_buffer: usize,
}

impl TransportLimits {
    /// Limits of a gateway.
    const GATEWAY: Self = Self {
        max_message: MAX_MESSAGE,
        max_fragments: MAX_FRAGMENTS,
        max_write_buffer: MAX_WRITE_BUFFER,
    };
}

impl Transport {
    /// Takes a stream on which nothing but the upgrade was exchanged.
    pub(super) fn new(stream: Stream, deflate: Option<PerMessageDeflate>) -> Self {
        Self::with_limits(stream, deflate, &TransportLimits::GATEWAY)
    }

    /// Takes such a stream with other limits than a gateway's.
    pub(super) fn with_limits(
        stream: Stream,
        deflate: Option<PerMessageDeflate>,
        limits: &'static TransportLimits,
    ) -> Self {
        let scanner = FrameScanner::new(stream, deflate.is_some()).with_max_fragments(limits.max_fragments);
        Self {
            socket: build(scanner, limits),
            deflate,
            limits,
            unflushed: false,
            blocked: false,
            has_grown: false,
        }
    }

    /// Sends the queue as far as the peer accepts it, and returns the next event. Cancel safe.
    pub(super) fn poll_event(&mut self, outbound: &OutboundQueue, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        outbound.register(cx);
        let written = self.poll_write(outbound, cx);
        if let Poll::Ready(Err(event)) = written {
            return Poll::Ready(event);
        }
        let blocked = written.is_pending();
        if blocked != self.blocked {
            self.blocked = blocked;
            return Poll::Ready(if blocked {
                TransportEvent::Blocked
            } else {
                TransportEvent::Flowing
            });
        }
        self.poll_read(cx)
    }

    /// Sends a WebSocket ping.
    pub(super) fn ping(&mut self) {
        self.send(tungstenite::Message::Ping(Bytes::new()));
    }

    /// Sends the whole queue.
    pub(super) async fn flush(&mut self, outbound: &OutboundQueue) {
        let written = poll_fn(|cx| {
            outbound.register(cx);
            self.poll_write(outbound, cx)
        });
        drop(written.await);
    }

    /// Sends the queue on behalf of the socket's task, whose waker `cx` has, while that task is idle. False if it has to go on: the peer
    /// accepts no more bytes, the queue has overflowed, the WebSocket has ended, or grown buffers are to be released.
    pub(super) fn write_through(&mut self, outbound: &OutboundQueue, cx: &mut Context<'_>) -> bool {
        let is_idle = !self.blocked && !self.unflushed;
        is_idle && matches!(self.poll_write(outbound, cx), Poll::Ready(Ok(()))) && !self.has_grown
    }

    /// Sends the queue and all that is added to it, until the stream breaks.
    pub(super) async fn keep_sending(&mut self, outbound: &OutboundQueue) {
        let broken = poll_fn(|cx| {
            outbound.register(cx);
            match self.poll_write(outbound, cx) {
                Poll::Ready(Err(_)) => Poll::Ready(()),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            }
        });
        broken.await;
    }

    /// Closes, with a Close frame if there is a code, and waits for the peer to close as well, within a deadline. The socket is unusable
    /// afterwards.
    pub(super) async fn close(&mut self, code: Option<(CloseCode, &str)>, within: Duration) {
        let Some(mut socket) = self.socket.take() else { return };
        let frame = code.map(|(code, reason)| {
            tungstenite::Message::Close(Some(CloseFrame {
                code: code.as_u16().into(),
                reason: reason.into(),
            }))
        });
        let closing = async {
            let written = match frame {
                Some(frame) => socket.send(frame).await,
                // The flush answers the peer's own Close.
                None => socket.flush().await,
            };
            if written.is_ok() {
                linger(socket.into_inner().into_inner(), within).await;
            }
        };
        // The result makes no difference: the peer is gone or will be.
        drop(timeout(within, Box::pin(closing)).await);
    }

    /// Ready when nothing is left to write; pending while the peer accepts no bytes. Whoever calls it has registered the socket's task, for
    /// messages that are queued afterwards.
    fn poll_write(&mut self, outbound: &OutboundQueue, cx: &mut Context<'_>) -> Poll<Result<(), TransportEvent>> {
        // Time of publish of the first event in the write: a write of many events is recorded once, by the longest wait.
        let mut first_published = None;
        loop {
            let Some(socket) = self.socket.as_mut() else {
                return Poll::Ready(Err(TransportEvent::Ended(CloseReason::Lost)));
            };
            if self.unflushed {
                let flushed = socket.poll_flush_unpin(cx);
                if let Some(published_at) = first_published.take() {
                    outbound.record_delivered(published_at);
                }
                match flushed {
                    Poll::Pending if outbound.has_overflowed() => {
                        return Poll::Ready(Err(TransportEvent::Overflowed));
                    }
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(TransportEvent::Ended(close_reason(&error)))),
                }
            }
            for _ in 0..BATCH {
                match outbound.pop() {
                    None => break,
                    Some(Ok(QueuedMessage { message, published_at })) => {
                        // A peer that accepts no bytes delays its own events alone.
                        first_published = first_published.or(published_at.filter(|_| !self.blocked));
                        self.send_data(message);
                    }
                    Some(Err(Overflowed)) => return Poll::Ready(Err(TransportEvent::Overflowed)),
                }
            }
            if !self.unflushed {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Compresses the message unless it is: messages for several sockets are compressed once for all of them.
    fn send_data(&mut self, message: OutgoingMessage) {
        let message = match (message, &self.deflate) {
            (OutgoingMessage::Plain(message), Some(deflate)) => OutgoingMessage::deflated(message, deflate),
            (message, _) => message,
        };
        self.send(frame(message));
    }

    /// Writes a frame into tungstenite's buffer, which is nearly empty. An error is returned again by the flush.
    fn send(&mut self, message: tungstenite::Message) {
        self.has_grown |= message.len() > WRITE_BUFFER;
        self.unflushed = true;
        if let Some(socket) = self.socket.as_mut() {
            drop(std::pin::Pin::new(socket).start_send(message));
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        loop {
            let Some(socket) = self.socket.as_mut() else {
                return Poll::Ready(TransportEvent::Ended(CloseReason::Lost));
            };
            match socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(event) = self.received(message) {
                        return Poll::Ready(event);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(TransportEvent::Ended(close_reason(&error))),
                Poll::Ready(None) => return Poll::Ready(TransportEvent::Ended(CloseReason::Lost)),
                Poll::Pending => {
                    if !self.rebuild() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn received(&mut self, message: tungstenite::Message) -> Option<TransportEvent> {
        self.has_grown |= message.len() > READ_BUFFER;
        match message {
            tungstenite::Message::Text(text) => Some(self.inflated(Message::Text(text.into()))),
            tungstenite::Message::Binary(bytes) => Some(self.inflated(Message::Binary(bytes))),
            tungstenite::Message::Pong(_) => Some(TransportEvent::Pong),
            tungstenite::Message::Ping(_) => Some(TransportEvent::Ping),
            tungstenite::Message::Close(_) => Some(TransportEvent::Ended(CloseReason::ByPeer)),
            // tungstenite never returns it from a read.
            tungstenite::Message::Frame(_) => None,
        }
    }

    /// Decompresses a message if it was compressed.
    fn inflated(&mut self, message: Message) -> TransportEvent {
        let scanner = self.socket.as_mut().map(WebSocketStream::get_mut);
        let packing = scanner.map_or(Packing::Plain, FrameScanner::next_packing);
        let (Message::Binary(payload), Some(deflate)) = (&message, &self.deflate) else {
            return TransportEvent::Message(message);
        };
        if packing == Packing::Plain {
            return TransportEvent::Message(message);
        }
        match deflate.inflate(payload, self.limits.max_message) {
            Ok(bytes) if packing == Packing::DeflatedBinary => TransportEvent::Message(Message::Binary(bytes)),
            Ok(bytes) if std::str::from_utf8(&bytes).is_ok() => TransportEvent::Message(Message::Text(bytes)),
            Ok(_) => TransportEvent::Ended(CloseReason::NotUtf8),
            Err(InflateError::TooBig) => TransportEvent::Ended(CloseReason::TooBig),
            Err(InflateError::Corrupt) => TransportEvent::Ended(CloseReason::NotDeflated),
        }
    }

    /// Releases grown buffers by building a new WebSocket around the stream. Nothing is lost if no bytes wait to be written and every byte
    /// read was part of a complete message.
    fn rebuild(&mut self) -> bool {
        let is_between_messages = self
            .socket
            .as_ref()
            .is_some_and(|socket| socket.get_ref().is_between_messages());
        if !self.has_grown || self.unflushed || !is_between_messages {
            return false;
        }
        self.has_grown = false;
        self.socket = self
            .socket
            .take()
            .and_then(|socket| build(socket.into_inner(), self.limits));
        true
    }
}

/// tungstenite's constructor is asynchronous but never pending.
fn build(stream: FrameScanner<Stream>, limits: &TransportLimits) -> Option<WebSocketStream<FrameScanner<Stream>>> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(limits.max_write_buffer)
        .max_message_size(Some(limits.max_message))
        .max_frame_size(Some(limits.max_message));
    Box::pin(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config))).now_or_never()
}

/// Frame of one message. Its text is known to be UTF-8, and is not validated again for each socket. RSV1 marks compression (RFC 7692,
/// section 6).
fn frame(message: OutgoingMessage) -> tungstenite::Message {
    let (bytes, kind, rsv1) = match message {
        OutgoingMessage::Plain(Message::Text(bytes)) => (bytes, Data::Text, false),
        OutgoingMessage::Plain(Message::Binary(bytes)) => (bytes, Data::Binary, false),
        OutgoingMessage::DeflatedText(bytes) => (bytes, Data::Text, true),
        OutgoingMessage::DeflatedBinary(bytes) => (bytes, Data::Binary, true),
    };
    let header = FrameHeader {
        rsv1,
        opcode: OpCode::Data(kind),
        ..FrameHeader::default()
    };
    tungstenite::Message::Frame(Frame::from_payload(header, bytes))
}

/// Close reason of a tungstenite error. tungstenite sends no Close frame of its own.
fn close_reason(error: &Error) -> CloseReason {
    match error {
        Error::Capacity(_) => CloseReason::TooBig,
        Error::Io(error) if error.get_ref().is_some_and(|error| error.is::<TooManyFragments>()) => CloseReason::TooBig,
        Error::Utf8(_) => CloseReason::NotUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => CloseReason::Lost,
        Error::Protocol(_) => CloseReason::ProtocolError,
        _ => CloseReason::Lost,
    }
}

/// Longest message of a client, in bytes.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;
/// Initial buffer of received bytes. Every idle socket holds it, so it fits a command and no more.
const READ_BUFFER: usize = 512;
/// Number of bytes that are collected for one write. The buffer is empty at first, and keeps this capacity at most.
const WRITE_BUFFER: usize = 4 * 1024;
/// Messages of one write, flushed before the next.
const BATCH: usize = 16;
/// Above the size of any batch, since the queue holds fewer bytes: tungstenite's own bound is never reached.
const MAX_WRITE_BUFFER: usize = 2 * MAX_QUEUE_BYTES;
