//! Clients that know the wire only: official dialects written down a second time, and bytes for what no client sends.

pub mod frame;
pub mod http;
pub mod native;
pub mod raw;
pub mod reconnecting;
pub mod socket;
pub mod socketio;

mod inbox;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

pub use native::Native;
pub use raw::Wire;
pub use reconnecting::ReconnectingClient;
pub use socketio::SocketIo;

use self::http::{Request, Response};
use crate::canary::Canaries;

/// A TLS server to knock at: where it listens, and whom the client trusts.
#[derive(Clone, Debug)]
pub struct Endpoint {
    addr: SocketAddr,
    from: Option<IpAddr>,
    tls: Arc<ClientConfig>,
    canaries: Canaries,
}

impl Endpoint {
    /// A server at `addr`, whose certificate must be valid for that IP address.
    pub fn new(addr: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        Self {
            addr,
            from: None,
            tls,
            canaries: Canaries::default(),
        }
    }

    /// Adds every secret that clients of this door are told to this list.
    pub(crate) fn watched_by(mut self, canaries: &Canaries) -> Self {
        self.canaries = canaries.clone();
        self
    }

    /// The same trust at another address, as that of a proxy.
    pub fn at(&self, addr: SocketAddr) -> Self {
        Self { addr, ..self.clone() }
    }

    /// The same server for clients at another address of this machine, as 127.0.0.2.
    pub fn with_source(&self, address: IpAddr) -> Self {
        Self {
            from: Some(address),
            ..self.clone()
        }
    }

    /// The same server with another client configuration of TLS.
    pub fn with_tls(&self, tls: Arc<ClientConfig>) -> Self {
        Self { tls, ..self.clone() }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connects, and says nothing.
    pub async fn tcp(&self) -> io::Result<TcpStream> {
        let socket = match self.addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(from) = self.from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(self.addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Connects and does the TLS handshake.
    pub async fn open(&self) -> io::Result<Wire> {
        // Boxed: clients are inline in the futures of whole tests.
        let stream = Box::pin(self.tcp()).await?;
        let name = ServerName::from(self.addr.ip());
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        Ok(Wire::new(stream))
    }

    /// Sends one HTTP request on a connection of its own and reads the answer.
    pub async fn http(&self, request: &Request) -> io::Result<Response> {
        self.open().await?.http(request).await
    }
}

/// One event from the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The event's name, as `account:status_changed`.
    pub name: String,
    /// Its data: on Socket.IO the first argument.
    pub data: Value,
    /// Its place in the user's order; none where the server sent null.
    pub offset: Option<String>,
    /// All arguments on Socket.IO, the offset among them; on a plain WebSocket only the data.
    pub arguments: Vec<Value>,
    /// The id it carried: of the request it answers, or on Socket.IO of the ack it asks for.
    pub id: Option<u64>,
}

/// How a connection ended, with the codes of RFC 6455 section 7.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The code of the Close frame; 1005 when it had none, 1006 when the connection ended without a Close frame.
    pub code: u16,
    /// The reason in the Close frame.
    pub reason: String,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closed with {} {:?}", self.code, self.reason)
    }
}

/// Why a client was not let in.
#[derive(Debug)]
pub enum Refused {
    /// No TLS connection came about, or it broke before an answer.
    Unreachable(io::Error),
    /// The upgrade was answered with something other than 101.
    Http(Response),
    /// The server said why.
    Answered {
        /// The data of Socket.IO's `CONNECT_ERROR` or of the `error` frame.
        data: Value,
        /// How the server then closed; none where the official client closes by itself, as on Socket.IO.
        closed: Option<Closed>,
    },
    /// The connection was closed before the client was let in.
    Closed(Closed),
}

impl Refused {
    /// The HTTP status of a refused upgrade; none for the other ways.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http(response) => Some(response.status),
            _ => None,
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "no connection: {error}"),
            Self::Http(response) => write!(f, "HTTP {}: {}", response.status, response.text()),
            Self::Answered { data, .. } => write!(f, "refused: {data}"),
            Self::Closed(closed) => closed.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}
