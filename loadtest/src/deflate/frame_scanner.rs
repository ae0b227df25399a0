//! Stream below tungstenite, which refuses every reserved bit: clears the one that marks a compressed message (RSV1, RFC 7692, section 6),
//! makes the message binary, since compressed text is not UTF-8, and keeps the original type until the message is read.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;

/// Client's stream whose incoming bytes are scanned.
#[derive(Debug)]
pub(crate) struct FrameScanner<S> {
    inner: S,
    /// True if compression is offered; nothing is changed otherwise.
    deflates: bool,
    next: Next,
    /// Bytes of a payload that come before that.
    payload: usize,
    /// Types of the messages that were not read yet; `None` for one that is not compressed.
    types: VecDeque<Option<Data>>,
}

/// Meaning of the next byte (RFC 6455, section 5.2). A server masks nothing.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Byte of the response to the upgrade, of whose end so many bytes have matched.
    Upgrade { matched: usize },
    /// FIN, reserved bits, opcode.
    First,
    /// Short length.
    Second,
    /// Byte of an extended length.
    Length { left: u8, length: usize },
}

impl<S> FrameScanner<S> {
    /// Scans a stream from the response to the upgrade on; `deflates` if compression is offered.
    pub(crate) fn new(inner: S, deflates: bool) -> Self {
        Self {
            inner,
            deflates,
            next: Next::Upgrade { matched: 0 },
            payload: 0,
            types: VecDeque::new(),
        }
    }

    /// Original type of the text or binary message that was read last, if it is compressed. To be called once for each.
    pub(super) fn compressed_type(&mut self) -> Option<Data> {
        self.types.pop_front().flatten()
    }

    fn scan(&mut self, bytes: &mut [u8]) {
        let mut position = 0;
        loop {
            let skipped = self.payload.min(bytes.len() - position);
            self.payload -= skipped;
            position += skipped;
            let Some(byte) = bytes.get_mut(position) else { return };
            self.next = self.after(byte);
            position += 1;
        }
    }

    /// Meaning of the byte that follows this one, after a payload, if there is one.
    fn after(&mut self, byte: &mut u8) -> Next {
        let (left, length) = match self.next {
            Next::Upgrade { matched } => return after_upgrade(matched, *byte),
            Next::First => {
                self.first(byte);
                return Next::Second;
            }
            Next::Second => match *byte {
                126 => (2, 0),
                127 => (8, 0),
                length => (0, usize::from(length)),
            },
            Next::Length { left, length } => (left - 1, length << 8 | usize::from(*byte)),
        };
        if left > 0 {
            return Next::Length { left, length };
        }
        self.payload = length;
        Next::First
    }

    fn first(&mut self, byte: &mut u8) {
        let original = match *byte & OPCODE {
            TEXT => Data::Text,
            BINARY => Data::Binary,
            // Of a later frame of a message, or a control frame.
            _ => return,
        };
        let is_compressed = *byte & RSV1 != 0;
        self.types.push_back(is_compressed.then_some(original));
        if is_compressed {
            *byte = *byte & !(RSV1 | OPCODE) | BINARY;
        }
    }
}

/// Meaning of the byte that follows one of the response to the upgrade.
fn after_upgrade(matched: usize, byte: u8) -> Next {
    match END_OF_UPGRADE.get(matched) == Some(&byte) {
        true if matched + 1 == END_OF_UPGRADE.len() => Next::First,
        true => Next::Upgrade { matched: matched + 1 },
        false => Next::Upgrade {
            matched: usize::from(byte == b'\r'),
        },
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameScanner<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if self.deflates {
            self.scan(buf.filled_mut().get_mut(before..).unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameScanner<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

const END_OF_UPGRADE: [u8; 4] = *b"\r\n\r\n";
const RSV1: u8 = 0x40;
const OPCODE: u8 = 0x0f;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
