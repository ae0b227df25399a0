//! The vault: seals and opens texts, and knows no table.
//!
//! XChaCha20-Poly1305 with a random nonce of 192 bits, which may be drawn for ever without meeting itself. What a text is
//! for, its [`Binding`], is authenticated with it: moved to another row, it does not open.

mod audit_keys;
mod keys;
mod mac;
mod sealed;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chacha20poly1305::{AeadInOut, XNonce};
use lifecycle::Entropy;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::UserId;
use protocol::secret::Secret;

pub use audit_keys::AuditKeys;
pub use keys::{VaultKeys, VaultKeysError};
pub use sealed::Ciphertext;

use self::sealed::Parts;
pub(crate) use self::sealed::head;

/// Seals with the first key, opens with all of them.
#[derive(Debug)]
pub struct Vault {
    keys: VaultKeys,
    entropy: Arc<dyn Entropy>,
}

/// Where a sealed text belongs. It opens only where the same three are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// What it is about: a platform's name, or a word such as `answer`.
    pub scope: &'a str,
    /// Which of the texts there.
    pub column: &'a str,
}

/// Why a text does not open. Nothing here tells of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It was sealed with a key that is no longer in `POSTERN_VAULT_KEYS`.
    #[error("the key that sealed it is unknown")]
    UnknownKey,
    /// It was altered, or sealed for another user, scope or column.
    #[error("it was altered or belongs elsewhere")]
    Altered,
    /// It does not look like anything that a vault has sealed.
    #[error("it is no sealed text")]
    Malformed,
}

impl Vault {
    /// A vault that draws its nonces from `entropy`.
    #[must_use]
    pub fn new(keys: VaultKeys, entropy: Arc<dyn Entropy>) -> Self {
        Self { keys, entropy }
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn encryption_key(&self) -> &str {
        self.keys.first().id()
    }

    /// The ids of the keys that only open.
    pub fn older_keys(&self) -> impl Iterator<Item = &str> {
        self.keys.older()
    }

    /// Seals a text for one place.
    ///
    /// # Panics
    /// With a text of more than 256 GiB, where the cipher's counter ends.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "only a text longer than the cipher's counter fails, and no memory holds one"
    )]
    pub fn encrypt(&self, binding: &Binding<'_>, text: &Secret) -> Ciphertext {
        let key = self.keys.first();
        let nonce = self.entropy.bytes::<{ sealed::NONCE_LEN }>();
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

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn decrypt(&self, binding: &Binding<'_>, sealed: &Ciphertext) -> Result<Secret, VaultError> {
        let parts = sealed.parts().ok_or(VaultError::Malformed)?;
        let key = self.keys.named(parts.key_id).ok_or(VaultError::UnknownKey)?;
        // Of exactly the text's length, so that it becomes the secret itself and no copy is left behind.
        let mut text = parts.ciphertext.to_vec();
        key.cipher()
            .decrypt_inout_detached(
                &XNonce::from(parts.nonce),
                &associated(parts.key_id, binding),
                text.as_mut_slice().into(),
                &parts.tag.into(),
            )
            .map_err(|_says_nothing| VaultError::Altered)?;
        // We seal texts only, so bytes that are none were sealed by somebody else with our key.
        String::from_utf8(text)
            .map(Secret::new)
            .map_err(|_not_text| VaultError::Malformed)
    }
}

/// What is authenticated beside the text: each part behind its length, so that no two bindings are written alike.
fn associated(key_id: &str, binding: &Binding<'_>) -> Vec<u8> {
    let mut bytes = vec![sealed::VERSION];
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
