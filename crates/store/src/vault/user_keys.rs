//! Key of a user in the audit log. What identifies the person is encrypted with it there, and authenticated by a commitment under it,
//! so that the deletion of the key erases these texts from every row and changes none.

use chacha20poly1305::{AeadInOut, KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use lifecycle::{Entropy, OsEntropy};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

use super::audit_keys::{AuditKeySet, keyed};
use super::ciphertext::{self, Ciphertext, Parts};
use super::{Vault, VaultError};

/// Keys of one user, derived from a random one.
pub(crate) struct UserKey {
    id: [u8; ID_LEN],
    encryption: SecretBox<[u8; KEY_LEN]>,
    commitment: SecretBox<[u8; KEY_LEN]>,
}

impl UserKey {
    fn derive(key: &SecretBox<[u8; KEY_LEN]>) -> Self {
        Self {
            id: *prefix(&derived(key, b"postern user key id")),
            encryption: SecretBox::new(Box::new(derived(key, b"postern user key encryption"))),
            commitment: SecretBox::new(Box::new(derived(key, b"postern user key commitment"))),
        }
    }

    /// Encrypts a text for one binding. The result is `key id | commitment | tag | ciphertext`.
    ///
    /// The commitment, an HMAC of binding and text, is also the nonce (a synthetic IV, as in RFC 5297): equal texts in two bindings have
    /// nothing in common, and a binding that is written twice with different texts has different nonces.
    ///
    /// # Panics
    /// If the text is longer than 256 GiB, where the cipher's counter ends.
    #[expect(
        clippy::expect_used,
        reason = "only a text longer than the cipher's counter fails, and no memory holds one"
    )]
    pub(crate) fn protect(&self, binding: &[u8], text: &[u8]) -> Vec<u8> {
        let commitment = self.commit(binding, text);
        let mut body = text.to_vec();
        let tag = self
            .cipher()
            .encrypt_inout_detached(&nonce(&commitment), &[], body.as_mut_slice().into())
            .expect("no text is longer than the cipher's counter");
        let tag: [u8; TAG_LEN] = tag.into();
        [self.id.as_slice(), &commitment, &tag, body.as_slice()].concat()
    }

    /// Text that was protected for this binding. None if it was protected with another key.
    ///
    /// # Errors
    /// [`VaultError::Altered`] if it is not the text of the commitment.
    pub(crate) fn reveal(&self, binding: &[u8], protected: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let (id, rest) = protected.split_first_chunk::<ID_LEN>().ok_or(VaultError::Malformed)?;
        if *id != self.id {
            return Ok(None);
        }
        let (commitment, rest) = rest.split_first_chunk::<KEY_LEN>().ok_or(VaultError::Malformed)?;
        let (tag, body) = rest.split_first_chunk::<TAG_LEN>().ok_or(VaultError::Malformed)?;
        let mut text = body.to_vec();
        self.cipher()
            .decrypt_inout_detached(&nonce(commitment), &[], text.as_mut_slice().into(), &(*tag).into())
            .map_err(|_says_nothing| VaultError::Altered)?;
        let is_committed = self.mac(binding, &text).verify_slice(commitment).is_ok();
        if is_committed {
            Ok(Some(text))
        } else {
            Err(VaultError::Altered)
        }
    }

    fn commit(&self, binding: &[u8], text: &[u8]) -> [u8; KEY_LEN] {
        self.mac(binding, text).finalize().into_bytes().into()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a key leaves its wrapper to key an HMAC, here only"
    )]
    fn mac(&self, binding: &[u8], text: &[u8]) -> Hmac<Sha256> {
        let mac = keyed(self.commitment.expose_secret());
        mac.chain_update((binding.len() as u64).to_be_bytes())
            .chain_update(binding)
            .chain_update(text)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a key leaves its wrapper to become a cipher, here only"
    )]
    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.encryption.expose_secret().into())
    }
}

