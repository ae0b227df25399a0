//! Keys of the audit log, each derived from a key of the vault, so that a verifier of the log cannot decrypt tokens.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::{Hmac, Mac};
use lifecycle::Reloadable;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

/// Keys of the audit log that may be replaced. Clones share them.
#[derive(Clone)]
pub struct AuditKeys {
    current: Reloadable<AuditKeySet>,
}

/// Signs with the key derived from the vault's first key, verifies with all: rows written before a key rotation remain verifiable
/// as long as their vault key is kept.
pub(crate) struct AuditKeySet {
    first: AuditKey,
    older: Vec<AuditKey>,
}

/// Audit key with the id of the vault key from which it is derived: one part signs rows, one encrypts the keys of users.
pub(super) struct AuditKey {
    id: String,
    bytes: SecretBox<[u8; MAC_LEN]>,
    wrapping: SecretBox<[u8; MAC_LEN]>,
}

impl AuditKeys {
    pub(super) fn new(first: AuditKey, older: Vec<AuditKey>) -> Self {
        Self {
            current: Reloadable::new(AuditKeySet { first, older }),
        }
    }

    /// Replaces the keys for all clones.
    pub fn replace(&self, keys: &Self) {
        self.current.set(keys.current.get());
    }

    /// Current keys, for one row: the id and the MAC are of the same key.
    pub(crate) fn current(&self) -> Arc<AuditKeySet> {
        self.current.get()
    }
}

impl AuditKeySet {
    /// Id of the key that signs.
    pub(crate) fn id(&self) -> &str {
        &self.first.id
    }

    /// Signs with the first key.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; MAC_LEN] {
        self.first.mac(message).finalize().into_bytes().into()
    }

    /// Verifies a MAC with the key of this id, in constant time. None if there is no such key.
    pub(crate) fn check(&self, id: &str, message: &[u8], mac: &[u8]) -> Option<bool> {
        let key = self.named(id)?;
        Some(key.mac(message).verify_slice(mac).is_ok())
    }

    pub(super) fn first(&self) -> &AuditKey {
        &self.first
    }

    pub(super) fn named(&self, id: &str) -> Option<&AuditKey> {
        let mut keys = std::iter::once(&self.first).chain(&self.older);
        keys.find(|key| key.id == id)
    }
}

impl AuditKey {
    /// Derives each part: HMAC-SHA-256 of a fixed label under the vault's key, a pseudorandom function as in HKDF-Expand (RFC 5869
    /// section 2.3) of one block.
    pub(super) fn derive(id: &str, vault_key: &[u8]) -> Self {
        let part = |label: &[u8]| {
            let bytes = keyed(vault_key).chain_update(label).finalize().into_bytes().into();
            SecretBox::new(Box::new(bytes))
        };
        Self {
            id: id.to_owned(),
            bytes: part(LABEL),
            wrapping: part(WRAPPING_LABEL),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Cipher for the keys of users.
    #[expect(
        clippy::disallowed_methods,
        reason = "a key leaves its wrapper to become a cipher, here only"
    )]
    pub(super) fn wrapping_cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.wrapping.expose_secret().into())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a key leaves its wrapper to key an HMAC, here only"
    )]
    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        keyed(self.bytes.expose_secret()).chain_update(message)
    }
}

impl fmt::Debug for AuditKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKeys({})", 1 + self.current().older.len())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 section 2)")]
pub(super) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC accepts keys of any length")
}

const LABEL: &[u8] = b"postern audit log\x01";
const WRAPPING_LABEL: &[u8] = b"postern user keys\x01";
const MAC_LEN: usize = 32;
