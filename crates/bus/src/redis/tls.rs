//! TLS of `rediss://` servers: the authorities that certify them, and the client certificate of this node.

use std::sync::Arc;

use lifecycle::Reloadable;
use rustls::RootCertStore;
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// TLS of `rediss://` servers. By default they are certified by the authorities of the operating system, and ask for no client
/// certificate. Clones share authorities and client certificate, which may be replaced for connections that are opened from then on.
#[derive(Debug, Clone, Default)]
pub struct RedisTls {
    /// Verifier with the private authorities; none for those of the operating system.
    pub(super) authorities: Option<Reloadable<Arc<WebPkiServerVerifier>>>,
    /// Client certificate with its key.
    pub(super) identity: Option<Reloadable<CertifiedKey>>,
}

impl RedisTls {
    /// Trusts only the authorities of a PEM text.
    ///
    /// # Errors
    /// [`RedisTlsError`] of the text.
    pub fn with_authorities(self, pem: &[u8]) -> Result<Self, RedisTlsError> {
        let authorities = Some(Reloadable::new(private(pem)?));
        Ok(Self { authorities, ..self })
    }

    /// Presents a client certificate, with its chain, and its key, both PEM.
    ///
    /// # Errors
    /// [`RedisTlsError`] of either text.
    pub fn with_identity(self, certificate: &[u8], key: &[u8]) -> Result<Self, RedisTlsError> {
        let identity = Some(Reloadable::new(pair(certificate, key)?));
        Ok(Self { identity, ..self })
    }

    /// Replaces the authorities of [`Self::with_authorities`]; without them nothing changes.
    ///
    /// # Errors
    /// [`RedisTlsError`]; the authorities stay.
    pub fn replace_authorities(&self, pem: &[u8]) -> Result<(), RedisTlsError> {
        let new = private(pem)?;
        if let Some(authorities) = &self.authorities {
            authorities.set(new);
        }
        Ok(())
    }

    /// Replaces the client certificate of [`Self::with_identity`]; without one nothing changes.
    ///
    /// # Errors
    /// [`RedisTlsError`]; the client certificate stays.
    pub fn replace_identity(&self, certificate: &[u8], key: &[u8]) -> Result<(), RedisTlsError> {
        let new = pair(certificate, key)?;
        if let Some(identity) = &self.identity {
            identity.set(new);
        }
        Ok(())
    }
}

/// PEM text that cannot be used for TLS. The errors quote nothing of a key.
#[derive(Debug, thiserror::Error)]
pub enum RedisTlsError {
    /// The text has no certificate.
    #[error("has no certificate")]
    NoCertificate,
    /// The certificates are no PEM.
    #[error("is no PEM: {0}")]
    Certificate(pem::Error),
    /// A certificate cannot be an authority.
    #[error("has a certificate that cannot be an authority: {0}")]
    Authority(rustls::Error),
    /// The authorities cannot be used together.
    #[error("cannot be used as authorities: {0}")]
    Authorities(VerifierBuilderError),
    /// The text of the key has no private key.
    #[error("has no usable private key: {0}")]
    Key(pem::Error),
    /// The key is not that of the certificate, or of an unsupported type.
    #[error("cannot be used with its key: {0}")]
    Pair(rustls::Error),
}

/// Cryptography of the connections.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Verifier that trusts these authorities.
pub(super) fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()
}

fn private(pem: &[u8]) -> Result<Arc<WebPkiServerVerifier>, RedisTlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(RedisTlsError::Authority)?;
    }
    verifier(roots).map_err(RedisTlsError::Authorities)
}

fn pair(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, RedisTlsError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(RedisTlsError::Key)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(RedisTlsError::Pair)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, RedisTlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(RedisTlsError::Certificate)?;
    if certificates.is_empty() {
        return Err(RedisTlsError::NoCertificate);
    }
    Ok(certificates)
}
