//! Hostile bytes make no decoder panic, and decoded messages keep the guarantees of the decoder.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::wire::native::{self, Encoding};
use protocol::wire::socketio::{Decoder, Incoming};
use protocol::wire::{Dialect, Message, RequestId};

use crate::peer::{self, DIALECTS, say, send};
use crate::strategy;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn any_messages_in_a_row_are_read_or_refused(messages in vec(message(), 1..8)) {
        feed(&messages);
    }

    #[test]
    fn any_damaged_frame_is_read_or_refused(
        dialect in proptest::sample::select(&DIALECTS),
        command in strategy::command(),
        damage in vec(damage(), 1..4),
    ) {
        let job = serde_json::to_value(&command).unwrap();
        let frame = peer::request(dialect, command.kind().event(), &job["data"], Some(&RequestId::Ack(7)));
        feed(&[broken(&frame, &damage)]);
    }

    #[test]
    fn any_damaged_attachments_are_read_or_refused(
        packets in vec(prop_oneof![attachment_header(), any::<Vec<u8>>().prop_map(|bytes| send(&bytes))], 1..12),
        damage in vec(damage(), 0..2),
    ) {
        let mut messages = vec![say("40")];
        messages.extend(packets.iter().map(|packet| broken(packet, &damage)));
        feed(&messages);
    }
}

/// Feeds messages to every decoder; those of Socket.IO stop at the first error, as the connection does.
fn feed(messages: &[Message]) {
    for message in messages {
        // A request and a refusal are both allowed: only a panic fails the test.
        drop(native::decode(Encoding::Json, message));
        drop(native::decode(Encoding::Msgpack, message));
    }
    let mut decoder = Decoder::new();
    for message in messages {
        let before = decoder.dialect();
        let Ok(incoming) = decoder.decode(message) else { return };
        assert!(before == decoder.dialect() || before == Dialect::SocketIo);
        if let Some(Incoming::Request(request)) = incoming {
            assert!(!["connect", "disconnect", "connect_error"].contains(&request.event.as_str()));
            assert!(matches!(request.id, None | Some(RequestId::Ack(_))));
        }
    }
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any::<String>().prop_map(|text| say(&text)),
        any::<Vec<u8>>().prop_map(|bytes| Message::Text(bytes.into())),
        any::<Vec<u8>>().prop_map(|bytes| send(&bytes)),
        // Texts similar to a packet.
        "4[0-7]{0,2}[0-9]{0,2}-?(/[a-z]{0,2},?)?[0-9]{0,22}[\\[{\"]?\\PC{0,12}[\\]}\"]?".prop_map(|text| say(&text)),
        // Bytes similar to MessagePack: markers are rare among arbitrary bytes.
        vec(prop_oneof![0x80..0xa4_u8, 0xc0..=0xff_u8, any::<u8>()], 0..64).prop_map(|bytes| send(&bytes)),
        attachment_header(),
    ]
}

fn attachment_header() -> impl Strategy<Value = Message> {
    (0..12_usize, 0..12_usize)
        .prop_map(|(count, num)| say(&format!(r#"45{count}-["x",[{{"_placeholder":true,"num":{num}}}]]"#)))
}

#[derive(Debug, Clone)]
enum Damage {
    Change(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Double,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        2 => (any::<prop::sample::Index>(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        1 => Just(Damage::Double),
    ]
}

fn broken(message: &Message, damage: &[Damage]) -> Message {
    let (Message::Text(bytes) | Message::Binary(bytes)) = message;
    let mut bytes = bytes.to_vec();
    for damage in damage {
        match damage {
            Damage::Change(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes.splice(at..=at, [*byte]);
            }
            Damage::Change(..) => {}
            Damage::Insert(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Damage::Double => bytes.extend_from_within(..),
        }
    }
    match message {
        Message::Text(_) => Message::Text(bytes.into()),
        Message::Binary(_) => Message::Binary(bytes.into()),
    }
}
