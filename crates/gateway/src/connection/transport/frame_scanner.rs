//! Scanner of incoming frame headers below tungstenite, for two things that tungstenite does not offer.
//!
//! tungstenite does not tell whether it buffers part of a frame. The scanner has seen every byte and knows whether they end a message.
//!
//! tungstenite refuses every reserved bit. If compression was negotiated, the scanner clears the bit that marks it (RSV1, RFC 7692,
//! section 6) in the first frame of a message, makes the frame binary since compressed text is not UTF-8, and keeps the original type
//! until the message is read. It changes one byte per compressed message and moves none: masks cover payloads only. The bit on any other
//! frame stays, and is refused.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Stream whose incoming bytes are scanned.
#[derive(Debug)]
pub(super) struct FrameScanner<S> {
    inner: S,
    state: ScannerState,
    /// True if the last data frame was not the final one of its message.
    in_message: bool,
    /// Data frames of the current message, or of the last one.
    fragments: usize,
    max_fragments: usize,
    /// True after a message with too many fragments: nothing more is read.
    has_too_many_fragments: bool,
    /// True if compression was negotiated.
    deflates: bool,
    /// Packings of messages that were not read yet, if compression was negotiated. A read is a few kilobytes, so they are few.
    packings: VecDeque<Packing>,
}

/// Compression and type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not compressed.
    Plain,
    /// Compressed text message.
    DeflatedText,
    /// Compressed binary message.
    DeflatedBinary,
}

/// Message with too many frames. Empty frames evade every bound of bytes.
#[derive(Debug, thiserror::Error)]
#[error("a message in too many fragments")]
pub(super) struct TooManyFragments;

/// Meaning of the next byte (RFC 6455, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScannerState {
    /// FIN, reserved bits, opcode.
    First,
    /// MASK and the short length.
    Second,
    /// Byte of an extended length.
    Length { left: u8, length: u64, masked: bool },
    /// Byte of the mask.
    Mask { left: u8, length: u64 },
    /// Payload.
    Payload { left: u64 },
}

impl<S> FrameScanner<S> {
    /// Scans a stream from its first frame on; `deflates` if compression was negotiated.
    pub(super) fn new(inner: S, deflates: bool) -> Self {
        Self {
            inner,
            state: ScannerState::First,
            in_message: false,
            fragments: 0,
            max_fragments: MAX_FRAGMENTS,
            has_too_many_fragments: false,
            deflates,
            packings: VecDeque::new(),
        }
    }

    /// Scans with this maximum number of frames per message instead of [`MAX_FRAGMENTS`].
    pub(super) fn with_max_fragments(self, max_fragments: usize) -> Self {
        Self { max_fragments, ..self }
    }

    /// Packing of the message that is read next.
    pub(super) fn next_packing(&mut self) -> Packing {
        let next = self.packings.pop_front().unwrap_or(Packing::Plain);
        if self.packings.is_empty() && self.packings.capacity() > KEPT_CAPACITY {
            self.packings = VecDeque::new();
        }
        next
    }

    /// True if all bytes so far make complete messages.
    pub(super) fn is_between_messages(&self) -> bool {
        self.state == ScannerState::First && !self.in_message
    }