/// Part of a protected text that says nothing without its key, and identifies the text: id of the key, and commitment.
pub(crate) fn commitment(protected: &[u8]) -> &[u8] {
    protected.get(..ID_LEN + KEY_LEN).unwrap_or(protected)
}

impl AuditKeySet {
    /// Draws the key of a user. Returns it, and how it is stored: encrypted with the first key.
    pub(crate) fn new_user_key(&self, user: &str) -> (UserKey, Ciphertext) {
        let mut key = Box::new([0; KEY_LEN]);
        OsEntropy.fill(key.as_mut_slice());
        let key = SecretBox::new(key);
        let stored = self.encrypt_user_key(user, &key);
        (UserKey::derive(&key), stored)
    }

    /// Key of a user, as it is stored.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn user_key(&self, user: &str, stored: &Ciphertext) -> Result<UserKey, VaultError> {
        Ok(UserKey::derive(&self.decrypt_user_key(user, stored)?))
    }

    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "a key leaves its wrapper to be encrypted, here only; 32 bytes are within the cipher's counter"
    )]
    fn encrypt_user_key(&self, user: &str, key: &SecretBox<[u8; KEY_LEN]>) -> Ciphertext {
        let mut nonce = [0; ciphertext::NONCE_LEN];
        OsEntropy.fill(&mut nonce);
        let first = self.first();
        let mut body = *key.expose_secret();
        let tag = first
            .wrapping_cipher()
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                &associated(first.id(), user),
                body.as_mut_slice().into(),
            )
            .expect("a key is not longer than the cipher's counter");
        Ciphertext::of(&Parts {
            key_id: first.id(),
            nonce,
            ciphertext: &body,
            tag: tag.into(),
        })
    }

    fn decrypt_user_key(&self, user: &str, stored: &Ciphertext) -> Result<SecretBox<[u8; KEY_LEN]>, VaultError> {
        let parts = stored.parts().ok_or(VaultError::Malformed)?;
        let key = self.named(parts.key_id).ok_or(VaultError::UnknownKey)?;
        let body: [u8; KEY_LEN] = parts.ciphertext.try_into().map_err(|_length| VaultError::Malformed)?;
        let mut body = Box::new(body);
        key.wrapping_cipher()
            .decrypt_inout_detached(
                &XNonce::from(parts.nonce),
                &associated(parts.key_id, user),
                body.as_mut_slice().into(),
                &parts.tag.into(),
            )
            .map_err(|_says_nothing| VaultError::Altered)?;
        Ok(SecretBox::new(body))
    }
}

impl Vault {
    /// Encrypts the stored key of a user with the first key.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) fn reencrypt_user_key(&self, user: &str, stored: &Ciphertext) -> Result<Ciphertext, VaultError> {
        let keys = self.keys.get().audit_keys().current();
        let key = keys.decrypt_user_key(user, stored)?;
        Ok(keys.encrypt_user_key(user, &key))
    }
}

/// Associated data of a user's key: each part is preceded by its length.
fn associated(key_id: &str, user: &str) -> Vec<u8> {
    let mut bytes = vec![ciphertext::VERSION];
    for part in [key_id, user, "user key"] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key leaves its wrapper to derive another, here only"
)]
fn derived(key: &SecretBox<[u8; KEY_LEN]>, label: &[u8]) -> [u8; KEY_LEN] {
    keyed(key.expose_secret())
        .chain_update(label)
        .finalize()
        .into_bytes()
        .into()
}

fn nonce(commitment: &[u8; KEY_LEN]) -> XNonce {
    XNonce::from(*prefix::<{ ciphertext::NONCE_LEN }>(commitment))
}

#[expect(clippy::expect_used, reason = "both lengths are constants of this file")]
fn prefix<const N: usize>(bytes: &[u8; KEY_LEN]) -> &[u8; N] {
    bytes.first_chunk().expect("no prefix is longer than a key")
}

const KEY_LEN: usize = 32;
const ID_LEN: usize = 16;
const TAG_LEN: usize = 16;
