//! Messages of clients, in each dialect: from the bytes of a message to a command.

use protocol::command::{Command, CommandKind};
use protocol::wire::auth::Auth;
use protocol::wire::native::{self, Encoding};
use protocol::wire::socketio::{Decoder, Incoming};
use protocol::wire::{Message, Request};

/// Messages of one Socket.IO connection, separated by 0x1E; a message that begins with `b` is binary.
pub(crate) fn socketio(bytes: &[u8]) -> bool {
    let messages = bytes.split(|byte| *byte == SEPARATOR).map(|message| match message {
        [b'b', binary @ ..] => Message::Binary(binary.to_vec().into()),
        text => Message::Text(text.to_vec().into()),
    });
    connection(messages)
}

/// Native frame in JSON.
pub(crate) fn native(bytes: &[u8]) -> bool {
    frame(Encoding::Json, &Message::Text(bytes.to_vec().into()))
}

/// MessagePack value, as a native frame and as a packet of Socket.IO's msgpack parser.
pub(crate) fn msgpack(bytes: &[u8]) -> bool {
    let message = Message::Binary(bytes.to_vec().into());
    let is_frame = frame(Encoding::Msgpack, &message);
    connection([message].into_iter()) || is_frame
}

fn connection(messages: impl Iterator<Item = Message>) -> bool {
    let mut decoder = Decoder::new();
    let mut is_read = false;
    for message in messages {
        // After an error the connection is closed.
        let Ok(incoming) = decoder.decode(&message) else { break };
        match incoming {
            Some(Incoming::Request(request)) => is_read |= command(request),
            Some(Incoming::Connect { auth, .. }) => {
                is_read = true;
                drop(Auth::of_socketio(&auth));
            }
            _ => {}
        }
    }
    is_read
}

fn frame(encoding: Encoding, message: &Message) -> bool {
    let Ok(request) = native::decode(encoding, message) else {
        return false;
    };
    let is_auth = request.event == "auth" && Auth::of_native(&request.data).is_ok();
    command(request) || is_auth
}

/// Parses the payload of a command. An accepted command goes to a worker as JSON and is read there.
fn command(request: Request) -> bool {
    let Some(kind) = CommandKind::of_event(&request.event) else {
        return false;
    };
    let Ok(command) = Command::parse(kind, request.data) else {
        return false;
    };
    let job = serde_json::to_string(&command).expect("a command can be written");
    let read: Command = serde_json::from_str(&job).expect("a worker can read it");
    assert_eq!(read.kind(), kind);
    true
}

/// Record separator, by which Engine.IO separates packets too.
const SEPARATOR: u8 = 0x1e;
