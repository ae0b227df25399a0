//! Certificate authority for one test: certificates for this machine, and clients that trust them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, NamedGroup, RootCertStore};

use crate::fail::OrFail as _;
use crate::scratch::Scratch;

/// Certificate authority of one test. Its PEM file is removed with it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    scratch: Scratch,
    pem_path: PathBuf,
}

/// Certificate and private key of a server, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Certificate for localhost, 127.0.0.1 and `::1`.
    pub certificate: String,
    /// Private key (PKCS #8).
    pub key: String,
}

impl Authority {
    /// Creates an authority with a new key.
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

    /// Certificate of the authority as a PEM file, which clients trust.
    pub fn pem_path(&self) -> &Path {
        &self.pem_path
    }

    /// Certificate of the authority as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a server certificate for localhost, 127.0.0.1 and `::1`, with a new key.
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

    /// Issues a certificate into the files `<name>.pem` and `<name>.key` and returns their paths. A repeated call with the same
    /// name renews both files in place.
    pub fn issue_files(&self, name: &str) -> (PathBuf, PathBuf) {
        self.write_files(name, self.issue())
    }

    /// Issues a certificate into files that expired at the end of 1999.
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

    /// TLS 1.3 client that trusts only this authority.
    pub fn client(&self) -> Arc<ClientConfig> {
        client_trusting(&self.issuer.pem())
    }

    /// TLS 1.3 client that trusts only this authority and supports these groups of the key exchange, in this order of preference. It sends
    /// a share for the first one, and for X25519 besides the hybrid group.
    pub fn client_with_groups(&self, groups: &[NamedGroup]) -> Arc<ClientConfig> {
        let mut provider = aws_lc_rs::default_provider();
        let all = std::mem::take(&mut provider.kx_groups);
        let named = |name: &NamedGroup| {
            let group = all.iter().find(|group| group.name() == *name).copied();
            group.or_fail(&format!("find the group {name:?}"))
        };
        provider.kx_groups = groups.iter().map(named).collect();
        Arc::new(builder(&self.issuer.pem(), provider).with_no_client_auth())
    }

    /// TLS 1.3 client that trusts only this authority, and presents a certificate of any.
    pub fn client_presenting(&self, identity: &Identity) -> Arc<ClientConfig> {
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
        let chain = vec![certificate.or_fail("read a client certificate")];
        let config = builder(&self.issuer.pem(), aws_lc_rs::default_provider())
            .with_client_auth_cert(chain, key.or_fail("read a client key"));
        Arc::new(config.or_fail("present a client certificate"))
    }

    /// Writes a file atomically: a reader sees the old content or the new.
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

/// TLS 1.3 client that trusts only the authorities of a PEM text.
pub fn client_trusting(pem: &str) -> Arc<ClientConfig> {
    Arc::new(builder(pem, aws_lc_rs::default_provider()).with_no_client_auth())
}

fn builder(pem: &str, provider: CryptoProvider) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.or_fail("read a PEM certificate");
        roots.add(certificate).or_fail("trust a certificate");
    }
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .or_fail("set up a TLS client")
        .with_root_certificates(roots)
}

/// New key on the curve P-256.
fn new_key() -> KeyPair {
    KeyPair::generate().or_fail("make a test key")
}
