//! Knows, beneath the WebSocket layer, whether a message is under way: it walks the frame headers as bytes pass by.
//!
//! tungstenite keeps the bytes of an unfinished frame to itself. Only who has seen every byte can tell that it holds none.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose incoming bytes are watched. It changes none of them.
#[derive(Debug)]
pub(super) struct Walk<S> {
    inner: S,
    step: Step,
    /// The last data frame was not its message's final one.
    in_message: bool,
}

/// What the next byte is (RFC 6455, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// FIN, reserved bits, opcode.
    First,
    /// MASK and the short length.
    Second,
    /// One of the bytes of a long length.
    Length { left: u8, length: u64, masked: bool },
    /// One of the bytes of the mask.
    Mask { left: u8, length: u64 },
    /// Payload.
    Payload { left: u64 },
}

impl<S> Walk<S> {
    /// Watches a stream from its first frame on.
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            step: Step::First,
            in_message: false,
        }
    }

    /// Whether all bytes that have passed make whole messages.
    pub(super) fn is_at_rest(&self) -> bool {
        self.step == Step::First && !self.in_message
    }

    /// The stream, no longer watched.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    fn walk(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let Step::Payload { left } = self.step {
                let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                bytes = bytes.get(here..).unwrap_or_default();
                // A slice is never longer than u64 can say.
                self.step = payload(left.saturating_sub(u64::try_from(here).unwrap_or(left)));
            } else {
                self.step = self.header(byte);
                bytes = rest;
            }
        }
    }

    fn header(&mut self, byte: u8) -> Step {
        match self.step {
            Step::First => {
                let is_data = byte & OPCODE < CONTROL;
                if is_data {
                    self.in_message = byte & FIN == 0;
                }
                Step::Second
            }
            Step::Second => {
                let masked = byte & MASK != 0;
                match byte & !MASK {
                    126 => Step::Length {
                        left: 2,
                        length: 0,
                        masked,
                    },
                    127 => Step::Length {
                        left: 8,
                        length: 0,
                        masked,
                    },
                    short => after_length(u64::from(short), masked),
                }
            }
            Step::Length { left, length, masked } => {
                let length = length << 8 | u64::from(byte);
                match left {
                    0 | 1 => after_length(length, masked),
                    _ => Step::Length {
                        left: left - 1,
                        length,
                        masked,
                    },
                }
            }
            Step::Mask { left, length } => match left {
                0 | 1 => payload(length),
                _ => Step::Mask { left: left - 1, length },
            },
            payload @ Step::Payload { .. } => payload,
        }
    }
}

fn after_length(length: u64, masked: bool) -> Step {
    if masked {
        Step::Mask { left: 4, length }
    } else {
        payload(length)
    }
}

fn payload(left: u64) -> Step {
    if left == 0 { Step::First } else { Step::Payload { left } }
}

impl<S: AsyncRead + Unpin> AsyncRead for Walk<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.walk(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Walk<S> {
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

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
/// The lowest opcode of a control frame.
const CONTROL: u8 = 0x8;
const MASK: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with a mask of zeros.
    fn frame(first: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match len {
            0..=125 => frame.push(MASK | u8::try_from(len).unwrap()),
            126..=65_535 => {
                frame.push(MASK | 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(MASK | 127);
                frame.extend(u64::try_from(len).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.resize(frame.len() + len, 0xff);
        frame
    }

    fn at_rest_after(bytes: &[u8]) -> bool {
        let mut walk = Walk::new(());
        walk.walk(bytes);
        walk.is_at_rest()
    }

    #[test]
    fn a_stream_is_at_rest_between_messages_only() {
        let message = frame(FIN | 1, 300);
        for cut in 1..message.len() {
            assert!(!at_rest_after(&message[..cut]), "{cut}");
        }
        assert!(at_rest_after(&message));
    }

    #[test]
    fn a_ping_within_a_fragmented_message_does_not_end_it() {
        let mut bytes = frame(1, 5);
        bytes.extend(frame(FIN | 9, 0));
        assert!(!at_rest_after(&bytes));
        bytes.extend(frame(0, 5));
        assert!(!at_rest_after(&bytes));
        bytes.extend(frame(FIN, 5));
        assert!(at_rest_after(&bytes));
    }

    proptest! {
        #[test]
        fn where_reads_are_cut_makes_no_difference(
            lens in prop::collection::vec(prop_oneof![0usize..130, 65_530usize..65_540], 1..6), cut in 1usize..4_000,
        ) {
            let bytes: Vec<u8> = lens.into_iter().flat_map(|len| frame(FIN | 2, len)).collect();
            let mut walk = Walk::new(());
            for piece in bytes.chunks(cut) {
                walk.walk(piece);
            }
            prop_assert!(walk.is_at_rest());
            walk.walk(&[FIN | 2]);
            prop_assert!(!walk.is_at_rest());
        }
    }
}
