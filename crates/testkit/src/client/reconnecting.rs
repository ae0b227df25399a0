//! Clients that reconnect by themselves, as their libraries do: with a growing, jittered delay, to the server that the balancer
//! chooses, and with the resume token or offset of the last connection.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::socket::Socket;
use super::{Closed, Endpoint, Event, Native, Refused, SocketIo};
use crate::chaos::SeededRng;

/// Client that reconnects after every loss. Its drop ends the connection without a Close frame.
#[derive(Debug)]
pub struct ReconnectingClient {
    _task: JoinSet<()>,
}

/// Library and encoding of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientLibrary {
    /// Official Socket.IO client with connection state recovery.
    SocketIo,
    /// Official client with socket.io-msgpack-parser.
    SocketIoMsgpack,
    /// Plain WebSocket that keeps the resume token and the last offset, as docs/clients.md specifies.
    Native,
    /// Plain WebSocket with MessagePack.
    NativeMsgpack,
}

impl ClientLibrary {
    /// All libraries.
    pub const ALL: [Self; 4] = [Self::SocketIo, Self::SocketIoMsgpack, Self::Native, Self::NativeMsgpack];

    fn is_socketio(self) -> bool {
        matches!(self, Self::SocketIo | Self::SocketIoMsgpack)
    }
}

/// Notification to a client's application, in sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// The client is connected.
    Connected {
        /// True if no event was missed: `socket.recovered`, or `recovered` of `ready`.
        recovered: bool,
        /// Resume token: `pid`, or `resumeToken` of `ready`.
        resume_token: String,
    },
    /// Event, including `resync`.
    Received(Event),
    /// An attempt to connect failed, or the connection ended; the client will reconnect.
    Disconnected(String),
    /// The server ended the connection for good; the client does not reconnect.
    Stopped(String),
}

/// Server of an attempt, as a load balancer chooses it; `None` while there is none.
pub type Route = dyn Fn(&mut SeededRng) -> Option<Endpoint> + Send + Sync;

impl ReconnectingClient {
    /// Connects with this token, and again whenever the connection is lost. Each notification goes to `notify`.
    pub fn start(
        library: ClientLibrary,
        token: String,
        route: Arc<Route>,
        rng: SeededRng,
        notify: impl FnMut(ClientEvent) + Send + 'static,
    ) -> Self {
        let client = Client {
            library,
            token,
            route,
            rng,
            notify,
            resume_token: None,
            offset: None,
        };
        let mut task = JoinSet::new();
        task.spawn(client.run());
        Self { _task: task }
    }
}

struct Client<T> {
    library: ClientLibrary,
    token: String,
    route: Arc<Route>,
    rng: SeededRng,
    notify: T,
    /// Resume token: `pid`, or `resumeToken` of `ready`.
    resume_token: Option<String>,
    /// Offset of the last event that had one.
    offset: Option<String>,
}

