//! Server certificate: loaded from PEM files, reloaded when they change.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use lifecycle::Clock;
use protocol::fault::chain;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_util::sync::CancellationToken;
use x509_cert::der::{self, Decode};

use crate::metrics::Metrics;
use crate::settings::TlsSettings;

/// Certificate of new handshakes.
#[derive(Debug)]
pub(crate) struct Certificate {
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Task that reloads a [`Certificate`] when its files change.
#[derive(Debug)]
pub(crate) struct Reloader {
    files: TlsSettings,
    loaded: PemFiles,
    /// `notAfter` of the certificate in use, since 1970.
    expires: Duration,
    provider: Arc<CryptoProvider>,
    certificate: Arc<Certificate>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Reloader {
    /// Loads the files at startup.
    pub(crate) async fn load(
        files: TlsSettings,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CertificateError> {
        let loaded = PemFiles::read(&files).await?;
        let (parsed, expires) = loaded.parse(&provider)?;
        metrics.certificate_expires(expires);
        let certificate = Arc::new(Certificate {
            current: RwLock::new(Arc::new(parsed)),
        });
        Ok(Self {
            files,
            loaded,
            expires,
            provider,
            certificate,
            clock,
            metrics,
        })
    }

    /// Returns the certificate, which reloads update.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.certificate)
    }

    /// Polls the files until the node drains. Unusable files are logged once and leave the current certificate in use. A certificate
    /// that expires soon or has expired is logged once.
    pub(crate) async fn run(mut self, every: Duration, soft: CancellationToken) {
        let mut unreadable = false;
        let mut logged = Validity::Valid;
        loop {
            let validity = self.validity();
            if std::mem::replace(&mut logged, validity) != validity {
                validity.log();
            }
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            let reloaded = match PemFiles::read(&self.files).await {
                Ok(files) if files == self.loaded && !unreadable => continue,
                Ok(files) => {
                    unreadable = false;
                    self.replace(files)
                }
                Err(_) if unreadable => continue,
                Err(error) => {
                    unreadable = true;
                    Err(error)
                }
            };
            match reloaded {
                Ok(()) => tracing::info!("certificate reloaded"),
                Err(error) => {
                    self.metrics.certificate_failed();
                    tracing::warn!(
                        error = chain(&error),
                        "certificate reload failed, keeping the current certificate"
                    );
                }
            }
        }
    }

    fn replace(&mut self, files: PemFiles) -> Result<(), CertificateError> {
        let parsed = files.parse(&self.provider);
        self.loaded = files;
        let (parsed, expires) = parsed?;
        self.expires = expires;
        self.metrics.certificate_expires(expires);
        let mut current = self.certificate.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(parsed);
        Ok(())
    }

    fn validity(&self) -> Validity {
        let now = self
            .clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        match self.expires.saturating_sub(now) {
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
    fn log(self) {
        match self {
            Self::Valid => {}
            Self::ExpiresSoon => tracing::warn!("certificate expires within two weeks, renew its files"),
            Self::Expired => tracing::error!("certificate has expired, clients refuse it, renew its files"),
        }
    }
}

/// Error of loading a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// File could not be read.
    #[error("read {0}")]
    Read(String, #[source] io::Error),
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

/// Content of the two files at the last load, compared to detect a change. Keeping the key's text adds no exposure: the parsed key is
/// in the same memory.
#[derive(PartialEq, Eq)]
struct PemFiles {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl PemFiles {
    async fn read(files: &TlsSettings) -> Result<Self, CertificateError> {
        let read = async |path: &std::path::Path| {
            let bytes = tokio::fs::read(path).await;
            bytes.map_err(|error| CertificateError::Read(path.display().to_string(), error))
        };
        Ok(Self {
            certificate: read(&files.certificate).await?,
            key: read(&files.key).await?,
        })
    }

    /// Parses the certificate with its key; returns its `notAfter` too, since 1970.
    fn parse(&self, provider: &CryptoProvider) -> Result<(CertifiedKey, Duration), CertificateError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| CertificateError::Pem("certificate", error))?;
        let Some(own) = chain.first() else {
            return Err(CertificateError::Pem("certificate", pem::Error::NoItemsFound));
        };
        let own = x509_cert::Certificate::from_der(own).map_err(CertificateError::Validity)?;
        let expires = own.tbs_certificate.validity.not_after.to_unix_duration();
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| CertificateError::Pem("key", error))?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(CertificateError::Pair)?;
        Ok((certified, expires))
    }
}

impl std::fmt::Debug for PemFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemFiles").finish_non_exhaustive()
    }
}

/// Remaining validity below which a warning is logged.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
