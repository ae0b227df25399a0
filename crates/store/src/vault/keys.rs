//! Keys of the vault, in the configuration format `new:base64,old:base64`.

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

/// One or more keys, in order: the first encrypts, all decrypt. A key rotation puts a new key in front.
pub struct VaultKeys {
    first: Key,
    older: Vec<Key>,
}

impl VaultKeys {
    /// Parses `id:base64,id:base64`: each id has 1 to 32 characters of `A-Z`, `a-z`, `0-9`, `-`, `_` and `.`, each key 32 bytes.
    ///
    /// # Errors
    /// [`VaultKeysError`], which counts the keys from 1 and repeats no part of them.
    pub fn parse(text: &Secret) -> Result<Self, VaultKeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, entry) in (1..).zip(text.expose().split(',')) {
            let key = Key::parse(entry.trim(), number)?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(VaultKeysError::IdTwice(number));
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

    /// Keys of the audit log, one for each of these.
    #[must_use]
    pub fn audit_keys(&self) -> AuditKeys {
        AuditKeys::new(self.first.audit_key(), self.older.iter().map(Key::audit_key).collect())
    }

    /// Ids of all keys.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(Key::id)
    }

    pub(super) fn first(&self) -> &Key {
        &self.first
    }

    pub(super) fn older(&self) -> impl Iterator<Item = &str> {
        self.older.iter().map(Key::id)
    }

    /// Ids of the keys that `next` lacks.
    pub(crate) fn missing_in(&self, next: &Self) -> Vec<String> {
        let missing = self.all().filter(|key| next.named(key.id()).is_none());
        missing.map(|key| key.id().to_owned()).collect()
    }

    /// Id of a key that has another value in `next`.
    pub(crate) fn altered_in(&self, next: &Self) -> Option<String> {
        let altered = |key: &&Key| next.named(key.id()).is_some_and(|other| !other.has_value_of(key));
        self.all().find(altered).map(|key| key.id().to_owned())
    }

    pub(super) fn named(&self, id: &str) -> Option<&Key> {
        self.all().find(|key| key.id == id)
    }

    /// All keys, the first one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

impl fmt::Debug for VaultKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKeys({})", 1 + self.older.len())
    }
}

/// Error in a list of keys, with the key's number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultKeysError {
    /// The key has no `id:` in front.
    #[error("key {0} has no id in front: write `id:base64`")]
    NoId(usize),
    /// The id has a wrong length or character.
    #[error("the id of key {0} must have 1 to 32 characters of A-Z, a-z, 0-9, `-`, `_` and `.`")]
    BadId(usize),
    /// The id is that of an earlier key.
    #[error("the id of key {0} is that of an earlier key")]
    IdTwice(usize),
    /// The key is not base64.
    #[error("key {0} is not base64")]
    NotBase64(usize),
    /// The key has another length.
    #[error("key {0} does not have 32 bytes")]
    WrongLength(usize),
}

/// Key and the id by which encrypted texts name it.
pub(super) struct Key {
    id: String,
    bytes: SecretBox<[u8; KEY_LEN]>,
}

impl Key {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "two keys leave their wrappers to be compared, here only"
    )]
    fn has_value_of(&self, other: &Self) -> bool {
        self.bytes.expose_secret() == other.bytes.expose_secret()
    }

    /// Cipher under this key; it wipes its copy of the key when dropped.
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

    /// HMAC key derived from this one, of which it reveals nothing (NIST SP 800-108: HMAC as the derivation function).
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

    fn parse(entry: &str, number: usize) -> Result<Self, VaultKeysError> {
        let (id, base64) = entry.split_once(':').ok_or(VaultKeysError::NoId(number))?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=MAX_ID_LEN).contains(&id.len()) || !id.bytes().all(fits) {
            return Err(VaultKeysError::BadId(number));
        }
        // Larger than a key, so that a key that is too long is distinguished from invalid base64.
        let mut buffer = SecretBox::new(Box::new([0_u8; BUFFER_LEN]));
        let mut bytes = SecretBox::new(Box::new([0_u8; KEY_LEN]));
        let decoded = buffer.expose_secret_mut();
        let length = BASE64.decode_slice(base64, decoded).map_err(|error| match error {
            base64::DecodeSliceError::OutputSliceTooSmall => VaultKeysError::WrongLength(number),
            base64::DecodeSliceError::DecodeError(_) => VaultKeysError::NotBase64(number),
        })?;
        match decoded.first_chunk::<KEY_LEN>() {
            Some(key) if length == KEY_LEN => bytes.expose_secret_mut().copy_from_slice(key),
            _ => return Err(VaultKeysError::WrongLength(number)),
        }
        Ok(Self {
            id: id.to_owned(),
            bytes,
        })
    }
}

/// Ids are shorter than a key in base64, so that swapped ones are detected.
const MAX_ID_LEN: usize = 32;
const KEY_LEN: usize = 32;
const BUFFER_LEN: usize = 64;

/// Standard alphabet (RFC 4648 section 4); padding is optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