impl<T: FnMut(ClientEvent) + Send> Client<T> {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let disconnected = match self.connect().await {
                Ok(connection) => {
                    failures = 0;
                    self.serve(&connection).await
                }
                Err(disconnected) => disconnected,
            };
            if disconnected.is_final {
                return (self.notify)(ClientEvent::Stopped(disconnected.why));
            }
            let hint = hinted(&disconnected.why);
            (self.notify)(ClientEvent::Disconnected(disconnected.why));
            self.wait(failures, hint).await;
            failures += 1;
        }
    }

    async fn connect(&mut self) -> Result<LibraryConnection, Disconnected> {
        let Some(endpoint) = (self.route)(&mut self.rng) else {
            return Err(Disconnected::for_now("no server"));
        };
        match timeout(ATTEMPT_TIMEOUT, self.connect_to(&endpoint)).await {
            Ok(Ok(connection)) => {
                self.joined(&connection);
                Ok(connection)
            }
            Ok(Err(refused)) => Err(Disconnected::after_refusal(&refused, self.library)),
            Err(_too_long) => Err(Disconnected::for_now("no answer")),
        }
    }

    async fn connect_to(&mut self, endpoint: &Endpoint) -> Result<LibraryConnection, Refused> {
        let mut auth = Map::from_iter([("token".to_owned(), json!(self.token))]);
        match (&self.resume_token, self.library.is_socketio()) {
            (None, _) => {}
            (Some(resume_token), true) => {
                auth.insert("pid".to_owned(), json!(resume_token));
                // Omitted before the first event, as JSON.stringify omits undefined values.
                auth.extend(self.offset.as_ref().map(|offset| ("offset".to_owned(), json!(offset))));
            }
            (Some(resume_token), false) => {
                let resume = json!({ "resumeToken": resume_token, "offset": self.offset });
                auth.insert("resume".to_owned(), resume);
            }
        }
        let auth = Value::Object(auth);
        Ok(match self.library {
            ClientLibrary::SocketIo => LibraryConnection::SocketIo(SocketIo::to(endpoint).auth(auth).connect().await?),
            ClientLibrary::SocketIoMsgpack => {
                LibraryConnection::SocketIo(SocketIo::to(endpoint).msgpack().auth(auth).connect().await?)
            }
            ClientLibrary::Native => LibraryConnection::Native(Native::to(endpoint).auth(auth).connect().await?),
            ClientLibrary::NativeMsgpack => {
                LibraryConnection::Native(Native::to(endpoint).msgpack().auth(auth).connect().await?)
            }
        })
    }

    /// Updates the resume state by the rules of each library.
    fn joined(&mut self, connection: &LibraryConnection) {
        let (resume_token, recovered) = match connection {
            LibraryConnection::SocketIo(socket) => {
                let resume_token = text(&socket.connect_answer(), "pid");
                // The official client uses only this, and keeps its offset in every case.
                let recovered = resume_token.is_some() && resume_token == self.resume_token;
                (resume_token, recovered)
            }
            LibraryConnection::Native(socket) => {
                let ready = socket.ready();
                let recovered = ready.get("recovered") == Some(&Value::Bool(true));
                if !recovered || self.offset.is_none() {
                    self.offset = text(&ready, "offset");
                }
                (text(&ready, "resumeToken"), recovered)
            }
        };
        self.resume_token.clone_from(&resume_token);
        let resume_token = resume_token.unwrap_or_default();
        (self.notify)(ClientEvent::Connected {
            recovered,
            resume_token,
        });
    }

    /// Receives events until the connection has ended.
    async fn serve(&mut self, connection: &LibraryConnection) -> Disconnected {
        loop {
            match connection.socket().next_or_end().await {
                Ok(event) => {
                    let offset = event.offset.clone();
                    (self.notify)(ClientEvent::Received(event));
                    // The offset changes after the listeners have run.
                    self.offset = offset.or(self.offset.take());
                }
                Err(closed) => return Disconnected::after_close(&closed, connection),
            }
        }
    }

    /// Delay of the official client: a second at first, doubled each time up to five, jittered by half; or the server's
    /// `retryAfter`.
    async fn wait(&mut self, failures: u32, hint: Option<Duration>) {
        let base = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(failures));
        let drawn = (base / 2).min(LONGEST_DELAY)..(base + base / 2).min(LONGEST_DELAY);
        self.rng.pause(hint.map_or(drawn, |hint| hint..hint)).await;
    }
}

enum LibraryConnection {
    SocketIo(SocketIo),
    Native(Native),
}

impl LibraryConnection {
    fn socket(&self) -> &Socket {
        match self {
            Self::SocketIo(socket) => socket,
            Self::Native(socket) => socket,
        }
    }
}

/// Reason of a lost or failed connection.
struct Disconnected {
    why: String,
    /// True if the client must not reconnect by itself.
    is_final: bool,
}

impl Disconnected {
    fn for_now(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_final: false,
        }
    }

    /// `CONNECT_ERROR` stops the official client until its application acts; the codes below do not ask for a reconnect either.
    fn after_refusal(refused: &Refused, library: ClientLibrary) -> Self {
        let is_final = match refused {
            Refused::Answered { closed: None, .. } => library.is_socketio(),
            Refused::Answered {
                closed: Some(closed), ..
            }
            | Refused::Closed(closed) => is_final(closed),
            Refused::Unreachable(_) | Refused::Http(_) => false,
        };
        Self {
            why: format!("{refused:?}"),
            is_final,
        }
    }

    /// The official client decides by `41`, others by the close code.
    fn after_close(closed: &Closed, connection: &LibraryConnection) -> Self {
        Self {
            why: closed.to_string(),
            is_final: match connection {
                LibraryConnection::SocketIo(socket) => socket.received_disconnect(),
                LibraryConnection::Native(_) => is_final(closed),
            },
        }
    }
}

/// Reports whether this close code forbids a reconnect.
fn is_final(closed: &Closed) -> bool {
    [1009, 4400, 4401, 4403].contains(&closed.code)
}

/// Wait that the server asks for.
fn hinted(why: &str) -> Option<Duration> {
    let (_, sleep) = why.split_once("reconnect-after-ms=")?;
    let digits = sleep.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_millis)
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

/// Defaults of socket.io-client.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// Timeout of an attempt, socket.io-client's default.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
