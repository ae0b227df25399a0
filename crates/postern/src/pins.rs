//! `postern pins`: pins of certificates for clients.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{self, Decode, Encode};

/// Failure to compute a pin.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// The file cannot be read, or is not PEM.
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] pem::Error),
    /// The PEM file has no certificate.
    #[error("{} has no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate does not decode.
    #[error("decode a certificate in {}", .0.display())]
    Certificate(PathBuf, #[source] der::Error),
}

/// Computes one line per certificate, in the order of the files and of the certificates in each.
///
/// # Errors
/// [`PinsError`], for the first invalid file.
pub(crate) fn pins(files: &[PathBuf]) -> Result<String, PinsError> {
    let mut lines = Vec::new();
    for file in files {
        let before = lines.len();
        for certificate in certificates(file)? {
            let pin = pin(&certificate).map_err(|error| PinsError::Certificate(file.clone(), error))?;
            lines.push(pin);
        }
        if lines.len() == before {
            return Err(PinsError::NoCertificate(file.clone()));
        }
    }
    Ok(lines.join("\n"))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PinsError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| PinsError::Read(file.to_owned(), error))
}

/// Digest of the public key with its algorithm, `SubjectPublicKeyInfo` (RFC 7469, section 2.4): a certificate renewed for
/// the same key keeps its pin.
fn pin(certificate: &CertificateDer<'_>) -> Result<String, der::Error> {
    let certificate = Certificate::from_der(certificate)?;
    let key = certificate.tbs_certificate.subject_public_key_info.to_der()?;
    Ok(format!("sha256/{}", STANDARD.encode(Sha256::digest(key))))
}
