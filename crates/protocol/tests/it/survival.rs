//! Round trips of every message, in every dialect and both directions.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::command::{Command, CommandKind};
use protocol::event::{Event, name};
use protocol::json::Json;
use protocol::wire::{Dialect, Push, RequestId, native, socketio};
use serde_json::{Value, json};

use crate::peer::{self, DIALECTS, ReceivedEvent};
use crate::strategy;

proptest! {
    #[test]
    fn event_is_received_with_its_offset(event in strategy::event(), offset in option::of(strategy::offset())) {
        let data = event.data();
        let push = Push { event: event.name(), data: &data, offset: offset.as_deref(), event_id: None };
        for dialect in DIALECTS {
            let received = peer::receive(dialect, &peer::push(dialect, &push));
            let [data, offset] = <[Value; 2]>::try_from(received.arguments).unwrap();
            prop_assert_eq!(read_event(&received.event, data), event.clone(), "{:?}", dialect);
            prop_assert_eq!(offset, json!(push.offset), "{:?}", dialect);
        }
    }

    #[test]
    fn notice_is_received_without_an_offset(notice in strategy::notice()) {
        let data = notice.data();
        let push = Push { event: notice.name(), data: &data, offset: None, event_id: None };
        for dialect in DIALECTS {
            let received = peer::receive(dialect, &peer::push(dialect, &push));
            let arguments = vec![value(push.data), Value::Null];
            prop_assert_eq!(received, ReceivedEvent { event: push.event.to_owned(), arguments }, "{:?}", dialect);
        }
    }

    #[test]
    fn event_without_recovery_has_the_payload_as_only_argument(event in strategy::event(), offset in option::of(strategy::offset())) {
        let data = event.data();
        let push = Push { event: event.name(), data: &data, offset: offset.as_deref(), event_id: None };
        for dialect in [Dialect::SocketIo, Dialect::SocketIoMsgpack] {
            let received = peer::receive(dialect, &socketio::event_without_offset(dialect, &push));
            prop_assert_eq!(received, ReceivedEvent { event: push.event.to_owned(), arguments: vec![value(push.data)] });
        }
    }

    #[test]
    fn batch_is_the_sequence_of_its_frames(events in vec((strategy::event(), strategy::offset()), 0..20)) {
        let payloads: Vec<_> = events.iter().map(|(event, _)| event.data()).collect();
        let pushes: Vec<_> = events
            .iter()
            .zip(&payloads)
            .map(|((event, offset), data)| Push { event: event.name(), data, offset: Some(offset.as_str()), event_id: Some(offset.as_str()) })
            .collect();
        for dialect in [Dialect::NativeJson, Dialect::NativeMsgpack] {
            let encoding = peer::encoding(dialect).unwrap();
            let frames: Vec<_> = pushes.iter().map(|push| native::push(encoding, push)).collect();
            let alone: Vec<_> = frames.iter().map(|frame| peer::value(dialect, frame)).collect();
            prop_assert_eq!(peer::value(dialect, &native::batch(encoding, &frames)), Value::Array(alone));
        }
    }

    #[test]
    fn answer_carries_the_id_of_its_request(
        data in prop_oneof![
            strategy::answer().prop_map(|answer| answer.data()),
            strategy::failure().prop_map(|failure| failure.data()),
        ],
        id in strategy::native_id(),
        ack in any::<u64>(),
        kind in proptest::sample::select(&CommandKind::ALL),
    ) {
        let event = kind.response_event();
        for dialect in [Dialect::NativeJson, Dialect::NativeMsgpack] {
            let encoding = peer::encoding(dialect).unwrap();
            let plain = peer::value(dialect, &native::answer(encoding, event, &data, None));
            prop_assert_eq!(plain, json!({"event": event, "data": value(&data)}));
            let id = RequestId::Native(id.clone());
            let answer = peer::value(dialect, &native::answer(encoding, event, &data, Some(&id)));
            prop_assert_eq!(answer, json!({"event": event, "data": value(&data), "id": id}));
        }
        for dialect in [Dialect::SocketIo, Dialect::SocketIoMsgpack] {
            let packet = peer::packet(dialect, &socketio::ack(dialect, ack, &data));
            let expected = peer::Packet { kind: 3, id: Some(ack), data: Some(json!([value(&data)])) };
            prop_assert_eq!(packet, expected);
        }
    }

    #[test]
    fn command_is_decoded_and_read_by_the_worker(command in strategy::command()) {
        let job = serde_json::to_value(&command).unwrap();
        for dialect in DIALECTS {
            let message = peer::request(dialect, command.kind().event(), &job["data"], None);
            let request = peer::decode(dialect, &message);
            prop_assert_eq!(CommandKind::of_event(&request.event), Some(command.kind()));
            let parsed = Command::parse(command.kind(), request.data).unwrap();
            prop_assert_eq!(serde_json::to_value(&parsed).unwrap(), job.clone(), "{:?}", dialect);
        }
        let at_the_worker: Command = serde_json::from_str(&job.to_string()).unwrap();
        prop_assert_eq!(serde_json::to_value(&at_the_worker).unwrap(), job);
    }

    #[test]
    fn request_is_read_as_it_was_written(
        event in strategy::text().prop_filter("reserved by Socket.IO", |event| !RESERVED.contains(&event.as_str())),
        data in strategy::json(),
        id in option::of(strategy::native_id()),
        ack in option::of(any::<u64>()),
    ) {
        for dialect in DIALECTS {
            let id = match peer::encoding(dialect) {
                Some(_) => id.clone().map(RequestId::Native),
                None => ack.map(RequestId::Ack),
            };
            let request = peer::decode(dialect, &peer::request(dialect, &event, &data, id.as_ref()));
            prop_assert_eq!(&request.event, &event);
            prop_assert_eq!(&request.data, &data);
            prop_assert_eq!(request.id, id);
        }
    }
}

/// Event names that the official parser closes on (socket.io-parser 4.2, `RESERVED_EVENTS`).
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

#[test]
fn no_event_of_the_server_has_a_reserved_name() {
    let pushed = [
        name::STATUS_CHANGED,
        name::ALERT,
        name::SETTINGS_UPDATED,
        name::NOTIFICATION,
        name::TWO_FACTOR_REQUIRED,
        name::SESSION_WARNING,
        name::SESSION_EXPIRED,
        name::RESYNC,
        name::ERROR,
        name::READY,
    ];
    for event in pushed
        .into_iter()
        .chain(CommandKind::ALL.map(CommandKind::response_event))
    {
        assert!(!RESERVED.contains(&event), "{event}");
    }
}

fn value(data: &Json) -> Value {
    data.read().unwrap()
}

fn read_event(name: &str, data: Value) -> Event {
    match name {
        name::STATUS_CHANGED => Event::StatusChanged(serde_json::from_value(data).unwrap()),
        name::ALERT => Event::Alert(serde_json::from_value(data).unwrap()),
        name::SETTINGS_UPDATED => Event::SettingsUpdated(serde_json::from_value(data).unwrap()),
        name::NOTIFICATION => Event::Notification(serde_json::from_value(data).unwrap()),
        other => panic!("no such event: {other}"),
    }
}
