//! The server's certificate: read from PEM files, and read again when they change.

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

/// The certificate that new handshakes are answered with.
#[derive(Debug)]
pub(crate) struct Certificate {
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Keeps a [`Certificate`] as its files are.
#[derive(Debug)]
pub(crate) struct Reloader {
    files: TlsSettings,
    seen: Content,
    /// When the certificate in use ends, since 1970.
    expires: Duration,
    provider: Arc<CryptoProvider>,
    certificate: Arc<Certificate>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Reloader {
    /// Reads the files for the first time.
    pub(crate) async fn load(
        files: TlsSettings,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CertificateError> {
        let seen = Content::read(&files).await?;
        let (parsed, expires) = seen.parse(&provider)?;
        metrics.certificate_expires(expires);
        let certificate = Arc::new(Certificate {
            current: RwLock::new(Arc::new(parsed)),
        });
        Ok(Self {
            files,
            seen,
            expires,
            provider,
            certificate,
            clock,
            metrics,
        })
    }

    /// What is kept up to date.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.certificate)
    }

    /// Looks at the files again and again until the node drains. Whatever cannot be used leaves the old certificate in place,
    /// and is reported once. So is an end that is near, and one that has passed.
    pub(crate) async fn run(mut self, every: Duration, soft: CancellationToken) {
        let mut unreadable = false;
        let mut told = Remaining::Enough;
        loop {
            let remaining = self.remaining();
            if std::mem::replace(&mut told, remaining) != remaining {
                remaining.tell();
            }
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            let outcome = match Content::read(&self.files).await {
                Ok(content) if content == self.seen && !unreadable => continue,
                Ok(content) => {
                    unreadable = false;
                    self.replace(content)
                }
                Err(_) if unreadable => continue,
                Err(error) => {
                    unreadable = true;
                    Err(error)
                }
            };
            match outcome {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => {
                    self.metrics.certificate_failed();
                    tracing::warn!(
                        error = chain(&error),
                        "the certificate's files cannot be used, the old one stays"
                    );
                }
            }
        }
    }

    fn replace(&mut self, content: Content) -> Result<(), CertificateError> {
        let parsed = content.parse(&self.provider);
        self.seen = content;
        let (parsed, expires) = parsed?;
        self.expires = expires;
        self.metrics.certificate_expires(expires);
        let mut current = self.certificate.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(parsed);
        Ok(())
    }

    fn remaining(&self) -> Remaining {
        let now = self
            .clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        match self.expires.saturating_sub(now) {
            Duration::ZERO => Remaining::Nothing,
            left if left < SOON => Remaining::Little,
            _ => Remaining::Enough,
        }
    }
}

/// How much of a certificate's life remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remaining {
    Enough,
    /// Less than [`SOON`].
    Little,
    Nothing,
}

impl Remaining {
    fn tell(self) {
        match self {
            Self::Enough => {}
            Self::Little => tracing::warn!("the certificate ends within two weeks: renew its files"),
            Self::Nothing => tracing::error!("the certificate has expired: clients refuse it, renew its files"),
        }
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("read {0}")]
    Read(String, #[source] io::Error),
    /// A file holds no such thing in PEM.
    #[error("find the {0} in its file")]
    Pem(&'static str, #[source] pem::Error),
    /// It does not say when it ends.
    #[error("find the end of the certificate")]
    Validity(#[source] der::Error),
    /// Certificate and key are not a pair, or of a kind that TLS 1.3 does not know.
    #[error("use the certificate with its key")]
    Pair(#[source] rustls::Error),
}

/// The two files as they were last read. The key's text is kept to see a change: whoever can read this memory has the key anyway.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Content {
    async fn read(files: &TlsSettings) -> Result<Self, CertificateError> {
        let read = async |path: &std::path::Path| {
            let content = tokio::fs::read(path).await;
            content.map_err(|error| CertificateError::Read(path.display().to_string(), error))
        };
        Ok(Self {
            certificate: read(&files.certificate).await?,
            key: read(&files.key).await?,
        })
    }

    /// The certificate with its key, and when it ends, since 1970.
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

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

/// An end that is so near is told.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
