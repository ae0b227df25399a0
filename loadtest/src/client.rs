//! One Socket.IO client, as small as it goes: connects, answers pings, notices when it is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Where to connect and whom to trust.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Target {
    /// A gateway on a loopback address, whose certificate the authority in `ca` has signed.
    pub(crate) fn new(address: SocketAddr, ca: &std::path::Path) -> anyhow::Result<Self> {
        if !address.ip().is_loopback() {
            bail!("{address} is not a loopback address: load goes nowhere else");
        }
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).context("read the CA")? {
            roots.add(certificate?)?;
        }
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Connects and authenticates: TLS, WebSocket, Engine.IO, Socket.IO.
    pub(crate) async fn connect(&self, token: &str) -> anyhow::Result<Client> {
        timeout(PATIENCE, Box::pin(self.connect_now(token)))
            .await
            .context("no answer in time")?
    }

    async fn connect_now(&self, token: &str) -> anyhow::Result<Client> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(ServerName::from(self.address.ip()), tcp).await?;
        let url = format!("wss://{}/socket.io/?EIO=4&transport=websocket", self.address);
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let (mut socket, _) = tokio_tungstenite::client_async_with_config(url, tls, Some(config)).await?;
        expect(&mut socket, "0{").await?;
        socket
            .send(Message::text(format!(r#"40{{"token":"{token}"}}"#)))
            .await?;
        expect(&mut socket, "40{").await?;
        Ok(Client { socket })
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

/// A live socket.
pub(crate) struct Client {
    socket: WebSocketStream<TlsStream<TcpStream>>,
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
}

async fn expect(socket: &mut WebSocketStream<TlsStream<TcpStream>>, start: &str) -> anyhow::Result<()> {
    let message = socket.next().await.context("closed before it was live")??;
    let text = message.to_text()?;
    if !text.starts_with(start) {
        bail!("{start} was expected, not {text}");
    }
    Ok(())
}
