//! Device of either dialect that keeps everything it sends and receives.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::client::socket::Socket;
use testkit::client::{Endpoint, Native, Recording, Refused, SocketIo};

/// Connected device.
pub(super) struct Device {
    client: Client,
    journal: Journal,
}

enum Client {
    Native(Native),
    SocketIo(SocketIo),
}

/// Messages of one device.
#[derive(Clone, Default)]
pub(super) struct Journal {
    recording: Recording,
    /// Key and payload of the greeting, then those of the commands in their sequence.
    sent: Arc<Mutex<Vec<Command>>>,
}

/// Sent message.
#[derive(Clone)]
pub(super) struct Command {
    pub(super) key: String,
    pub(super) payload: Value,
    /// Answer of a command.
    pub(super) answer: Value,
}

/// Channel of the document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Native,
    SocketIo,
}

/// Key of a message in the document.
pub(super) fn key(name: &str) -> String {
    name.replace(':', ".")
}

impl Channel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::SocketIo => "socketio",
        }
    }

    /// Key of the message that opens a socket.
    pub(super) fn greeting(self) -> &'static str {
        match self {
            Self::Native => "auth",
            Self::SocketIo => "CONNECT",
        }
    }

    /// Payload of a command as the document has it.
    pub(super) fn payload(self, name: &str, data: &Value) -> Value {
        match self {
            Self::Native => json!({"event": name, "data": data, "id": 1}),
            Self::SocketIo => json!([name, data]),
        }
    }

    /// Key and payload of a received message; none of one that only closes the socket.
    fn received(self, message: Value, commands: &[Command]) -> Option<(String, Value)> {
        if self == Self::Native {
            let name = message["event"].as_str().unwrap_or("batch");
            return Some((key(name), message));
        }
        let data = message["data"].clone();
        let key = match message["type"].as_u64().unwrap() {
            0 => "CONNECTED".to_owned(),
            2 => key(data[0].as_str().unwrap()),
            3 => {
                let id = usize::try_from(message["id"].as_u64().unwrap()).unwrap();
                format!("{}.ack", commands[id].key)
            }
            4 => "CONNECT_ERROR".to_owned(),
            _ => return None,
        };
        Some((key, data))
    }
}

impl Journal {
    /// Commands, without the greeting.
    pub(super) fn commands(&self) -> Vec<Command> {
        self.sent.lock().unwrap()[1..].to_vec()
    }

    /// Greeting.
    pub(super) fn greeting(&self) -> Command {
        self.sent.lock().unwrap()[0].clone()
    }

    /// Keys and payloads of the received messages.
    pub(super) fn received(&self, channel: Channel) -> Vec<(String, Value)> {
        let commands = self.commands();
        let messages = self.recording.messages().into_iter();
        messages
            .filter_map(|message| channel.received(message, &commands))
            .collect()
    }

    fn add(&self, key: String, payload: Value) {
        let answer = Value::Null;
        self.sent.lock().unwrap().push(Command { key, payload, answer });
    }
}

impl Device {
    /// Connects in a channel, with its MessagePack or without.
    pub(super) async fn connect(
        (channel, is_msgpack): (Channel, bool),
        endpoint: &Endpoint,
        token: &str,
        journal: Journal,
    ) -> Result<Self, Refused> {
        let auth = json!({"token": token, "deviceId": "d-81c2", "deviceName": "Pixel 9"});
        let recording = &journal.recording;
        let client = match channel {
            Channel::Native => {
                journal.add(key("auth"), json!({"event": "auth", "data": auth}));
                let connect = Native::to(endpoint).auth(auth).recorded_by(recording);
                let connect = if is_msgpack { connect.msgpack() } else { connect };
                Client::Native(Box::pin(connect.connect()).await?)
            }
            Channel::SocketIo => {
                journal.add("CONNECT".to_owned(), auth.clone());
                let connect = SocketIo::to(endpoint).auth(auth).recorded_by(recording);
                let connect = if is_msgpack { connect.msgpack() } else { connect };
                Client::SocketIo(Box::pin(connect.connect()).await?)
            }
        };
        Ok(Self { client, journal })
    }

    /// Common part of the clients.
    pub(super) fn socket(&self) -> &Socket {
        match &self.client {
            Client::Native(native) => native,
            Client::SocketIo(socketio) => socketio,
        }
    }

    /// Sends a command, and returns the data of its answer.
    pub(super) async fn command(&self, name: &str, data: Value) -> Value {
        let channel = match &self.client {
            Client::Native(_) => Channel::Native,
            Client::SocketIo(_) => Channel::SocketIo,
        };
        self.journal.add(key(name), channel.payload(name, &data));
        let answer = match &self.client {
            Client::Native(native) => native.request(name, data).await.data,
            Client::SocketIo(socketio) => socketio.emit_with_ack(name, data).await,
        };
        let mut sent = self.journal.sent.lock().unwrap();
        sent.last_mut().unwrap().answer = answer.clone();
        answer
    }

    /// Sends a command that succeeds, and returns the data of its answer.
    pub(super) async fn done(&self, name: &str, data: Value) -> Value {
        let answer = self.command(name, data).await;
        assert_eq!(answer["success"], true, "{name}: {answer}");
        answer
    }

    /// Sends an event that there is not.
    pub(super) async fn emit(&self, name: &str) {
        match &self.client {
            Client::Native(native) => native.emit(name, json!({})).await,
            Client::SocketIo(socketio) => socketio.emit(name, json!({})).await,
        }
    }

    /// Receives events of a name until one has this value at a pointer.
    pub(super) async fn event(&self, name: &str, pointer: &str, expected: &Value) -> Value {
        loop {
            let data = self.socket().next_event(name).await.data;
            if data.pointer(pointer) == Some(expected) {
                return data;
            }
        }
    }
}