    /// Stream without the scanner.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    fn scan(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let now = std::mem::take(&mut bytes);
            bytes = match self.state {
                ScannerState::Payload { left } => {
                    let present = usize::try_from(left).map_or(now.len(), |left| left.min(now.len()));
                    // The length of a slice fits u64.
                    self.state = payload(left.saturating_sub(u64::try_from(present).unwrap_or(left)));
                    now.get_mut(present..).unwrap_or_default()
                }
                _ => {
                    let Some((byte, rest)) = now.split_first_mut() else {
                        return;
                    };
                    self.state = self.header(byte);
                    rest
                }
            };
        }
    }

    fn header(&mut self, byte: &mut u8) -> ScannerState {
        match self.state {
            ScannerState::First => {
                self.first(byte);
                ScannerState::Second
            }
            ScannerState::Second => {
                let masked = *byte & MASK != 0;
                match *byte & !MASK {
                    126 => ScannerState::Length {
                        left: 2,
                        length: 0,
                        masked,
                    },
                    127 => ScannerState::Length {
                        left: 8,
                        length: 0,
                        masked,
                    },
                    short => after_length(u64::from(short), masked),
                }
            }
            ScannerState::Length { left, length, masked } => {
                let length = length << 8 | u64::from(*byte);
                match left {
                    0 | 1 => after_length(length, masked),
                    _ => ScannerState::Length {
                        left: left - 1,
                        length,
                        masked,
                    },
                }
            }
            ScannerState::Mask { left, length } => match left {
                0 | 1 => payload(length),
                _ => ScannerState::Mask { left: left - 1, length },
            },
            payload @ ScannerState::Payload { .. } => payload,
        }
    }

    fn first(&mut self, byte: &mut u8) {
        let opcode = *byte & OPCODE;
        if opcode < CONTROL {
            self.in_message = *byte & FIN == 0;
            let before = if opcode == CONTINUATION { self.fragments } else { 0 };
            self.fragments = before + 1;
            self.has_too_many_fragments |= self.fragments > self.max_fragments;
        }
        if self.deflates && matches!(opcode, TEXT | BINARY) {
            self.packings.push_back(match (*byte & RSV1, opcode) {
                (0, _) => Packing::Plain,
                (_, TEXT) => Packing::DeflatedText,
                _ => Packing::DeflatedBinary,
            });
            if *byte & RSV1 != 0 {
                *byte = *byte & !(RSV1 | OPCODE) | BINARY;
            }
        }
    }
}

fn after_length(length: u64, masked: bool) -> ScannerState {
    if masked {
        ScannerState::Mask { left: 4, length }
    } else {
        payload(length)
    }
}

