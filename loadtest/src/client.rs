//! A minimal Socket.IO client: connects, answers pings, detects its close.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use flate2::{Compress, Compression, FlushCompress};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

use crate::address::Address;

/// Address and trusted authority of a gateway.
#[derive(Clone)]
pub(crate) struct Target {
    address: Address,
    name: ServerName<'static>,
    tls: TlsConnector,
    deflate: bool,
}

impl Target {
    /// A gateway on a loopback address, whose certificate the authority in `ca` has signed.
    /// With `deflate` each client negotiates compression and sends one compressed message first.
    pub(crate) fn new(address: SocketAddr, ca: &Path, deflate: bool) -> anyhow::Result<Self> {
        let address = Address::parse(&address.to_string())?;
        Self::at(address.on_loopback()?, ca, deflate)
    }

    /// Gateways at an address whose owner has asked for the load.
    pub(crate) fn at(address: Address, ca: &Path, deflate: bool) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).context("read the CA")? {
            roots.add(certificate?)?;
        }
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            name: ServerName::try_from(address.host.clone())?,
            address,
            tls: TlsConnector::from(Arc::new(config)),
            deflate,
        })
    }

    /// Connects and authenticates: TLS, WebSocket, Engine.IO, Socket.IO.
    pub(crate) async fn connect(&self, token: &str) -> anyhow::Result<Client> {
        self.connect_with(&json!({ "token": token })).await
    }

    /// Connects with these data of CONNECT, such as `pid` and `offset` of a lost connection.
    pub(crate) async fn connect_with(&self, auth: &Value) -> anyhow::Result<Client> {
        timeout(PATIENCE, Box::pin(self.connect_now(auth)))
            .await
            .context("no answer in time")?
    }

    async fn connect_now(&self, auth: &Value) -> anyhow::Result<Client> {
        let tcp = self.address.connect().await?;
        let tls = self.tls.connect(self.name.clone(), tcp).await?;
        let url = format!("wss://{}/socket.io/?EIO=4&transport=websocket", self.address);
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let mut request = url.into_client_request()?;
        if self.deflate {
            let offer = HeaderValue::from_static("permessage-deflate; client_max_window_bits");
            request.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, offer);
        }
        let handshake = tokio_tungstenite::client_async_with_config(request, tls, Some(config));
        let (mut socket, _) = Box::pin(handshake).await?;
        expect(&mut socket, "0{").await?;
        socket.send(Message::text(format!("40{auth}"))).await?;
        let answer = expect(&mut socket, "40{").await?;
        let answer: Value = serde_json::from_str(answer.get(2..).unwrap_or_default())?;
        if self.deflate {
            let long = format!(r#"420["account:teleport",{{"padding":"{}"}}]"#, "x".repeat(LONG));
            socket.send(compressed(long.as_bytes())?).await?;
            expect(&mut socket, "430[").await?;
        }
        Ok(Client {
            socket,
            pid: answer.get("pid").and_then(Value::as_str).map(str::to_owned),
            last: None,
        })
    }
}

/// A compressed message (RFC 7692).
fn compressed(message: &[u8]) -> anyhow::Result<Message> {
    let mut payload = Vec::with_capacity(message.len() + 1024);
    let mut stream = Compress::new(Compression::fast(), false);
    stream.compress_vec(message, &mut payload, FlushCompress::Sync)?;
    payload.truncate(payload.len().saturating_sub(4));
    let header = FrameHeader {
        rsv1: true,
        opcode: OpCode::Data(Data::Text),
        mask: Some([0; 4]),
        ..FrameHeader::default()
    };
    Ok(Message::Frame(Frame::from_payload(header, payload.into())))
}

/// Length of the compressed message, in bytes.
const LONG: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A live socket.
pub(crate) struct Client {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    /// Resume token of connection state recovery.
    pub(crate) pid: Option<String>,
    /// Offset of the last event received.
    last: Option<u64>,
}

impl Client {
    /// Answers pings until the server closes the socket.
    pub(crate) async fn stay(mut self) -> anyhow::Result<()> {
        while let Some(message) = self.socket.next().await {
            if message?.to_text().is_ok_and(|text| text == "2") {
                self.socket.send(Message::text("3")).await?;
            }
        }
        Ok(())
    }

    /// Receives the next event, and returns its text after `marker`. It must follow the previous one.
    pub(crate) async fn receive(&mut self, marker: &str) -> anyhow::Result<String> {
        loop {
            let message = self.socket.next().await.context("the socket ended")??;
            let text = message.to_text()?;
            if text == "2" {
                self.socket.send(Message::text("3")).await?;
                continue;
            }
            let (_, rest) = text
                .split_once(marker)
                .with_context(|| format!("not expected: {text}"))?;
            // A packet ends in `,"<epoch>-<seq>"]`.
            let seq: u64 = text
                .rsplit_once('-')
                .context("no offset")?
                .1
                .trim_end_matches("\"]")
                .parse()?;
            if self.last.is_some_and(|last| last + 1 != seq) {
                bail!("event {seq} came after {:?}", self.last);
            }
            self.last = Some(seq);
            return Ok(rest.to_owned());
        }
    }

    /// Receives the next event: its name, its data, and its offset if it has one. Answers pings meanwhile.
    pub(crate) async fn next_event(&mut self) -> anyhow::Result<(String, Value, Option<String>)> {
        loop {
            let message = match self.socket.next().await.context("the connection ended")?? {
                Message::Close(Some(frame)) => bail!("closed with {} {:?}", frame.code, frame.reason.as_str()),
                message => message,
            };
            match message.to_text()? {
                "2" => self.socket.send(Message::text("3")).await?,
                "41" => bail!("the server disconnected the client"),
                text => {
                    if let Some(event) = text.strip_prefix("42") {
                        let (name, data, offset) = event_of(event).with_context(|| format!("not expected: {text}"))?;
                        return Ok((name, data, offset));
                    }
                }
            }
        }
    }

    /// Closes the connection and waits for the server's Close frame.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.socket.close(None).await?;
        timeout(PATIENCE, self.end()).await.context("the server did not close")
    }

    /// Reads until the connection has ended.
    pub(crate) async fn end(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

async fn expect(socket: &mut WebSocketStream<TlsStream<TcpStream>>, start: &str) -> anyhow::Result<String> {
    let message = socket.next().await.context("closed before it was live")??;
    let text = message.to_text()?;
    if !text.starts_with(start) {
        bail!("{start} was expected, not {text}");
    }
    Ok(text.to_owned())
}

/// Name, data and offset of an event packet.
fn event_of(packet: &str) -> Option<(String, Value, Option<String>)> {
    let arguments: Vec<Value> = serde_json::from_str(packet).ok()?;
    let mut arguments = arguments.into_iter();
    let name = arguments.next()?.as_str()?.to_owned();
    let data = arguments.next()?;
    let offset = arguments.next();
    Some((name, data, offset.and_then(|offset| offset.as_str().map(str::to_owned))))
}
