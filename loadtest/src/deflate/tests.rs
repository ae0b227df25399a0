//! Tests of compressed messages, as a server sends them.

use tokio::io::{AsyncWriteExt, duplex};
use tokio_tungstenite::{accept_async_with_config, client_async};

use super::*;

/// Messages that a client receives of these frames, which arrive in pieces of 100 bytes.
async fn received(deflates: bool, frames: &[u8]) -> anyhow::Result<Vec<Message>> {
    let (near, far) = duplex(100);
    let serve = async {
        let mut server = Box::pin(accept_async_with_config(far, None)).await.unwrap();
        // A client that refuses a frame reads no more.
        drop(server.get_mut().write_all(&[frames, &CLOSE].concat()).await);
        server
    };
    let receive_all = async {
        let scanner = FrameScanner::new(near, deflates);
        let (mut socket, _) = Box::pin(client_async("ws://server/", scanner)).await?;
        let mut messages = Vec::new();
        loop {
            match receive(&mut socket).await? {
                None | Some(Message::Close(_)) => return anyhow::Ok(messages),
                Some(message) => messages.push(message),
            }
        }
    };
    let (_server, messages) = tokio::join!(serve, receive_all);
    messages
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

fn payload(message: Message) -> Vec<u8> {
    compressed(message).unwrap().into_data().to_vec()
}

#[tokio::test]
async fn compressed_messages_arrive_as_they_were_among_plain_ones_fragments_and_pings() {
    let text = Message::text("täxt ".repeat(1_000));
    let binary = Message::binary((0..=u8::MAX).collect::<Vec<_>>());
    let packed = payload(binary.clone());
    let (begin, rest) = packed.split_at(100);
    let long = "x".repeat(70_000);
    let frames = [
        frame(0x81, b"plain"),
        frame(0xc1, &payload(text.clone())),
        frame(0x42, begin),
        frame(0x89, b"ping"),
        frame(0x80, rest),
        frame(0x81, long.as_bytes()),
        frame(0x82, b""),
        frame(0xc1, &payload(text.clone())),
    ];
    let expected = [
        Message::text("plain"),
        text.clone(),
        Message::Ping("ping".into()),
        binary,
        Message::text(long),
        Message::binary(""),
        text,
    ];
    assert_eq!(received(true, &frames.concat()).await.unwrap(), expected);
}

#[tokio::test]
async fn compressed_message_that_was_not_offered_is_refused() {
    let error = received(false, &frame(0xc1, &payload(Message::text("a")))).await;
    assert!(error.unwrap_err().to_string().contains("Reserved bits"));
}

#[test]
fn message_beyond_the_limit_or_of_broken_data_is_an_error() {
    let longest = vec![0; usize::try_from(MAX_MESSAGE).unwrap()];
    let packed = payload(Message::binary(longest.clone()));
    assert_eq!(decompressed(&packed).unwrap(), longest);
    let longer = payload(Message::binary([longest, vec![0]].concat()));
    assert!(decompressed(&longer).is_err());
    assert!(decompressed(&[0xff; 9]).is_err());
    let cut_off = payload(Message::text("text"));
    assert!(decompressed(&cut_off[..3]).is_err());
}

const CLOSE: [u8; 2] = [0x88, 0];
