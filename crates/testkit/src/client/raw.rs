//! TLS connection as bytes: for what no client library sends, and for clients that do not read.

use std::io;

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, HandshakeKind, NamedGroup, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::frame::Frame;
use super::http::{Request, Response, WEBSOCKET_KEY, exchange, read_some};
use super::{Closed, Refused};
use crate::fail::{OrFail as _, fail};
use crate::wait;

/// Connection to an [`Endpoint`](super::Endpoint). Nothing is read except on request, and nothing is answered automatically.
#[derive(Debug)]
pub struct Wire {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Certificate that the server presented, in DER.
    pub fn certificate(&self) -> Vec<u8> {
        let (_, tls) = self.stream.get_ref();
        let certificates = tls.peer_certificates().unwrap_or_default();
        certificates.first().or_fail("find the server's certificate").to_vec()
    }

    /// Group of the key exchange, and the kind of the handshake.
    pub fn key_exchange(&self) -> (NamedGroup, HandshakeKind) {
        let (_, tls) = self.stream.get_ref();
        let group = tls.negotiated_key_exchange_group();
        let kind = tls.handshake_kind();
        (
            group.or_fail("find the group of the key exchange").name(),
            kind.or_fail("find the kind of the handshake"),
        )
    }

    /// Sends bytes unchanged.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends a frame unchanged.
    pub async fn send_frame(&mut self, frame: &Frame) -> io::Result<()> {
        self.send(&frame.bytes()).await
    }

    /// Sends an HTTP request and reads the response.
    pub async fn http(&mut self, request: &Request) -> io::Result<Response> {
        exchange(&mut self.stream, &mut self.unread, request).await
    }

    /// Does the opening handshake of a WebSocket; after it both sides send frames.
    pub async fn upgrade(&mut self, request: &Request) -> Result<Response, Refused> {
        let response = self.http(request).await?;
        if response.status != 101 {
            return Err(Refused::Http(response));
        }
        let accept = response.header("sec-websocket-accept");
        if accept != derive_accept_key(WEBSOCKET_KEY.as_bytes()) {
            fail(
                "upgrade",
                format_args!("the server accepted with the wrong key {accept:?}"),
            );
        }
        Ok(response)
    }

    /// Next frame; `None` when the connection has ended in any way.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        let read = async {
            loop {
                if let Some(frame) = Frame::take(&mut self.unread) {
                    return Some(frame);
                }
                read_some(&mut self.stream, &mut self.unread).await.ok()?;
            }
        };
        let frame = tokio::time::timeout(wait::deadline(), read).await;
        frame.unwrap_or_else(|_| fail("read a frame", "none came, and the connection stayed open"))
    }

    /// Reads frames until the connection has ended, and returns its end; data frames are dropped.
    pub async fn closed(&mut self) -> Closed {
        let mut closed = Closed {
            code: 1006,
            reason: String::new(),
        };
        while let Some(frame) = self.next_frame().await {
            if let Some((code, reason)) = frame.close_code() {
                closed = Closed { code, reason };
            }
        }
        closed
    }

    /// Reads all bytes until the connection has ended in any way.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        // An end without TLS's close_notify is an error for the library and an ordinary end here.
        let end = tokio::time::timeout(wait::deadline(), self.stream.read_to_end(&mut self.unread)).await;
        if end.is_err() {
            fail("read to the end", "the connection stayed open");
        }
        std::mem::take(&mut self.unread)
    }

    /// Ends the connection with an RST.
    pub fn reset(self) {
        // Fails only for a connection that has already ended.
        drop(self.stream.get_ref().0.set_zero_linger());
    }

    /// Ends our half of the TCP connection and leaves the other open; `politely` sends TLS's `close_notify` first.
    pub async fn shutdown_write(&mut self, politely: bool) -> io::Result<()> {
        match politely {
            true => self.stream.shutdown().await,
            false => self.stream.get_mut().0.shutdown().await,
        }
    }

    /// Client side of the TLS session.
    pub fn tls(&self) -> &rustls::ClientConnection {
        self.stream.get_ref().1
    }

    /// Sends a TLS handshake message in a session whose handshake is complete, which no library does, and returns the TCP
    /// connection. The client's configuration must have `enable_secret_extraction`.
    pub async fn send_handshake_message(self, message: &[u8]) -> TcpStream {
        let (mut tcp, session) = self.stream.into_inner();
        let suite = session.negotiated_cipher_suite().and_then(|suite| suite.tls13());
        let suite = suite.unwrap_or_else(|| fail("send a handshake message", "the session is not of TLS 1.3"));
        let secrets = session
            .dangerous_extract_secrets()
            .or_fail("take the secrets of a session");
        let (sequence, secrets) = secrets.tx;
        let mut encrypter = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => suite.aead_alg.encrypter(key, iv),
            _ => fail("send a handshake message", "the session's cipher is unknown"),
        };
        let message = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(message),
        };
        let record = encrypter
            .encrypt(message, sequence)
            .or_fail("encrypt a handshake message");
        tcp.write_all(&record.encode())
            .await
            .or_fail("send a handshake message");
        tcp
    }

    /// Passes an upgraded connection to a WebSocket library.
    pub(super) async fn into_websocket(self) -> WebSocketStream<TlsStream<TcpStream>> {
        WebSocketStream::from_partially_read(self.stream, self.unread, Role::Client, None).await
    }
}
