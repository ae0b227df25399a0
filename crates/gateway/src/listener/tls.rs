//! TLS 1.3, and nothing older.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::Stream;
use super::pending::PendingPermit;

/// Makes TLS streams of TCP ones.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    within: Duration,
}

impl Tls {
    /// A server that answers with whatever `certificate` holds at that moment, within a deadline.
    ///
    /// # Errors
    /// When the provider has no TLS 1.3.
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        certificate: Arc<dyn ResolvesServerCert>,
        within: Duration,
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sockets live for hours: resumption would save one handshake of each, and cost secrets kept for all.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            config: Arc::new(config),
            within,
        })
    }

    /// Does the handshake of a connection, which computes when it is the turn of its permit. Its state is boxed and gone when this
    /// returns: inline in the connection's task it would keep 6.6 KB per socket for ever.
    ///
    /// # Errors
    /// When the client does not speak TLS 1.3, goes away, or takes too long.
    pub(crate) async fn handshake(&self, tcp: TcpStream, permit: &PendingPermit) -> io::Result<Stream> {
        // Frames are written whole; waiting for more only adds delay (RFC 896 against RFC 1122, section 4.2.3.4).
        tcp.set_nodelay(true)?;
        let handshake = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
            // A turn is held while the key exchange and the signature are computed, never while a client is waited for.
            let turn = permit.computing().await;
            let answered = hello.into_stream(Arc::clone(&self.config));
            drop(turn);
            answered.await
        };
        Ok(Box::new(timeout(self.within, Box::pin(handshake)).await??))
    }
}
