//! Clients that know only the wire: independent implementations of the official dialects, and raw bytes for what no client
//! sends.

pub mod frame;
pub mod http;
pub mod native;
pub mod raw;
pub mod reconnecting;
pub mod recording;
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
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

pub use native::Native;
pub use raw::Wire;
pub use reconnecting::ReconnectingClient;
pub use recording::Recording;
pub use socketio::SocketIo;

use self::http::{Request, Response};
use crate::canary::Canaries;

/// TLS server with the trust of its clients.
#[derive(Clone, Debug)]
pub struct Endpoint {
    addr: SocketAddr,
    from: Option<IpAddr>,
    /// Bytes in front of TLS.
    header: Arc<[u8]>,
    tls: Arc<ClientConfig>,
    canaries: Canaries,
}

impl Endpoint {
    /// Server at `addr`, whose certificate must be valid for that IP address.
    pub fn new(addr: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        Self {
            addr,
            from: None,
            header: Arc::default(),
            tls,
            canaries: Canaries::default(),
        }
    }

    /// Records every secret that clients of this endpoint receive in this list.
    pub(crate) fn watched_by(mut self, canaries: &Canaries) -> Self {
        self.canaries = canaries.clone();
        self
    }

    /// Endpoint with the same trust at another address, such as a proxy's.
    pub fn at(&self, addr: SocketAddr) -> Self {
        Self { addr, ..self.clone() }
    }

    /// Endpoint for clients at another address of this machine, such as 127.0.0.2.
    pub fn with_source(&self, address: IpAddr) -> Self {
        Self {
            from: Some(address),
            ..self.clone()
        }
    }

    /// Endpoint whose connections begin with these bytes, in front of TLS: a PROXY header.
    pub fn with_header(&self, header: &[u8]) -> Self {
        Self {
            header: header.into(),
            ..self.clone()
        }
    }

    /// Endpoint with another client configuration of TLS.
    pub fn with_tls(&self, tls: Arc<ClientConfig>) -> Self {
        Self { tls, ..self.clone() }
    }

    /// Address of the server.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connects, and sends nothing.
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
        // Boxed, because clients are inline in the futures of whole tests.
        let mut stream = Box::pin(self.tcp()).await?;
        stream.write_all(&self.header).await?;
        let name = ServerName::from(self.addr.ip());
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        Ok(Wire::new(stream))
    }

    /// Sends one HTTP request on a connection of its own and reads the response.
    pub async fn http(&self, request: &Request) -> io::Result<Response> {
        self.open().await?.http(request).await
    }
}

/// Event from the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Name, such as `account:status_changed`.
    pub name: String,
    /// Data: on Socket.IO the first argument, without the `eventId`.
    pub data: Value,
    /// Id of the event: `eventId`, beside the data of a plain WebSocket and in that of Socket.IO.
    pub event_id: Option<String>,
    /// Offset in the user's event log; `None` where the server sent null.
    pub offset: Option<String>,
    /// All arguments on Socket.IO, the data without the `eventId` and the offset included; on a plain WebSocket only the data.
    pub arguments: Vec<Value>,
    /// Id: of the request that it answers, or on Socket.IO of the requested ack.
    pub id: Option<u64>,
}

/// End of a connection, with the codes of RFC 6455 section 7.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Code of the Close frame; 1005 when it had none, 1006 when the connection ended without a Close frame.
    pub code: u16,
    /// Reason in the Close frame.
    pub reason: String,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closed with {} {:?}", self.code, self.reason)
    }
}

/// Failure to connect.
#[derive(Debug)]
pub enum Refused {
    /// TLS failed, or the connection broke before a response.
    Unreachable(io::Error),
    /// The response to the upgrade was not 101.
    Http(Response),
    /// The server sent an error.
    Answered {
        /// Data of Socket.IO's `CONNECT_ERROR` or of the `error` frame.
        data: Value,
        /// Close by the server; `None` where the official client closes by itself, as on Socket.IO.
        closed: Option<Closed>,
    },
    /// The connection was closed before authentication.
    Closed(Closed),
}

impl Refused {
    /// HTTP status of a refused upgrade; `None` for other failures.
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
