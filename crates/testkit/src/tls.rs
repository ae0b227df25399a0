//! A certificate authority for one test: server certificates for this machine, and a client that trusts them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::fail::OrFail as _;
use crate::scratch::Scratch;

/// A certificate authority that nobody else trusts. Its PEM file goes with it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    scratch: Scratch,
    pem_path: PathBuf,
}

/// A server's certificate and private key, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, for localhost, 127.0.0.1 and `::1`.
    pub certificate: String,
    /// Its private key (PKCS #8).
    pub key: String,
}

impl Authority {
    /// Makes an authority with a fresh key.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Postern test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, new_key()).or_fail("make a test authority");
        let scratch = Scratch::new("tls");
        let pem_path = scratch.write("ca.pem", issuer.pem());
        Self {
            issuer,
            scratch,
            pem_path,
        }
    }

    /// The authority's own certificate as a PEM file: what clients are told to trust.
    pub fn pem_path(&self) -> &Path {
        &self.pem_path
    }

    /// A server certificate for localhost, 127.0.0.1 and `::1`, with a fresh key.
    pub fn issue(&self) -> Identity {
        self.issue_with(|_| {})
    }

    fn issue_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).or_fail("name a test certificate");
        change(&mut params);
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).or_fail("issue a test certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Issues a certificate into the files `<name>.pem` and `<name>.key` and gives their paths. Called again with the
    /// same name it renews both files in place.
    pub fn issue_files(&self, name: &str) -> (PathBuf, PathBuf) {
        self.write_files(name, self.issue())
    }

    /// As [`Authority::issue_files`], a certificate that ended with the year 1999.
    pub fn issue_expired_files(&self, name: &str) -> (PathBuf, PathBuf) {
        let expired = self.issue_with(|params| {
            params.not_before = date_time_ymd(1999, 1, 1);
            params.not_after = date_time_ymd(2000, 1, 1);
        });
        self.write_files(name, expired)
    }

    fn write_files(&self, name: &str, Identity { certificate, key }: Identity) -> (PathBuf, PathBuf) {
        (
            self.replace(&format!("{name}.pem"), certificate),
            self.replace(&format!("{name}.key"), key),
        )
    }

    /// A TLS 1.3 client that trusts this authority and nobody else.
    pub fn client(&self) -> Arc<ClientConfig> {
        client_trusting(&self.issuer.pem())
    }

    /// Writes a file so that a reader sees the old content or the new, never a part.
    fn replace(&self, name: &str, content: String) -> PathBuf {
        let path = self.scratch.path().join(name);
        let new = self.scratch.write(&format!("{name}.new"), content);
        std::fs::rename(new, &path).or_fail("replace a certificate file");
        path
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A TLS 1.3 client that trusts the authorities of a PEM text and nobody else.
pub fn client_trusting(pem: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.or_fail("read a PEM certificate");
        roots.add(certificate).or_fail("trust a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .or_fail("set up a TLS client")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A key on the curve P-256.
fn new_key() -> KeyPair {
    KeyPair::generate().or_fail("make a test key")
}
