//! Clients that come back by themselves, as their libraries do: with a delay that grows and is drawn at random, to whichever
//! server they are led to, and to the place that they left.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::socket::Socket;
use super::{Closed, Endpoint, Event, Native, Refused, SocketIo};
use crate::chaos::SeededRng;

/// A client that stays connected as well as it can. Dropping it ends its connection without a goodbye.
#[derive(Debug)]
pub struct ReconnectingClient {
    _task: JoinSet<()>,
}

/// Which library a client is, and how it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientLibrary {
    /// The official Socket.IO client with connection state recovery.
    SocketIo,
    /// The same with socket.io-msgpack-parser.
    SocketIoMsgpack,
    /// A plain WebSocket that keeps `session` and the last offset, as docs/clients.md says.
    Native,
    /// The same with MessagePack.
    NativeMsgpack,
}

impl ClientLibrary {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SocketIo, Self::SocketIoMsgpack, Self::Native, Self::NativeMsgpack];

    fn is_socketio(self) -> bool {
        matches!(self, Self::SocketIo | Self::SocketIoMsgpack)
    }
}

/// What a client's application is told, in the order in which it is.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// The client is connected.
    Connected {
        /// Whether it was told that it missed nothing: `socket.recovered`, or `recovered` of `ready`.
        recovered: bool,
        /// Its place: `pid`, or `resumeToken` of `ready`.
        place: String,
    },
    /// An event, `resync` among them.
    Received(Event),
    /// An attempt to connect failed, or the connection ended; the client will be back.
    Disconnected(String),
    /// The client was told to stay away, and does.
    Stopped(String),
}

/// Which server an attempt goes to, as a load balancer decides; none while there is none.
pub type Route = dyn Fn(&mut SeededRng) -> Option<Endpoint> + Send + Sync;

impl ReconnectingClient {
    /// Connects with this token, and again whenever the connection is lost. Each moment is told to `tell`.
    pub fn start(
        library: ClientLibrary,
        token: String,
        route: Arc<Route>,
        rng: SeededRng,
        tell: impl FnMut(ClientEvent) + Send + 'static,
    ) -> Self {
        let client = Client {
            library,
            token,
            route,
            rng,
            tell,
            place: None,
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
    tell: T,
    /// `pid`, or `session`.
    place: Option<String>,
    /// That of the last event that had one.
    offset: Option<String>,
}

impl<T: FnMut(ClientEvent) + Send> Client<T> {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let away = match self.connect().await {
                Ok(connection) => {
                    failures = 0;
                    self.serve(&connection).await
                }
                Err(away) => away,
            };
            if away.is_final {
                return (self.tell)(ClientEvent::Stopped(away.why));
            }
            let hint = hinted(&away.why);
            (self.tell)(ClientEvent::Disconnected(away.why));
            self.wait(failures, hint).await;
            failures += 1;
        }
    }

    async fn connect(&mut self) -> Result<Connection, Disconnected> {
        let Some(endpoint) = (self.route)(&mut self.rng) else {
            return Err(Disconnected::for_now("no server"));
        };
        match timeout(PATIENCE, self.connect_to(&endpoint)).await {
            Ok(Ok(connection)) => {
                self.joined(&connection);
                Ok(connection)
            }
            Ok(Err(refused)) => Err(Disconnected::after_refusal(&refused, self.library)),
            Err(_too_long) => Err(Disconnected::for_now("no answer")),
        }
    }

