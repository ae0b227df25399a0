//! TLS client for the internal API of a gateway.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::cli::InternalTlsArgs;

/// TLS client that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsClientError {
    /// No authority was given.
    #[error("https needs --ca")]
    NoAuthority,
    /// Only one of certificate and key was given.
    #[error("--client-cert and --client-key go together")]
    Pair,
    /// A PEM file cannot be read.
    #[error("read {}", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    /// A file has a certificate that cannot be used.
    #[error("use the certificates")]
    Certificates(#[source] rustls::Error),
}

/// Settings of a TLS 1.3 client that trusts the given authorities alone, and presents the given certificate.
///
/// # Errors
/// [`TlsClientError`].
pub(super) fn client(args: &InternalTlsArgs) -> Result<ClientConfig, TlsClientError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(args.ca.as_deref().ok_or(TlsClientError::NoAuthority)?)? {
        roots.add(authority).map_err(TlsClientError::Certificates)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsClientError::Certificates)?
        .with_root_certificates(roots);
    match (&args.client_cert, &args.client_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsClientError::Pem(key.clone(), error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(TlsClientError::Certificates)
        }
        _ => Err(TlsClientError::Pair),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsClientError> {
    let failed = |error| TlsClientError::Pem(path.to_owned(), error);
    let certificates = CertificateDer::pem_file_iter(path).map_err(failed)?;
    certificates.collect::<Result<_, _>>().map_err(failed)
}
