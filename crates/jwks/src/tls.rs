//! TLS configuration of outgoing connections.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

/// TLS with rustls's defaults, ring, and the system's trust roots. If the system has no trust roots, a warning names the peers that
/// will be refused, such as `every platform`.
///
/// # Errors
/// rustls rejects its own defaults.
pub fn system_tls(refused: &str) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if trusted == 0 {
        tracing::warn!("the system trusts no certificate authority: {refused} on https will be refused");
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
