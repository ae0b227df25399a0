//! Encoding of an event and decoding of a command, in each dialect.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use protocol::json::Json;
use protocol::wire::native::{self, Encoding};
use protocol::wire::socketio::{self, Decoder};
use protocol::wire::{Dialect, Message, Push};
use serde_json::{Value, json};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    encode(&mut criterion);
    decode(&mut criterion);
    criterion.final_summary();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode an event of 300 bytes");
    let data = data();
    // Event as the hub pushes it.
    let push = Push {
        event: "account:status_changed",
        data: &data,
        offset: Some("cb6d683a9a2fc6f78987667f703866fa-17"),
        event_id: Some("0197f1a2b3c47d5e8f90a1b2c3d4e5f6"),
    };
    group.bench_function("native JSON", |b| {
        b.iter(|| native::push(Encoding::Json, black_box(&push)));
    });
    group.bench_function("native MessagePack", |b| {
        b.iter(|| native::push(Encoding::Msgpack, black_box(&push)));
    });
    for (name, dialect) in SOCKETIO {
        group.bench_function(name, |b| b.iter(|| socketio::event(dialect, black_box(&push))));
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode a command of 200 bytes");
    let command = json!({ "event": COMMAND, "data": command(), "id": 7 });
    let text = Message::Text(Bytes::from(command.to_string()));
    group.bench_function("native JSON", |b| {
        b.iter(|| native::decode(Encoding::Json, black_box(&text)).is_ok());
    });
    let packed = Message::Binary(packed(&command));
    group.bench_function("native MessagePack", |b| {
        b.iter(|| native::decode(Encoding::Msgpack, black_box(&packed)).is_ok());
    });
    for (name, message) in [(SOCKETIO[0].0, socketio_text()), (SOCKETIO[1].0, socketio_packet())] {
        // A decoder takes its dialect from the first packet of its connection.
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                Decoder::new,
                |decoder| decoder.decode(black_box(&message)).is_ok(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Payload of an event.
fn data() -> Json {
    Json::of(&json!({
        "userId": "GEN-001", "accountType": "github", "status": "error", "timestamp": "2026-11-30T06:00:00.000Z",
        "metadata": { "errorMessage": "x".repeat(160) },
    }))
}

fn command() -> Value {
    json!({
        "userId": "GEN-001", "accountType": "github", "oauthCode": "c".repeat(40),
        "redirectUri": "https://app.example.com/callback", "codeVerifier": "v".repeat(43),
    })
}

fn socketio_text() -> Message {
    let event = json!([COMMAND, command()]);
    Message::Text(Bytes::from(format!("427{event}")))
}

fn socketio_packet() -> Message {
    Message::Binary(packed(
        &json!({ "type": 2, "nsp": "/", "id": 7, "data": [COMMAND, command()] }),
    ))
}

#[expect(clippy::expect_used, reason = "a value of JSON has a form in MessagePack")]
fn packed(value: &Value) -> Bytes {
    rmp_serde::to_vec_named(value).expect("a value of JSON").into()
}

const COMMAND: &str = "account:connect";
const SOCKETIO: [(&str, Dialect); 2] = [
    ("Socket.IO", Dialect::SocketIo),
    ("Socket.IO MessagePack", Dialect::SocketIoMsgpack),
];
