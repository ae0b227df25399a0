//! Compressed messages over a pipe: any fragmentation, and the bound of the inflated size.

use flate2::{Compress, Compression, FlushCompress};
use http::HeaderMap;
use http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS};
use testkit::client::frame::Frame as Bytewise;
use tokio::io::{AsyncReadExt, DuplexStream};

use super::*;
use crate::deflate::{DeflateParams, DeflatePool};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CONTINUATION: u8 = 0;
const PING: u8 = 9;
const RSV1: u8 = 4;
const RSV2: u8 = 2;

fn agreed(threshold: usize) -> PerMessageDeflate {
    let mut offer = HeaderMap::new();
    offer.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"));
    DeflatePool::new(threshold).of(&DeflateParams::negotiate(&offer).unwrap())
}

/// A transport with compression, and the other end of its pipe.
fn pipe(threshold: usize) -> (Transport, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    (Transport::new(Box::new(ours), Some(agreed(threshold))), theirs)
}

/// Compresses as a client does, without the tail.
fn deflated(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(message.len() + 1024);
    let mut stream = Compress::new(Compression::default(), false);
    stream.compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
    payload.strip_suffix(&[0, 0, 0xff, 0xff]).unwrap().to_vec()
}

fn compressed(opcode: u8, message: &[u8]) -> Bytewise {
    Bytewise::new(opcode, deflated(message)).reserved(RSV1)
}

/// The next frame that was sent.
async fn frame_from(peer: &mut DuplexStream, unread: &mut Vec<u8>) -> Bytewise {
    loop {
        if let Some(frame) = Bytewise::take(unread) {
            return frame;
        }
        assert_ne!(in_time(peer.read_buf(unread)).await.unwrap(), 0);
    }
}

/// First event of these frames, without pings.
async fn event_of(frames: &[Bytewise]) -> TransportEvent {
    let (mut transport, mut peer) = pipe(1024);
    let bytes: Vec<u8> = frames.iter().flat_map(Bytewise::bytes).collect();
    peer.write_all(&bytes).await.unwrap();
    let outbound = OutboundQueue::default();
    loop {
        match in_time(next(&mut transport, &outbound)).await {
            TransportEvent::Ping => {}
            event => return event,
        }
    }
}

fn message(text: &str) -> TransportEvent {
    TransportEvent::Message(Message::Text(text.to_owned().into()))
}

#[tokio::test]
async fn compressed_message_is_read_for_any_fragmentation() {
    assert_eq!(event_of(&[compressed(TEXT, b"hello")]).await, message("hello"));
    let binary = TransportEvent::Message(Message::Binary(vec![0xff, 0xfe].into()));
    assert_eq!(event_of(&[compressed(BINARY, &[0xff, 0xfe])]).await, binary);
    assert_eq!(event_of(&[compressed(TEXT, b"")]).await, message(""));

    let payload = deflated(b"hello, hello");
    let (head, tail) = payload.split_at(3);
    let ping = || Bytewise::new(PING, "are you there?");
    let fragments = [
        Bytewise::new(TEXT, head).reserved(RSV1).unfinished(),
        ping(),
        Bytewise::new(CONTINUATION, "").unfinished(),
        ping(),
        Bytewise::new(CONTINUATION, tail),
    ];
    assert_eq!(event_of(&fragments).await, message("hello, hello"));
}

#[tokio::test]
async fn uncompressed_message_is_read_after_negotiation() {
    assert_eq!(event_of(&[Bytewise::text("hello")]).await, message("hello"));
}

#[tokio::test]
async fn decompression_bomb_closes_the_socket_before_it_is_inflated() {
    let bomb = compressed(TEXT, &vec![b'x'; MAX_MESSAGE + 1]);
    assert!(bomb.payload.len() < 1_000);
    assert_eq!(event_of(&[bomb]).await, TransportEvent::Ended(CloseReason::TooBig));
    let largest = "x".repeat(MAX_MESSAGE);
    assert_eq!(
        event_of(&[compressed(TEXT, largest.as_bytes())]).await,
        message(&largest)
    );
}

#[tokio::test]
async fn inflated_text_that_is_not_utf_8_closes_the_socket() {
    let broken = compressed(TEXT, &[b'h', 0xff]);
    assert_eq!(event_of(&[broken]).await, TransportEvent::Ended(CloseReason::NotUtf8));
}

#[tokio::test]
async fn corrupt_compressed_data_closes_the_socket() {
    let corrupt = Bytewise::new(TEXT, [0xff; 9]).reserved(RSV1);
    assert_eq!(
        event_of(&[corrupt]).await,
        TransportEvent::Ended(CloseReason::NotDeflated)
    );
}

#[tokio::test]
async fn misplaced_rsv_bit_closes_the_socket() {
    let payload = deflated(b"hello");
    let on_continuation = [
        Bytewise::new(TEXT, payload.clone()).reserved(RSV1).unfinished(),
        Bytewise::new(CONTINUATION, "").reserved(RSV1),
    ];
    let on_ping = [Bytewise::new(PING, "").reserved(RSV1)];
    let another = [Bytewise::new(TEXT, payload).reserved(RSV1 | RSV2)];
    for frames in [&on_continuation[..], &on_ping, &another] {
        assert_eq!(
            event_of(frames).await,
            TransportEvent::Ended(CloseReason::ProtocolError),
            "{frames:?}"
        );
    }
}

