//! The vault's keys, as an operator writes them: `new:base64,old:base64`.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::{Hmac, Mac as _};
use protocol::secret::Secret;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use sha2::Sha256;

use super::audit_keys::{AuditKey, AuditKeys};

/// One or more keys, in order: the first seals, all open. To rotate, a new key is put in front.
pub struct VaultKeys {
    first: Key,
    older: Vec<Key>,
}

impl VaultKeys {
    /// Reads `id:base64,id:base64`: each id has 1 to 32 letters, digits, `-`, `_` or `.`, each key 32 bytes.
    ///
    /// # Errors
    /// [`VaultKeysError`], which counts the keys from 1 and repeats no part of them.
    pub fn parse(text: &Secret) -> Result<Self, VaultKeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (place, entry) in (1..).zip(text.expose().split(',')) {
            let key = Key::parse(entry.trim(), place)?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(VaultKeysError::IdTwice(place));
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(VaultKeysError::NoId(1))?;
        Ok(Self {
            first,
            older: keys.collect(),
        })
    }

    /// The audit log's keys, one for each of these.
    #[must_use]
    pub fn audit_keys(&self) -> AuditKeys {
        AuditKeys::new(self.first.audit_key(), self.older.iter().map(Key::audit_key).collect())
    }

    pub(super) fn first(&self) -> &Key {
        &self.first
    }

    pub(super) fn older(&self) -> impl Iterator<Item = &str> {
        self.older.iter().map(Key::id)
    }

    pub(super) fn named(&self, id: &str) -> Option<&Key> {
        self.all().find(|key| key.id == id)
    }

    /// The first, then the older ones.
    pub(super) fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

impl fmt::Debug for VaultKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKeys({})", 1 + self.older.len())
    }
}

/// What is wrong with a list of keys. The number is the key's place, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultKeysError {
    /// No `id:` in front.
    #[error("key {0} has no id in front: write `id:base64`")]
    NoId(usize),
    /// An id that cannot be one.
    #[error("the id of key {0} needs 1 to 32 letters, digits, `-`, `_` or `.`")]
    BadId(usize),
    /// An id that an earlier key has.
    #[error("the id of key {0} is an earlier key's too")]
    IdTwice(usize),
    /// A key that is no base64.
    #[error("key {0} is not base64")]
    NotBase64(usize),
    /// A key of another length.
    #[error("key {0} has not 32 bytes")]
    WrongLength(usize),
}

/// A key and the name that sealed texts know it by.
pub(super) struct Key {
    id: String,
    bytes: SecretBox<[u8; KEY_LEN]>,
}

impl Key {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The cipher under this key; it wipes its copy of the key when dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "a key leaves its wrapper to become a cipher, here only"
    )]
    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a key leaves its wrapper to derive another, here only"
    )]
    fn audit_key(&self) -> AuditKey {
        AuditKey::derive(&self.id, self.bytes.expose_secret())
    }

    /// A key for HMAC that tells nothing of this one (NIST SP 800-108: HMAC as the derivation function).
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "a key leaves its wrapper to become another key, here only; HMAC takes keys of any length"
    )]
    pub(super) fn mac_key(&self) -> Hmac<Sha256> {
        let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        let mut derive = keyed(self.bytes.expose_secret());
        derive.update(b"postern vault mac");
        keyed(&derive.finalize().into_bytes())
    }

    fn parse(entry: &str, place: usize) -> Result<Self, VaultKeysError> {
        let (id, base64) = entry.split_once(':').ok_or(VaultKeysError::NoId(place))?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=MAX_ID_LEN).contains(&id.len()) || !id.bytes().all(fits) {
            return Err(VaultKeysError::BadId(place));
        }
        // More room than a key needs, so that one that is too long is told from one that is garbled.
        let mut capacity = SecretBox::new(Box::new([0_u8; ROOM]));
        let mut bytes = SecretBox::new(Box::new([0_u8; KEY_LEN]));
        let decoded = capacity.expose_secret_mut();
        let length = BASE64.decode_slice(base64, decoded).map_err(|error| match error {
            base64::DecodeSliceError::OutputSliceTooSmall => VaultKeysError::WrongLength(place),
            base64::DecodeSliceError::DecodeError(_) => VaultKeysError::NotBase64(place),
        })?;
        match decoded.first_chunk::<KEY_LEN>() {
            Some(key) if length == KEY_LEN => bytes.expose_secret_mut().copy_from_slice(key),
            _ => return Err(VaultKeysError::WrongLength(place)),
        }
        Ok(Self {
            id: id.to_owned(),
            bytes,
        })
    }
}

/// Ids are short and their key in base64 is longer, so that one written in the other's place is noticed.
const MAX_ID_LEN: usize = 32;
const KEY_LEN: usize = 32;
const ROOM: usize = 64;

/// The usual alphabet (RFC 4648 section 4); its padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
