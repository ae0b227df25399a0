//! TLS 1.3 handshake.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;

use super::Stream;
use super::pending::PendingPermit;

/// TLS acceptor.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Builds an acceptor that serves the current certificate of `certificate`.
    ///
    /// # Errors
    /// The provider does not support TLS 1.3.
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        certificate: Arc<dyn ResolvesServerCert>,
    ) -> Result<Self, rustls::Error> {
        let config = server_config(provider, WebPkiClientVerifier::no_client_auth(), certificate)?;
        Ok(Self {
            config: Arc::new(config),
        })
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
            let accepting = hello.into_stream(Arc::clone(&self.config));
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
