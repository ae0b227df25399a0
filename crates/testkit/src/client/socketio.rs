//! Socket.IO client over WebSocket only (Engine.IO 4, Socket.IO 5), with the default or the msgpack parser.

mod packet;

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use self::packet::{Packet, PacketKind, Parser};
use super::http::Request;
use super::inbox::Inbox;
use super::recording::Recording;
use super::socket::Socket;
use super::{Endpoint, Event, Refused};
use crate::fail::OrFail as _;
use crate::wait;

/// Connected client of the namespace `/`. Its common part with other clients is [`Socket`].
#[derive(Debug)]
pub struct SocketIo {
    socket: Socket,
    parser: Parser,
    /// Next ack id. The official client starts at 0.
    next_ack: AtomicU64,
}

/// Options of a connection.
#[derive(Clone, Debug)]
pub struct SocketIoConnect {
    endpoint: Endpoint,
    request: Request,
    auth: Value,
    parser: Parser,
    answers_pings: bool,
    recording: Option<Recording>,
}

impl SocketIo {
    /// Connects with `auth: { token }` and the default parser.
    pub async fn connect(endpoint: &Endpoint, token: &str) -> Result<Self, Refused> {
        Self::to(endpoint).auth(json!({ "token": token })).connect().await
    }

    /// Builder of a connection with other options.
    pub fn to(endpoint: &Endpoint) -> SocketIoConnect {
        SocketIoConnect {
            endpoint: endpoint.clone(),
            request: Request::upgrade("/socket.io/?EIO=4&transport=websocket"),
            auth: Value::Null,
            parser: Parser::default(),
            answers_pings: true,
            recording: None,
        }
    }

    /// Emits an event without requesting an ack.
    pub async fn emit(&self, name: &str, data: Value) {
        self.send_packet(PacketKind::Event, None, json!([name, data])).await;
    }

    /// Emits an event and waits for its ack; returns the ack's first argument, null when it has none.
    pub async fn emit_with_ack(&self, name: &str, data: Value) -> Value {
        let id = self.next_ack.fetch_add(1, Ordering::Relaxed);
        self.send_packet(PacketKind::Event, Some(id), json!([name, data])).await;
        let what = format!("the ack of {name}");
        self.inbox
            .expect(&what, wait::deadline(), |content| content.answers.remove(&id))
            .await
            .data
    }

    /// Answer to CONNECT: `sid`, and `pid` where the session can be recovered.
    pub fn connect_answer(&self) -> Value {
        match &self.inbox.lock().admission {
            Some(Ok(answer)) => answer.clone(),
            _ => Value::Null,
        }
    }

    /// Open packet of Engine.IO: `sid`, `pingInterval`, `pingTimeout`, `maxPayload`, `upgrades`.
    pub async fn open_packet(&self) -> Value {
        self.inbox
            .expect("the open packet", wait::deadline(), |content| {
                content.open_packet.clone()
            })
            .await
    }

    /// Reports whether the server sent `41`, after which the official client does not reconnect by itself.
    pub fn received_disconnect(&self) -> bool {
        self.inbox.lock().disconnected
    }

    /// Disconnects as the official client's `disconnect()`: `41`, then the Close frame.
    pub async fn disconnect(&self) {
        self.send_packet(PacketKind::Disconnect, None, Value::Null).await;
        self.close().await;
    }

    async fn send_packet(&self, kind: PacketKind, id: Option<u64>, data: Value) {
        let packet = Packet { kind, id, data };
        match self.parser {
            Parser::Text => self.send_text(packet.text()).await,
            Parser::Msgpack => self.send_binary(packet.msgpack()).await,
        }
    }
}

impl Deref for SocketIo {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl SocketIoConnect {
    /// Auth object of CONNECT.
    #[must_use]
    pub fn auth(mut self, auth: Value) -> Self {
        self.auth = auth;
        self
    }

    /// Uses the msgpack parser.
    #[must_use]
    pub fn msgpack(mut self) -> Self {
        self.parser = Parser::Msgpack;
        self
    }

    /// Adds a header to the upgrade, such as `Origin`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Does not answer the server's heartbeats.
    #[must_use]
    pub fn ignoring_pings(mut self) -> Self {
        self.answers_pings = false;
        self
    }

    /// Records every received message.
    #[must_use]
    pub fn recorded_by(mut self, recording: &Recording) -> Self {
        self.recording = Some(recording.clone());
        self
    }

