//! TLS to Postgres. The server's name and chain are always verified.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::Roots;

/// TLS connector. Without TLS its root store is empty and unused.
pub(super) fn connector(roots: &Roots) -> Result<MakeRustlsConnect, RootsError> {
    let roots = match roots {
        Roots::None => RootCertStore::empty(),
        Roots::System => system()?,
        Roots::File(path) => file(path)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Error in the root certificates.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The system has no readable root certificates.
    #[error("the system has no root certificates: name a PEM file with sslrootcert")]
    NoneOfSystem,
    /// The file of `sslrootcert` cannot be read, or is not PEM.
    #[error("read {0}")]
    Unreadable(PathBuf, #[source] rustls_pki_types::pem::Error),
    /// The file of `sslrootcert` has no certificate.
    #[error("{0} has no certificate")]
    Empty(PathBuf),
    /// A certificate of that file cannot be a root.
    #[error("use a certificate of {0} as a root")]
    Unfit(PathBuf, #[source] rustls::Error),
    /// The build's cipher suites fit no version of TLS.
    #[error("no TLS version is usable")]
    Provider(#[source] rustls::Error),
}

fn system() -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _unfit) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(RootsError::NoneOfSystem);
    }
    Ok(roots)
}

fn file(path: &Path) -> Result<RootCertStore, RootsError> {
    let unreadable = |error| RootsError::Unreadable(path.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|error| RootsError::Unfit(path.to_owned(), error))?;
    }
    if roots.is_empty() {
        return Err(RootsError::Empty(path.to_owned()));
    }
    Ok(roots)
}