    async fn connect_to(&mut self, endpoint: &Endpoint) -> Result<Connection, Refused> {
        let mut auth = Map::from_iter([("token".to_owned(), json!(self.token))]);
        match (&self.place, self.library.is_socketio()) {
            (None, _) => {}
            (Some(place), true) => {
                auth.insert("pid".to_owned(), json!(place));
                // Left out before the first event, as JSON.stringify leaves out what is undefined.
                auth.extend(self.offset.as_ref().map(|offset| ("offset".to_owned(), json!(offset))));
            }
            (Some(place), false) => {
                let resume = json!({ "resumeToken": place, "offset": self.offset });
                auth.insert("resume".to_owned(), resume);
            }
        }
        let auth = Value::Object(auth);
        Ok(match self.library {
            ClientLibrary::SocketIo => Connection::SocketIo(SocketIo::to(endpoint).auth(auth).connect().await?),
            ClientLibrary::SocketIoMsgpack => {
                Connection::SocketIo(SocketIo::to(endpoint).msgpack().auth(auth).connect().await?)
            }
            ClientLibrary::Native => Connection::Native(Native::to(endpoint).auth(auth).connect().await?),
            ClientLibrary::NativeMsgpack => {
                Connection::Native(Native::to(endpoint).msgpack().auth(auth).connect().await?)
            }
        })
    }

    /// Takes note of its place, by the rules of each library.
    fn joined(&mut self, connection: &Connection) {
        let (place, recovered) = match connection {
            Connection::SocketIo(socket) => {
                let place = text(&socket.connect_answer(), "pid");
                // The official client goes by this alone, and keeps its offset whatever comes.
                let recovered = place.is_some() && place == self.place;
                (place, recovered)
            }
            Connection::Native(socket) => {
                let ready = socket.ready();
                let recovered = ready.get("recovered") == Some(&Value::Bool(true));
                if !recovered || self.offset.is_none() {
                    self.offset = text(&ready, "offset");
                }
                (text(&ready, "resumeToken"), recovered)
            }
        };
        let told = place.clone().unwrap_or_default();
        self.place = place;
        (self.tell)(ClientEvent::Connected { recovered, place: told });
    }

    /// Hears events until the connection has ended.
    async fn serve(&mut self, connection: &Connection) -> Disconnected {
        loop {
            match connection.socket().next_or_end().await {
                Ok(event) => {
                    let offset = event.offset.clone();
                    (self.tell)(ClientEvent::Received(event));
                    // After the listeners have run.
                    self.offset = offset.or(self.offset.take());
                }
                Err(closed) => return Disconnected::after_close(&closed, connection),
            }
        }
    }

    /// As the official client waits: a second at first, twice as long each time up to five, half of it more or less; or as long as
    /// the server asked for.
    async fn wait(&mut self, failures: u32, hint: Option<Duration>) {
        let base = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(failures));
        let drawn = (base / 2).min(LONGEST_DELAY)..(base + base / 2).min(LONGEST_DELAY);
        self.rng.pause(hint.map_or(drawn, |hint| hint..hint)).await;
    }
}

enum Connection {
    SocketIo(SocketIo),
    Native(Native),
}

impl Connection {
    fn socket(&self) -> &Socket {
        match self {
            Self::SocketIo(socket) => socket,
            Self::Native(socket) => socket,
        }
    }
}

/// Why a client is not connected.
struct Disconnected {
    why: String,
    /// It must not come back by itself.
    is_final: bool,
}

impl Disconnected {
    fn for_now(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_final: false,
        }
    }

    /// `CONNECT_ERROR` stops the official client until its application acts; the codes below are no reason to come back either.
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

    /// The official client goes by `41`, others by the close code.
    fn after_close(closed: &Closed, connection: &Connection) -> Self {
        Self {
            why: closed.to_string(),
            is_final: match connection {
                Connection::SocketIo(socket) => socket.received_disconnect(),
                Connection::Native(_) => is_final(closed),
            },
        }
    }
}

/// Whether this close code asks for something other than coming back.
fn is_final(closed: &Closed) -> bool {
    [1009, 4400, 4401, 4403].contains(&closed.code)
}

/// How long the server asks to wait.
fn hinted(why: &str) -> Option<Duration> {
    let (_, sleep) = why.split_once("reconnect-after-ms=")?;
    let digits = sleep.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_millis)
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

/// The defaults of socket.io-client.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// An attempt that takes longer is given up, as socket.io-client does by default.
const PATIENCE: Duration = Duration::from_secs(20);