    /// Upgrades, sends CONNECT and waits for the answer.
    pub async fn connect(self) -> Result<SocketIo, Refused> {
        let auth = self.auth.clone();
        let client = self.open().await?;
        client.open_packet_or_end().await?;
        client.send_packet(PacketKind::Connect, None, auth).await;
        let answer = client.inbox.wait(|content| content.admission.clone());
        match tokio::time::timeout(wait::deadline(), answer)
            .await
            .or_fail("wait for the answer to CONNECT")
        {
            Ok(Ok(_)) => Ok(client),
            Ok(Err(data)) => Err(Refused::Answered { data, closed: None }),
            Err(closed) => Err(Refused::Closed(closed)),
        }
    }

    /// Only upgrades: CONNECT is not sent.
    pub async fn open(self) -> Result<SocketIo, Refused> {
        let mut wire = self.endpoint.open().await?;
        wire.upgrade(&self.request).await?;
        let (answers_pings, recording) = (self.answers_pings, self.recording);
        let receive = move |message: Message, inbox: &Inbox| {
            let answer = receive(&message, inbox, recording.as_ref());
            answer.filter(|_| answers_pings)
        };
        let socket = Socket::start(wire.into_websocket().await, self.endpoint.canaries.clone(), receive);
        Ok(SocketIo {
            socket,
            parser: self.parser,
            next_ack: AtomicU64::new(0),
        })
    }
}

impl SocketIo {
    /// The official client sends nothing before the open packet.
    async fn open_packet_or_end(&self) -> Result<(), Refused> {
        let opened = self.inbox.wait(|content| content.open_packet.is_some().then_some(()));
        let opened = tokio::time::timeout(wait::deadline(), opened)
            .await
            .or_fail("wait for the open packet");
        opened.map_err(Refused::Closed)
    }
}

/// Files one message; returns the pong for a ping.
fn receive(message: &Message, inbox: &Inbox, recording: Option<&Recording>) -> Option<Message> {
    let packet = match message {
        Message::Text(text) => match text.split_at_checked(1) {
            Some(("0", open)) => {
                inbox.change(|content| content.open_packet = serde_json::from_str(open).ok());
                return None;
            }
            Some(("2", _)) => {
                inbox.change(|content| content.pings += 1);
                return Some(Message::text("3"));
            }
            Some(("4", packet)) => Packet::from_text(packet),
            _ => None,
        },
        Message::Binary(bytes) => Packet::from_msgpack(bytes),
        _ => return None,
    };
    match packet {
        Some(packet) => {
            if let Some(recording) = recording {
                recording.add(packet.value());
            }
            file(packet, inbox);
        }
        None => {
            let data = format!("{message:?}").into();
            inbox.change(|content| content.events.push_back(event("(not understood)", vec![data], None)));
        }
    }
    None
}

fn file(packet: Packet, inbox: &Inbox) {
    let Packet { kind, id, data } = packet;
    inbox.record_secrets(&data);
    inbox.change(|content| match kind {
        PacketKind::Connect => content.admission = Some(Ok(data)),
        PacketKind::ConnectError => content.admission = Some(Err(data)),
        PacketKind::Disconnect => content.disconnected = true,
        PacketKind::Ack => {
            let arguments = arguments(data);
            content
                .answers
                .insert(id.unwrap_or_default(), event("ack", arguments, id));
        }
        PacketKind::Event => {
            let mut arguments = arguments(data);
            let name = if arguments.is_empty() {
                Value::Null
            } else {
                arguments.remove(0)
            };
            content
                .events
                .push_back(event(name.as_str().unwrap_or_default(), arguments, id));
        }
    });
}

fn arguments(data: Value) -> Vec<Value> {
    match data {
        Value::Array(arguments) => arguments,
        other => vec![other],
    }
}

/// The offset is the last argument where that is a text and not the data itself.
fn event(name: &str, mut arguments: Vec<Value>, id: Option<u64>) -> Event {
    let fields = arguments.first_mut().and_then(Value::as_object_mut);
    let event_id = fields.and_then(|fields| fields.remove("eventId"));
    let data = arguments.first().cloned().unwrap_or_default();
    let offset = arguments
        .get(1..)
        .and_then(<[Value]>::last)
        .and_then(Value::as_str)
        .map(str::to_owned);
    Event {
        name: name.to_owned(),
        data,
        offset,
        event_id: event_id.and_then(|id| id.as_str().map(str::to_owned)),
        arguments,
        id,
    }
}
