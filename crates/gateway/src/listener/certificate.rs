//! Server certificate: loaded from PEM files, reloaded when they change.

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifecycle::{Clock, FileContents, FileError, FileWatch, PeriodicLoop, Reloadable};
use protocol::fault::chain;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_util::sync::CancellationToken;
use x509_cert::der::{self, Decode};

use crate::metrics::{CertificateFiles, Metrics};
use crate::settings::TlsSettings;

/// Certificate of new handshakes.
#[derive(Debug)]
pub(crate) struct Certificate {
    current: Reloadable<Loaded>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.get().certified))
    }
}

/// Certificate with its key.
#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    /// `notAfter` of the certificate, since 1970.
    expires: Duration,
}

/// Listener of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateUse {
    /// Listener of clients.
    Public,
    /// Internal API.
    Internal,
}

impl CertificateUse {
    /// Variables of the files, for log lines.
    fn variables(self) -> &'static str {
        match self {
            Self::Public => "POSTERN_TLS_CERT, POSTERN_TLS_KEY",
            Self::Internal => "POSTERN_INTERNAL_TLS_CERT, POSTERN_INTERNAL_TLS_KEY",
        }
    }

    /// Files in the metrics.
    fn files(self) -> CertificateFiles {
        match self {
            Self::Public => CertificateFiles::Public,
            Self::Internal => CertificateFiles::Internal,
        }
    }
}

/// Task that reloads a [`Certificate`] when its files change.
#[derive(Debug)]
pub(crate) struct Reloader {
    certificate_use: CertificateUse,
    watch: FileWatch<2>,
    provider: Arc<CryptoProvider>,
    current: Reloadable<Loaded>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Reloader {
    /// Loads the files at startup.
    pub(crate) async fn load(
        certificate_use: CertificateUse,
        files: TlsSettings,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CertificateError> {
        let watch = FileWatch::open(certificate_use.variables(), [files.certificate, files.key]).await?;
        let loaded = Loaded::parse(watch.contents(), &provider)?;
        metrics.certificate_expires(certificate_use.files(), loaded.expires);
        Ok(Self {
            certificate_use,
            watch,
            provider,
            current: Reloadable::new(loaded),
            clock,
            metrics,
        })
    }

    /// Returns the certificate, which reloads update.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        Arc::new(Certificate {
            current: self.current.clone(),
        })
    }

    /// Polls the files until the node drains. A certificate that expires soon or has expired is logged once.
    pub(crate) async fn run(mut self, every: Duration, soft: CancellationToken) {
        let status = self.watch.status();
        let mut failures = 0;
        let mut logged = Validity::Valid;
        let mut ticks = PeriodicLoop::new(every, soft.clone());
        while ticks.next().await {
            let reload = |contents| {
                let loaded = Loaded::parse(&contents, &self.provider).map_err(|error| chain(&error));
                ready(loaded.map(|loaded| {
                    self.metrics
                        .certificate_expires(self.certificate_use.files(), loaded.expires);
                    self.current.set(loaded);
                }))
            };
            tokio::select! {
                () = soft.cancelled() => return,
                () = self.watch.poll(reload) => {}
            }
            if std::mem::replace(&mut failures, status.failures()) != status.failures() {
                self.metrics.certificate_failed(self.certificate_use.files());
            }
            let validity = self.validity();
            if std::mem::replace(&mut logged, validity) != validity {
                validity.log(self.certificate_use.variables());
            }
        }
    }

    fn validity(&self) -> Validity {
        let now = self
            .clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        match self.current.get().expires.saturating_sub(now) {
            Duration::ZERO => Validity::Expired,
            left if left < SOON => Validity::ExpiresSoon,
            _ => Validity::Valid,
        }
    }
}

/// Validity of the certificate at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Valid,
    /// Expires in less than [`SOON`].
    ExpiresSoon,
    Expired,
}

impl Validity {
    fn log(self, variable: &'static str) {
        match self {
            Self::Valid => {}
            Self::ExpiresSoon => tracing::warn!(variable, "certificate expires within two weeks, renew its files"),
            Self::Expired => tracing::error!(variable, "certificate has expired, clients refuse it, renew its files"),
        }
    }
}

/// Error of loading a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// File could not be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// File without the expected PEM item.
    #[error("parse the PEM file of the {0}")]
    Pem(&'static str, #[source] pem::Error),
    /// Certificate that could not be parsed.
    #[error("parse the validity of the certificate")]
    Validity(#[source] der::Error),
    /// Key that does not match the certificate, or of a type that TLS 1.3 does not support.
    #[error("combine the certificate with its key")]
    Pair(#[source] rustls::Error),
}

impl Loaded {
    fn parse([certificate, key]: &[FileContents; 2], provider: &CryptoProvider) -> Result<Self, CertificateError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| CertificateError::Pem("certificate", error))?;
        let Some(own) = chain.first() else {
            return Err(CertificateError::Pem("certificate", pem::Error::NoItemsFound));
        };
        let own = x509_cert::Certificate::from_der(own).map_err(CertificateError::Validity)?;
        let expires = own.tbs_certificate.validity.not_after.to_unix_duration();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| CertificateError::Pem("key", error))?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(CertificateError::Pair)?;
        Ok(Self {
            certified: Arc::new(certified),
            expires,
        })
    }
}

/// Remaining validity below which a warning is logged.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
