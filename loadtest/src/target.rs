//! Gateways to which sockets connect.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use futures_util::SinkExt;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup};
use serde_json::json;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::address::Address;
use crate::client::{Client, Socket, UNKNOWN_EVENT};
use crate::deflate::{self, FrameScanner};
use crate::dialect::{Auth, Connected, Dialect, Received};

/// Settings of a target.
#[derive(Clone, Debug)]
pub(crate) struct TargetSettings {
    /// Gateways: socket n connects to number n modulo their count, and after a loss to the next one.
    pub(crate) gateways: Vec<Address>,
    /// File of the authority that has signed their certificates, PEM.
    pub(crate) ca: PathBuf,
    pub(crate) dialect: Dialect,
    /// Key exchange of TLS; all of the provider if `None`.
    pub(crate) key_exchange: Option<KeyExchange>,
    /// Number of source addresses, from 127.0.0.2 on; the system chooses if 0.
    pub(crate) sources: u8,
    /// Negotiates compression; each client sends one compressed message first.
    pub(crate) deflate: bool,
}

/// Key exchange of TLS 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyExchange {
    /// X25519.
    X25519,
    /// X25519 and ML-KEM-768.
    X25519mlkem768,
}

/// Gateways and how to connect to them.
#[derive(Clone)]
pub(crate) struct Target {
    gateways: Vec<(Address, ServerName<'static>)>,
    tls: TlsConnector,
    dialect: Dialect,
    sources: u8,
    deflate: bool,
}

impl Target {
    /// Target of these settings.
    pub(crate) fn new(settings: TargetSettings) -> anyhow::Result<Self> {
        let named = |gateway: Address| anyhow::Ok((gateway.clone(), ServerName::try_from(gateway.host)?));
        let gateways: Vec<_> = settings
            .gateways
            .into_iter()
            .map(named)
            .collect::<anyhow::Result<_>>()?;
        if gateways.is_empty() {
            bail!("no gateway");
        }
        Ok(Self {
            gateways,
            tls: tls(&settings.ca, settings.key_exchange)?,
            dialect: settings.dialect,
            sources: settings.sources,
            deflate: settings.deflate,
        })
    }

    /// Dialect of its sockets.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Connects and authenticates socket `number`, or fails within 30 s. After `losses` losses and failures the socket has moved on by as
    /// many gateways.
    pub(crate) async fn connect(&self, number: usize, losses: usize, auth: &Auth) -> anyhow::Result<Client> {
        timeout(PATIENCE, Box::pin(self.connect_now(number, losses, auth)))
            .await
            .context("no answer in time")?
    }

    async fn connect_now(&self, number: usize, losses: usize, auth: &Auth) -> anyhow::Result<Client> {
        let gateway = self.gateways.get((number + losses) % self.gateways.len());
        let (address, name) = gateway.context("no gateway")?;
        let tcp = match self.source(number) {
            Some(source) => address.connect_from(source).await?,
            None => address.connect().await?,
        };
        let tls = FrameScanner::new(self.tls.connect(name.clone(), tcp).await?, self.deflate);
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let handshake = tokio_tungstenite::client_async_with_config(self.upgrade(address)?, tls, Some(config));
        let (mut socket, _) = Box::pin(handshake).await?;
        if self.dialect.server_opens() {
            next(&mut socket).await?;
        }
        socket.send(self.dialect.authenticate(auth)?).await?;
        let connected = self.connected(&mut socket).await?;
        if self.deflate {
            self.compress_once(&mut socket).await?;
        }
        Ok(Client::new(socket, self.dialect, connected.resume_token))
    }

    /// Address from which a socket connects.
    fn source(&self, number: usize) -> Option<Ipv4Addr> {
        let index = number.checked_rem(usize::from(self.sources))?;
        Some(Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(index).ok()?))
    }

    fn upgrade(&self, address: &Address) -> anyhow::Result<Request> {
        let mut request = format!("wss://{address}{}", self.dialect.path()).into_client_request()?;
        if let Some(protocol) = self.dialect.subprotocol() {
            let protocol = HeaderValue::from_static(protocol);
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if self.deflate {
            let offer =
                HeaderValue::from_static("permessage-deflate; server_no_context_takeover; client_max_window_bits");
            request.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, offer);
        }
        Ok(request)
    }

    async fn connected(&self, socket: &mut Socket) -> anyhow::Result<Connected> {
        loop {
            let message = next(socket).await?;
            if let Some(connected) = self.dialect.connected(&message)? {
                return Ok(connected);
            }
            if let Received::End(reason) = self.dialect.classify(&message) {
                bail!("refused: {reason}");
            }
        }
    }

    /// Sends a compressed request, and waits for its answer.
    async fn compress_once(&self, socket: &mut Socket) -> anyhow::Result<()> {
        let padding = json!({ "padding": "x".repeat(LONG) });
        let request = self.dialect.request(UNKNOWN_EVENT, &padding, 0)?;
        socket.send(deflate::compressed(request)?).await?;
        loop {
            let message = next(socket).await?;
            match self.dialect.classify(&message) {
                Received::Answer(0) => return Ok(()),
                Received::End(reason) => bail!("refused: {reason}"),
                _ => {}
            }
        }
    }
}

async fn next(socket: &mut Socket) -> anyhow::Result<Message> {
    deflate::receive(socket).await?.context("closed before it was live")
}

/// Every handshake is a full one, as that of a new client.
fn tls(ca: &Path, key_exchange: Option<KeyExchange>) -> anyhow::Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).context("read the CA")? {
        roots.add(certificate?)?;
    }
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if let Some(key_exchange) = key_exchange {
        let name = match key_exchange {
            KeyExchange::X25519 => NamedGroup::X25519,
            KeyExchange::X25519mlkem768 => NamedGroup::X25519MLKEM768,
        };
        provider.kx_groups.retain(|group| group.name() == name);
        if provider.kx_groups.is_empty() {
            bail!("this build has no {name:?}");
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Length of the compressed message, in bytes.
const LONG: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(30);