#[tokio::test]
async fn compressed_message_without_negotiation_closes_the_socket() {
    let (ours, mut peer) = tokio::io::duplex(1024);
    let mut transport = Transport::new(Box::new(ours), None);
    peer.write_all(&compressed(TEXT, b"hello").bytes()).await.unwrap();
    let event = in_time(next(&mut transport, &OutboundQueue::default())).await;
    assert_eq!(event, TransportEvent::Ended(CloseReason::ProtocolError));
}

#[tokio::test]
async fn only_messages_from_the_threshold_on_are_sent_compressed() {
    let (mut transport, mut peer) = pipe(1_000);
    let outbound = OutboundQueue::default();
    for len in [999, 1_000] {
        outbound.push(text(len));
    }
    outbound.push(OutgoingMessage::deflated(text(2_000), &agreed(1_000)));
    assert!(next(&mut transport, &outbound).now_or_never().is_none());
    let mut sent = Vec::new();
    let plain = frame_from(&mut peer, &mut sent).await;
    assert_eq!((plain.reserved, plain.payload.len()), (0, 999));
    for len in [1_000, 2_000] {
        let frame = frame_from(&mut peer, &mut sent).await;
        assert_eq!((frame.reserved, frame.opcode, frame.is_final), (RSV1, TEXT, true));
        assert!(frame.payload.len() < 100);
        let inflated = agreed(0).inflate(&frame.payload, len).unwrap();
        assert_eq!(Message::Text(inflated), text(len));
    }
}

#[tokio::test]
async fn buffers_of_a_long_compressed_message_are_released() {
    let (mut transport, mut peer) = pipe(1024);
    let outbound = OutboundQueue::default();
    let noise: Vec<u8> = (0..30_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .take(50_000)
        .collect();
    let long = compressed(BINARY, &noise);
    assert!(long.payload.len() > READ_BUFFER);
    for _ in 0..3 {
        peer.write_all(&long.bytes()).await.unwrap();
        let message = in_time(next(&mut transport, &outbound)).await;
        assert_eq!(message, TransportEvent::Message(Message::Binary(noise.clone().into())));
        assert!(next(&mut transport, &outbound).now_or_never().is_none());
        assert!(!transport.has_grown, "rebuilt, and still reads compressed messages");
    }
}

/// A message, whether it is sent compressed, and in fragments of how many bytes.
fn any_message() -> impl Strategy<Value = (Vec<u8>, bool, usize)> {
    let word = prop_oneof![Just(&b"hello "[..]), Just(&b"\x00\xff"[..]), Just(&b"Postern"[..])];
    let words = prop::collection::vec(word, 0..400);
    (words.prop_map(|words| words.concat()), any::<bool>(), 1usize..2_000)
}

/// Frames of a message, with a ping after each.
fn frames((message, is_compressed, cut): &(Vec<u8>, bool, usize)) -> Vec<u8> {
    let payload = if *is_compressed {
        deflated(message)
    } else {
        message.clone()
    };
    let mut pieces: Vec<&[u8]> = payload.chunks(*cut).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let last = pieces.len() - 1;
    let mut bytes = Vec::new();
    for (number, piece) in pieces.into_iter().enumerate() {
        let opcode = if number == 0 { BINARY } else { CONTINUATION };
        let mut frame = Bytewise::new(opcode, piece);
        frame.is_final = number == last;
        frame.reserved = if number == 0 && *is_compressed { RSV1 } else { 0 };
        bytes.extend(frame.bytes());
        bytes.extend(Bytewise::new(PING, "").bytes());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn compressed_and_plain_messages_arrive_in_sequence_for_any_read_boundaries(
        messages in prop::collection::vec(any_message(), 1..8), piece in 1usize..300,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut transport, peer) = pipe(1024);
            let (mut read, mut write) = tokio::io::split(peer);
            let bytes: Vec<u8> = messages.iter().flat_map(frames).collect();
            let sends = async {
                for piece in bytes.chunks(piece) {
                    write.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let outbound = OutboundQueue::default();
            let serves = async {
                let mut seen = Vec::new();
                while seen.len() < messages.len() {
                    match next(&mut transport, &outbound).await {
                        TransportEvent::Message(Message::Binary(message)) => seen.push(message.to_vec()),
                        TransportEvent::Ping => {}
                        other => panic!("{other:?} after {} messages", seen.len()),
                    }
                }
                seen
            };
            let mut pongs = Vec::new();
            let reads = async {
                loop {
                    read.read_buf(&mut pongs).await.unwrap();
                }
            };
            let both = async { tokio::join!(sends, serves).1 };
            let seen = in_time(async {
                tokio::select! {
                    seen = both => seen,
                    () = reads => Vec::new(),
                }
            })
            .await;
            let expected: Vec<Vec<u8>> = messages.iter().map(|(message, ..)| message.clone()).collect();
            assert_eq!(seen, expected);
        });
    }
}