fn payload(left: u64) -> ScannerState {
    if left == 0 {
        ScannerState::First
    } else {
        ScannerState::Payload { left }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameScanner<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_too_many_fragments {
            return Poll::Ready(Err(io::Error::other(TooManyFragments)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.scan(buf.filled_mut().get_mut(before..).unwrap_or_default());
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

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const OPCODE: u8 = 0x0f;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
/// Lowest opcode of a control frame.
const CONTROL: u8 = 0x8;
const MASK: u8 = 0x80;
/// Frames of one message, of 64 bytes each in the longest message.
pub(super) const MAX_FRAGMENTS: usize = 1024;
/// Capacity in messages, above which memory used by a pipelining client is released.
const KEPT_CAPACITY: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frame with a mask of zeros.
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

    fn ends_message(bytes: &[u8]) -> bool {
        let mut scanner = FrameScanner::new((), false);
        scanner.scan(&mut bytes.to_vec());
        scanner.is_between_messages()
    }

    /// Scanned bytes, and the packing of each message.
    fn passed(frames: &[Vec<u8>], deflates: bool) -> (Vec<u8>, Vec<Packing>) {
        let mut bytes = frames.concat();
        let mut scanner = FrameScanner::new((), deflates);
        scanner.scan(&mut bytes);
        (bytes, scanner.packings.into())
    }

    #[test]
    fn stream_is_between_messages_after_a_complete_message_only() {
        let message = frame(FIN | 1, 300);
        for cut in 1..message.len() {
            assert!(!ends_message(&message[..cut]), "{cut}");
        }
        assert!(ends_message(&message));
    }

    #[test]
    fn ping_within_a_fragmented_message_does_not_end_it() {
        let mut bytes = frame(1, 5);
        bytes.extend(frame(FIN | 9, 0));
        assert!(!ends_message(&bytes));
        bytes.extend(frame(0, 5));
        assert!(!ends_message(&bytes));
        bytes.extend(frame(FIN, 5));
        assert!(ends_message(&bytes));
    }

    #[tokio::test]
    async fn message_with_too_many_fragments_is_refused_and_the_count_restarts_with_each_message() {
        let message = |count: usize| {
            let middle = (2..count).flat_map(|_| frame(0, 0));
            [frame(1, 0), middle.collect(), frame(FIN, 0)].concat()
        };
        let read = async |bytes: Vec<u8>| {
            let mut scanner = FrameScanner::new(&bytes[..], false);
            tokio::io::AsyncReadExt::read_to_end(&mut scanner, &mut Vec::new()).await
        };
        assert!(
            read([message(MAX_FRAGMENTS), message(MAX_FRAGMENTS)].concat())
                .await
                .is_ok()
        );
        let error = read(message(MAX_FRAGMENTS + 1)).await.unwrap_err();
        assert!(error.get_ref().is_some_and(|error| error.is::<TooManyFragments>()));
    }

    #[test]
    fn compressed_message_passes_as_a_plain_binary_one() {
        let message = [frame(RSV1 | TEXT, 3), frame(FIN | 9, 0), frame(FIN, 3)];
        let plain = [frame(BINARY, 3), frame(FIN | 9, 0), frame(FIN, 3)];
        let (bytes, packings) = passed(&message, true);
        assert_eq!((bytes, packings), (plain.concat(), vec![Packing::DeflatedText]));
        let others = [frame(FIN | TEXT, 0), frame(FIN | RSV1 | BINARY, 130)];
        assert_eq!(passed(&others, true).1, [Packing::Plain, Packing::DeflatedBinary]);
    }

    #[test]
    fn reserved_bits_without_negotiation_are_not_changed() {
        let on_control = [frame(FIN | RSV1 | 9, 0)];
        let on_continuation = [frame(TEXT, 1), frame(FIN | RSV1, 1)];
        let others = [frame(FIN | 0x20 | TEXT, 1), frame(FIN | 0x10 | BINARY, 1)];
        for frames in [&on_control[..], &on_continuation, &others] {
            assert_eq!(passed(frames, true).0, frames.concat());
        }
        let unasked = [frame(FIN | RSV1 | TEXT, 1)];
        assert_eq!(passed(&unasked, false), (unasked.concat(), Vec::new()));
    }

    proptest! {
        #[test]
        fn boundaries_of_reads_make_no_difference(
            lens in prop::collection::vec(prop_oneof![0usize..130, 65_530usize..65_540], 1..6), cut in 1usize..4_000,
        ) {
            let mut bytes: Vec<u8> = lens.into_iter().flat_map(|len| frame(FIN | 2, len)).collect();
            let mut scanner = FrameScanner::new((), false);
            for piece in bytes.chunks_mut(cut) {
                scanner.scan(piece);
            }
            prop_assert!(scanner.is_between_messages());
            scanner.scan(&mut [FIN | 2]);
            prop_assert!(!scanner.is_between_messages());
        }

        #[test]
        fn only_the_first_byte_of_a_compressed_message_is_changed(
            frames in prop::collection::vec((any::<u8>(), prop_oneof![0usize..130, 65_530usize..65_540]), 1..6), cut in 1usize..300,
        ) {
            let frames: Vec<Vec<u8>> = frames.into_iter().map(|(first, len)| frame(first, len)).collect();
            let (mut bytes, whole) = (frames.concat(), passed(&frames, true));
            let mut scanner = FrameScanner::new((), true);
            for piece in bytes.chunks_mut(cut) {
                scanner.scan(piece);
            }
            prop_assert_eq!(&bytes, &whole.0);
            prop_assert_eq!(Vec::from(scanner.packings), whole.1);
            let mut rest = bytes.as_slice();
            for sent in frames {
                let (came, others) = rest.split_at(sent.len());
                prop_assert_eq!(&came[1..], &sent[1..]);
                prop_assert!(came[0] == sent[0] || sent[0] & RSV1 != 0 && matches!(sent[0] & OPCODE, TEXT | BINARY));
                rest = others;
            }
        }
    }
}
