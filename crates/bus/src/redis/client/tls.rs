//! TLS connector of fred, which reads authorities and client certificate anew for each connection.

use std::error::Error;
use std::sync::Arc;

use fred::types::config::TlsConnector;
use lifecycle::Reloadable;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::redis::tls::{RedisTls, provider, verifier};

/// Connector of connections with this TLS. Loads the authorities of the operating system, if those are to certify the servers.
pub(super) fn connector(tls: &RedisTls) -> Result<TlsConnector, Box<dyn Error + Send + Sync>> {
    let authorities = match &tls.authorities {
        Some(authorities) => authorities.clone(),
        None => Reloadable::new(verifier(of_the_system()?)?),
    };
    // The verifier of rustls, read anew: nothing is verified less than with `with_root_certificates`.
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(CurrentAuthorities(authorities)));
    let mut config = match &tls.identity {
        Some(identity) => config.with_client_cert_resolver(Arc::new(CurrentIdentity(identity.clone()))),
        None => config.with_no_client_auth(),
    };
    // A resumed session would neither verify the server again nor present a renewed certificate.
    config.resumption = Resumption::disabled();
    Ok(config.into())
}

fn of_the_system() -> Result<RootCertStore, Box<dyn Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("no certificates found".into());
    }
    Ok(roots)
}

/// Client certificate of new connections.
#[derive(Debug)]
struct CurrentIdentity(Reloadable<CertifiedKey>);

impl ResolvesClientCert for CurrentIdentity {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Verifier of the servers of new connections.
#[derive(Debug)]
struct CurrentAuthorities(Reloadable<Arc<WebPkiServerVerifier>>);

impl ServerCertVerifier for CurrentAuthorities {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = self.0.get();
        verifier.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.get().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.get().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.get().supported_verify_schemes()
    }
}
