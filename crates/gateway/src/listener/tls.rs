//! TLS 1.3 handshake.

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{NamedGroup, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;

use super::Stream;
use super::pending::PendingPermit;

/// TLS acceptor.
#[derive(Clone)]
pub(crate) struct Tls {
    /// Configurations with a single group of the key exchange each, the preferred one first.
    by_group: Arc<[(NamedGroup, Arc<ServerConfig>)]>,
    /// Configuration with all groups, which refuses a client that has none of them.
    any_group: Arc<ServerConfig>,
}

impl Tls {
    /// Builds an acceptor that serves the current certificate of `certificate`.
    ///
    /// # Errors
    /// The provider does not support TLS 1.3.
    pub(crate) fn new(
        provider: &Arc<CryptoProvider>,
        certificate: Arc<dyn ResolvesServerCert>,
    ) -> Result<Self, rustls::Error> {
        let config = |provider: Arc<CryptoProvider>| {
            let clients = WebPkiClientVerifier::no_client_auth();
            server_config(provider, clients, Arc::clone(&certificate)).map(Arc::new)
        };
        let of_group = |group: &&'static dyn SupportedKxGroup| -> Result<_, rustls::Error> {
            let provider = CryptoProvider {
                kx_groups: vec![*group],
                ..CryptoProvider::clone(provider)
            };
            Ok((group.name(), config(Arc::new(provider))?))
        };
        Ok(Self {
            by_group: provider.kx_groups.iter().map(of_group).collect::<Result<_, _>>()?,
            any_group: config(Arc::clone(provider))?,
        })
    }

    /// Configuration for a client that supports these groups. The library follows the client's preference among the groups of a
    /// configuration, so this one has the preferred group alone; a client that sent no share for it is asked to (RFC 8446, section 4.1.4).
    fn config(&self, supported: Option<&[NamedGroup]>) -> &Arc<ServerConfig> {
        let supported = supported.unwrap_or_default();
        let mut by_group = self.by_group.iter();
        by_group
            .find(|(group, _)| supported.contains(group))
            .map_or(&self.any_group, |(_, config)| config)
    }

    /// Performs the handshake of a connection by this deadline, limited by its permit. The state is boxed and freed on return: inline in the connection's
    /// task it would take 6.6 KB per socket for its lifetime.
    ///
    /// # Errors
    /// The client does not support TLS 1.3, disconnects, or exceeds the timeout.
    pub(crate) async fn handshake(
        &self,
        tcp: TcpStream,
        permit: &PendingPermit,
        deadline: Instant,
    ) -> io::Result<Stream> {
        // Frames are written whole, so Nagle's algorithm (RFC 896, RFC 1122 section 4.2.3.4) would only add delay.
        tcp.set_nodelay(true)?;
        let handshake = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
            // The permit covers the computation of the key exchange and the signature, not the wait for the client.
            let slot = permit.acquire_handshake().await;
            let config = Arc::clone(self.config(hello.client_hello().named_groups()));
            let accepting = hello.into_stream(config);
            drop(slot);
            accepting.await
        };
        Ok(Box::new(timeout_at(deadline, Box::pin(handshake)).await??))
    }
}

/// Builds the configuration of a server of HTTP/1.1 over TLS 1.3.
///
/// # Errors
/// The provider does not support TLS 1.3.
pub(super) fn server_config(
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
    certificate: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Connections stay open for long: resumption would save one handshake per connection, and keep secrets for all of them.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
