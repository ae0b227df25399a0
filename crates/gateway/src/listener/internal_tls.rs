//! TLS 1.3 of the internal API, with client certificates if configured (mTLS). Certificate and authorities are reloaded when their
//! files change.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, FileContents, FileError, FileWatch, PeriodicLoop, Reloadable, Tasks};
use protocol::fault::chain;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, pem};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::certificate::{Certificate, CertificateError, CertificateUse, Reloader};
use super::tls::server_config;
use crate::metrics::{CertificateFiles, InternalRefusal, Metrics};
use crate::rate::{LOG_RATE, LogLimit};
use crate::settings::InternalTlsSettings;

/// TLS of the internal API. Clones share the certificate and the authorities in use.
#[derive(Clone)]
pub struct InternalTls {
    config: Reloadable<ServerConfig>,
    timeout: Duration,
    log: Arc<LogLimit>,
    metrics: Arc<Metrics>,
}

impl InternalTls {
    /// Performs the handshake of a connection, within a timeout.
    ///
    /// # Errors
    /// The peer does not support TLS 1.3, has no certificate where one is required, disconnects, or exceeds the timeout. The error has
    /// been counted and logged, up to a rate.
    pub async fn accept<S>(&self, stream: S, peer: SocketAddr) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(self.config.get()).accept(stream);
        let accepted = timeout(self.timeout, handshake).await;
        let accepted = accepted.unwrap_or_else(|elapsed| Err(elapsed.into()));
        if let Err(error) = &accepted {
            self.metrics.internal_refused(InternalRefusal::Tls);
            if let Some(suppressed) = self.log.admit(Instant::now()) {
                tracing::warn!(%error, %peer, suppressed, "internal API TLS handshake failed");
            }
        }
        accepted
    }
}

/// Failure to set up TLS of the internal API.
#[derive(Debug, thiserror::Error)]
pub enum InternalTlsError {
    /// The server certificate cannot be loaded.
    #[error("load the certificate of the internal API")]
    Certificate(#[from] CertificateError),
    /// The authorities of client certificates cannot be loaded.
    #[error("load the authorities of client certificates")]
    ClientCa(#[from] ClientCaError),
    /// TLS cannot be configured.
    #[error("set up TLS of the internal API")]
    Tls(#[source] rustls::Error),
}

/// File of client authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// The file is not PEM.
    #[error("parse the PEM file of the client authorities")]
    Pem(#[source] pem::Error),
    /// A certificate cannot be an authority.
    #[error("use a certificate as an authority")]
    Authority(#[source] rustls::Error),
    /// The file has no certificate.
    #[error("build the verifier of client certificates")]
    Verifier(#[source] VerifierBuilderError),
}

/// Tasks that reload the certificate and the authorities of [`InternalTls`].
pub(crate) struct InternalTlsReloader {
    certificate: Reloader,
    client_ca: Option<ClientCaReloader>,
}

struct ClientCaReloader {
    watch: FileWatch<1>,
    parts: ConfigParts,
    config: Reloadable<ServerConfig>,
    metrics: Arc<Metrics>,
}

/// Parts of the configuration that stay.
struct ConfigParts {
    provider: Arc<CryptoProvider>,
    certificate: Arc<Certificate>,
}

impl InternalTlsReloader {
    /// Loads the files at startup.
    pub(crate) async fn load(
        settings: &InternalTlsSettings,
        handshake_timeout: Duration,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, InternalTls), InternalTlsError> {
        let (files, shared_provider) = (settings.server.clone(), Arc::clone(&provider));
        let shared_metrics = Arc::clone(&metrics);
        let reloader = Reloader::load(CertificateUse::Internal, files, shared_provider, clock, shared_metrics);
        let certificate = reloader.await?;
        let parts = ConfigParts {
            provider,
            certificate: certificate.certificate(),
        };
        let watch = match &settings.client_ca {
            Some(path) => Some(open(path.clone()).await?),
            None => None,
        };
        let verifier = match &watch {
            Some(watch) => parts.verifier(watch.contents())?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let config = Reloadable::new(parts.config(verifier).map_err(InternalTlsError::Tls)?);
        let tls = InternalTls {
            config: config.clone(),
            timeout: handshake_timeout,
            log: Arc::new(LogLimit::new(LOG_RATE, Instant::now())),
            metrics: Arc::clone(&metrics),
        };
        let client_ca = watch.map(|watch| ClientCaReloader {
            watch,
            parts,
            config,
            metrics,
        });
        Ok((Self { certificate, client_ca }, tls))
    }

    /// Spawns the tasks, which poll the files until the node drains.
    pub(crate) fn spawn(self, every: Duration, core: &Tasks) {
        core.essential("internal certificate", self.certificate.run(every, core.soft()));
        if let Some(client_ca) = self.client_ca {
            core.essential("client authorities", client_ca.run(every, core.soft()));
        }
    }
}

impl ClientCaReloader {
    /// Polls the file until the node drains.
    async fn run(mut self, every: Duration, soft: CancellationToken) {
        let status = self.watch.status();
        let mut failures = 0;
        let mut ticks = PeriodicLoop::new(every, soft);
        while ticks.next().await {
            let reload = |contents| {
                let reloaded = self.parts.reload(&contents, &self.config);
                ready(reloaded.map_err(|error| chain(&error)))
            };
            self.watch.poll(reload).await;
            if std::mem::replace(&mut failures, status.failures()) != status.failures() {
                self.metrics.certificate_failed(CertificateFiles::InternalClientCa);
            }
        }
    }
}

async fn open(path: PathBuf) -> Result<FileWatch<1>, ClientCaError> {
    Ok(FileWatch::open("POSTERN_INTERNAL_CLIENT_CA", [path]).await?)
}

impl ConfigParts {
    fn verifier(&self, [authorities]: &[FileContents; 1]) -> Result<Arc<dyn ClientCertVerifier>, ClientCaError> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
            roots
                .add(authority.map_err(ClientCaError::Pem)?)
                .map_err(ClientCaError::Authority)?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(ClientCaError::Verifier)
    }

    fn config(&self, verifier: Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, rustls::Error> {
        let certificate = Arc::clone(&self.certificate);
        server_config(Arc::clone(&self.provider), verifier, certificate)
    }

    fn reload(&self, contents: &[FileContents; 1], config: &Reloadable<ServerConfig>) -> Result<(), InternalTlsError> {
        let verifier = self.verifier(contents)?;
        config.set(self.config(verifier).map_err(InternalTlsError::Tls)?);
        Ok(())
    }
}
