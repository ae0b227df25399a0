//! HTTP/1.1 requests and responses over any stream, one per connection except on a [`KeptAlive`].

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::fail::{OrFail as _, fail};
use crate::wait;

/// Request, sent without any check.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Request with any method. `path` includes the query. The connection ends after the response unless a header says
    /// otherwise.
    pub fn new(method: &str, path: &str) -> Self {
        let headers = vec![("Host".to_owned(), "localhost".to_owned())];
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: Vec::new(),
        }
    }

    /// GET request.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// POST request with a JSON body.
    pub fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path)
            .header("Content-Type", "application/json")
            .body(body.to_string())
    }

    /// Opening handshake of a WebSocket (RFC 6455 section 4.1).
    pub fn upgrade(path: &str) -> Self {
        Self::get(path)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", WEBSOCKET_KEY)
    }

    /// Adds a header, also beside one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Adds `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Adds a body and its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.without("Content-Length").header("Content-Length", &length)
    }

    /// Bytes of the request.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").or_fail("write a request");
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn asks_for_upgrade(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Upgrade"))
    }
}

/// Response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// Value of a header, empty when it is missing or not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Body as JSON; fails the test when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| fail("read a JSON answer", format_args!("{error} in {:?}", self.text())))
    }
}

/// Sends a request to a server without TLS, such as the internal listener, and reads the response.
pub async fn plain(server: SocketAddr, request: &Request) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server).await?;
    exchange(&mut stream, &mut Vec::new(), request).await
}

/// Connection without TLS that is kept open between requests.
#[derive(Debug)]
pub struct KeptAlive {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl KeptAlive {
    /// Connects to a server, such as the internal listener.
    pub async fn connect(server: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(server).await?,
            unread: Vec::new(),
        })
    }

    /// Connects to a server from this address of the machine.
    pub async fn connect_from(source: IpAddr, server: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        Ok(Self {
            stream: socket.connect(server).await?,
            unread: Vec::new(),
        })
    }

    /// Sends a request and reads the response.
    pub async fn send(&mut self, request: &Request) -> io::Result<Response> {
        let answer = send(&mut self.stream, &mut self.unread, request);
        tokio::time::timeout(wait::deadline(), answer).await?
    }

    /// Reports whether the server closes the connection, within the deadline of tests.
    pub async fn is_closed(&mut self) -> bool {
        let more = read_some(&mut self.stream, &mut self.unread);
        matches!(tokio::time::timeout(wait::deadline(), more).await, Ok(Err(_)))
    }
}

/// Sends a request and reads the response. Bytes after it, such as the first ones of an upgraded connection, are left in
/// `unread`.
pub(super) async fn exchange<S>(stream: &mut S, unread: &mut Vec<u8>, request: &Request) -> io::Result<Response>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = match request.asks_for_upgrade() {
        true => request.clone(),
        false => request.clone().header("Connection", "close"),
    };
    tokio::time::timeout(wait::deadline(), send(stream, unread, &request)).await?
}

async fn send<S>(stream: &mut S, unread: &mut Vec<u8>, request: &Request) -> io::Result<Response>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&request.bytes()).await?;
    stream.flush().await?;
    read_response(stream, unread, request.method != "HEAD").await
}

/// Reads the response to a HEAD request, which has a head only (RFC 9110 section 9.3.2).
async fn read_response<S: AsyncRead + Unpin>(
    stream: &mut S,
    unread: &mut Vec<u8>,
    has_body: bool,
) -> io::Result<Response> {
    let head = read_until(stream, unread, b"\r\n\r\n").await?;
    let (status, headers) = parse_head(&head).ok_or(io::ErrorKind::InvalidData)?;
    let mut response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    let length = response.header("content-length").parse().ok();
    let chunked = response.header("transfer-encoding").eq_ignore_ascii_case("chunked");
    response.body = match length {
        // RFC 9110 section 8.6: these never have a body.
        _ if !has_body || status < 200 || status == 204 || status == 304 => Vec::new(),
        _ if chunked => read_chunks(stream, unread).await?,
        Some(length) => read_exactly(stream, unread, length).await?,
        None => {
            stream.read_to_end(unread).await?;
            std::mem::take(unread)
        }
    };
    Ok(response)
}

/// Status and headers of a response's head.
fn parse_head(head: &[u8]) -> Option<(u16, HeaderMap)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value.trim()).ok()?,
        );
    }
    Some((status, headers))
}

/// Chunked body (RFC 9112 section 7.1); trailers are not expected.
async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S, unread: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_until(stream, unread, b"\r\n").await?;
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        body.extend(read_exactly(stream, unread, size).await?);
        read_exactly(stream, unread, b"\r\n".len()).await?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Bytes up to and including `end`.
async fn read_until<S: AsyncRead + Unpin>(stream: &mut S, unread: &mut Vec<u8>, end: &[u8]) -> io::Result<Vec<u8>> {
    loop {
        if let Some(at) = unread.windows(end.len()).position(|window| window == end) {
            return read_exactly(stream, unread, at + end.len()).await;
        }
        read_some(stream, unread).await?;
    }
}

async fn read_exactly<S: AsyncRead + Unpin>(stream: &mut S, unread: &mut Vec<u8>, size: usize) -> io::Result<Vec<u8>> {
    while unread.len() < size {
        read_some(stream, unread).await?;
    }
    Ok(unread.drain(..size).collect())
}

pub(super) async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, unread: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(unread).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Sample key of RFC 6455 section 1.3. A test needs no other: the key only keeps caches from responding.
pub(super) const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Name of the header with the subprotocols.
pub(super) const SUBPROTOCOL: HeaderName = header::SEC_WEBSOCKET_PROTOCOL;
