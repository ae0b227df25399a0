//! Reasons for which a gateway cannot start.

use std::io;
use std::net::SocketAddr;

use bus::BusError;
use jwks::JwksError;

use crate::listener::certificate::CertificateError;
use crate::listener::internal_tls::InternalTlsError;

/// Reason for which a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The port cannot be bound.
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The certificate cannot be loaded.
    #[error("load the certificate")]
    Certificate(#[from] CertificateError),
    /// TLS cannot be configured.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// TLS of the internal API cannot be set up.
    #[error(transparent)]
    InternalTls(#[from] InternalTlsError),
    /// The JWKS client cannot be created.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The bus is unavailable.
    #[error("subscribe on the bus")]
    Bus(#[from] BusError),
}
