//! TLS to a collector.

use std::sync::Arc;

use opentelemetry_otlp::tonic_types::transport::{ClientTlsConfig, Identity};
use protocol::secret::Secret;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

/// Authorities that a client of a collector trusts, and the certificate that it presents.
#[derive(Debug, Clone)]
pub struct OtlpTls {
    config: Arc<ClientConfig>,
    roots: Arc<RootCertStore>,
    /// Certificate and key, both PEM.
    identity: Option<(String, Secret)>,
}

/// PEM that is not accepted for the TLS to a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtlpTlsError {
    /// No certificate of an authority can be read.
    #[error("has no certificate of an authority that can be read")]
    Authorities,
    /// The certificate of the client cannot be read.
    #[error("has no certificate that can be read")]
    Certificate,
    /// The key of the client cannot be read.
    #[error("has no private key that can be read")]
    Key,
    /// The key does not belong to the certificate, or TLS does not support it.
    #[error("has no private key for the client's certificate")]
    Pair,
}

impl OtlpTls {
    /// TLS that trusts the authorities of a PEM text, or those of the system, and presents a certificate, if given, with its key:
    /// both PEM.
    ///
    /// # Errors
    /// [`OtlpTlsError`].
    pub fn new(authorities: Option<&str>, identity: Option<(String, Secret)>) -> Result<Self, OtlpTlsError> {
        let roots = Arc::new(match authorities {
            Some(pem) => trusted(pem)?,
            None => of_the_system(),
        });
        let builder = builder()
            .map_err(|_refused| OtlpTlsError::Pair)?
            .with_root_certificates(Arc::clone(&roots));
        let config = match &identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(|_malformed| OtlpTlsError::Certificate)?;
                if chain.is_empty() {
                    return Err(OtlpTlsError::Certificate);
                }
                let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
                let key = key.map_err(|_malformed| OtlpTlsError::Key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|_refused| OtlpTlsError::Pair)?
            }
        };
        Ok(Self {
            config: Arc::new(config),
            roots,
            identity,
        })
    }

    /// The same for a client of HTTP. Without settings, for one that is used without TLS, it trusts nobody.
    ///
    /// # Errors
    /// rustls rejects its own defaults.
    pub(super) fn of_http(tls: Option<&Self>) -> Result<ClientConfig, rustls::Error> {
        Ok(match tls {
            Some(tls) => (*tls.config).clone(),
            None => builder()?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth(),
        })
    }

    /// The same for a client of gRPC.
    pub(super) fn of_grpc(&self) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new().trust_anchors(self.roots.roots.iter().cloned());
        match &self.identity {
            None => tls,
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key.expose())),
        }
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions()
}

fn trusted(pem: &str) -> Result<RootCertStore, OtlpTlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem).map_err(|_malformed| OtlpTlsError::Authorities)? {
        roots.add(authority).map_err(|_refused| OtlpTlsError::Authorities)?;
    }
    if roots.is_empty() {
        return Err(OtlpTlsError::Authorities);
    }
    Ok(roots)
}

/// Authorities of the system. Without any, every collector is refused, which the exporters report.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}
