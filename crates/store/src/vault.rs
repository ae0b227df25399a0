//! The vault: encrypts and decrypts texts, and knows no table.
//!
//! XChaCha20-Poly1305 with a random nonce of 192 bits, for which collisions are negligible. The [`Binding`] of a text is
//! authenticated with it as associated data: in another row the text does not decrypt.

mod audit_keys;
mod ciphertext;
mod keys;
mod mac;
mod user_keys;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chacha20poly1305::{AeadInOut, XNonce};
use lifecycle::{Entropy, Reloadable};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::UserId;
use protocol::secret::Secret;

pub use audit_keys::AuditKeys;
pub use ciphertext::Ciphertext;
pub use keys::{VaultKeys, VaultKeysError};

use self::ciphertext::Parts;
pub(crate) use self::ciphertext::prefix;
pub(crate) use self::user_keys::{UserKey, commitment};

/// Encrypts with the first key, decrypts with all keys. The keys may be replaced while texts are encrypted.
#[derive(Debug)]
pub struct Vault {
    keys: Reloadable<VaultKeys>,
    entropy: Arc<dyn Entropy>,
}

/// Associated data of an encrypted text. Decryption succeeds only with the same three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// Owner of the text.
    pub user: &'a UserId,
    /// Scope: a platform's name, or a word such as `answer`.
    pub scope: &'a str,
    /// Column within the scope.
    pub column: &'a str,
}

/// Error of a decryption. It reveals nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The text was encrypted with a key that is no longer in `POSTERN_VAULT_KEYS`.
    #[error("its encryption key is unknown")]
    UnknownKey,
    /// The text was altered, or encrypted for another user, scope or column.
    #[error("it was altered or belongs to another row")]
    Altered,
    /// The bytes do not have the format of an encrypted text.
    #[error("it is not an encrypted text")]
    Malformed,
}

impl Vault {
    /// Creates a vault that draws its nonces from `entropy`.
    #[must_use]
    pub fn new(keys: VaultKeys, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            keys: Reloadable::new(keys),
            entropy,
        }
    }

    /// Replaces the keys. [`crate::check_key_change`] comes before it.
    pub fn replace_keys(&self, keys: VaultKeys) {
        self.keys.set(keys);
    }

    /// Current keys.
    #[must_use]
    pub fn keys(&self) -> Arc<VaultKeys> {
        self.keys.get()
    }

    /// Id of the key that encrypts.
    #[must_use]
    pub fn encryption_key(&self) -> String {
        self.keys.get().first().id().to_owned()
    }

    /// Ids of the keys that only decrypt.
    #[must_use]
    pub fn older_keys(&self) -> Vec<String> {
        self.keys.get().older().map(str::to_owned).collect()
    }

    /// Encrypts a text for one binding.
    ///
    /// # Panics
    /// If the text is longer than 256 GiB, where the cipher's counter ends.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "only a text longer than the cipher's counter fails, and no memory holds one"
    )]
    pub fn encrypt(&self, binding: &Binding<'_>, text: &Secret) -> Ciphertext {
        let keys = self.keys.get();
        let key = keys.first();
        let nonce = self.entropy.bytes::<{ ciphertext::NONCE_LEN }>();
        let mut body = text.expose().as_bytes().to_vec();
        let tag = key
            .cipher()
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                &associated(key.id(), binding),
                body.as_mut_slice().into(),
            )
            .expect("no text is longer than the cipher's counter");
        Ciphertext::of(&Parts {
            key_id: key.id(),
            nonce,
            ciphertext: &body,
            tag: tag.into(),
        })
    }

    /// Decrypts a text that was encrypted for this binding.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn decrypt(&self, binding: &Binding<'_>, ciphertext: &Ciphertext) -> Result<Secret, VaultError> {
        let parts = ciphertext.parts().ok_or(VaultError::Malformed)?;
        let keys = self.keys.get();
        let key = keys.named(parts.key_id).ok_or(VaultError::UnknownKey)?;
        // The buffer has exactly the text's length, so that it becomes the secret itself and no copy remains.
        let mut text = parts.ciphertext.to_vec();
        key.cipher()
            .decrypt_inout_detached(
                &XNonce::from(parts.nonce),
                &associated(parts.key_id, binding),
                text.as_mut_slice().into(),
                &parts.tag.into(),
            )
            .map_err(|_says_nothing| VaultError::Altered)?;
        // The vault encrypts UTF-8 only, so other bytes were encrypted by somebody else who has the key.
        String::from_utf8(text)
            .map(Secret::new)
            .map_err(|_not_text| VaultError::Malformed)
    }
}

/// Associated data of a text: each part is preceded by its length, so that different bindings never have the same encoding.
fn associated(key_id: &str, binding: &Binding<'_>) -> Vec<u8> {
    let mut bytes = vec![ciphertext::VERSION];
    for part in [key_id, binding.user.as_str(), binding.scope, binding.column] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

impl Fault for VaultError {
    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}
