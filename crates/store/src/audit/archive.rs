//! Archives: files with the rows of a partition, each described by a signed manifest.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::chain::joined;
use crate::vault::AuditKeys;

/// Manifest of an archive. Its signature covers all other fields, and with the hash the whole file: personal data, which no row's MAC covers
/// but by a commitment, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveManifest {
    /// Version of the format.
    pub v: u32,
    /// End of the archived times, exclusive, in milliseconds since 1970.
    pub before: i64,
    /// Name of the file, in the directory of the manifest.
    pub file: String,
    /// Size of the file.
    pub bytes: u64,
    /// Number of rows, one a line.
    pub rows: u64,
    /// Number of chains with rows.
    pub chains: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Id of the vault key from which the signature's key is derived.
    pub key: String,
    /// HMAC-SHA-256, in hexadecimal digits.
    pub signature: String,
}

/// Reason why a manifest is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// A newer release has written it.
    #[error("it has an unknown version")]
    UnknownVersion,
    /// The key of its signature is unknown.
    #[error("its key is not among POSTERN_VAULT_KEYS")]
    UnknownKey,
    /// The signature is not valid for it.
    #[error("it was altered, or is of another deployment")]
    Altered,
}

impl ArchiveManifest {
    /// Version that is written.
    pub const VERSION: u32 = 1;

    /// Signs the manifest with the first key.
    #[must_use]
    pub fn signed(mut self, keys: &AuditKeys) -> Self {
        let keys = keys.current();
        keys.id().clone_into(&mut self.key);
        self.signature = HEXLOWER.encode(&keys.sign(&self.message()));
        self
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// [`ManifestFault`].
    pub fn verify(&self, keys: &AuditKeys) -> Result<(), ManifestFault> {
        if self.v != Self::VERSION {
            return Err(ManifestFault::UnknownVersion);
        }
        let signature = HEXLOWER
            .decode(self.signature.as_bytes())
            .map_err(|_invalid| ManifestFault::Altered)?;
        match keys.current().check(&self.key, &self.message(), &signature) {
            Some(true) => Ok(()),
            Some(false) => Err(ManifestFault::Altered),
            None => Err(ManifestFault::UnknownKey),
        }
    }

    fn message(&self) -> Vec<u8> {
        joined([
            LABEL,
            &self.v.to_be_bytes(),
            &self.before.to_be_bytes(),
            self.file.as_bytes(),
            &self.bytes.to_be_bytes(),
            &self.rows.to_be_bytes(),
            &self.chains.to_be_bytes(),
            self.sha256.as_bytes(),
            self.key.as_bytes(),
        ])
    }
}

const LABEL: &[u8] = b"audit archive 1";
