//! TLS of those who call the world outside.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// TLS as rustls has it by default, with ring, and the system's trust roots. Where the system trusts nobody, a warning names who
/// will be refused, as in `every platform`.
///
/// # Errors
/// rustls does not take its own defaults.
pub fn system_tls(refused: &str) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if trusted == 0 {
        tracing::warn!("the system trusts no certificate authority: {refused} on https will be refused");
    }
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
