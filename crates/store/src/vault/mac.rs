//! HMACs of codes that are only compared: a copy of the rows neither reveals them nor lets them be tried.
//!
//! Codes that expire within minutes use a key of the vault itself. Codes that are kept longer use a key that is stored encrypted
//! beside them, so that it outlives the vault's.

use hmac::{Hmac, KeyInit as _, Mac as _};
use protocol::secret::Secret;
use sha2::Sha256;

use super::keys::Key;
use super::{Binding, Ciphertext, Vault, VaultError, associated};

impl Vault {
    /// HMAC-SHA256 of a text and its binding, under a key derived from the first one.
    #[must_use]
    pub fn mac(&self, binding: &Binding<'_>, text: &Secret) -> [u8; 32] {
        mac(self.keys.get().first(), binding, text)
    }

    /// HMAC-SHA256 of a text without a user, for counters over all users.
    #[must_use]
    pub fn mac_without_user(&self, label: &str, text: &Secret) -> [u8; 32] {
        let mut mac = self.keys.get().first().mac_key();
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(text.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Results of [`Vault::mac`] under each key, to find what was written before a key rotation.
    #[must_use]
    pub fn macs(&self, binding: &Binding<'_>, text: &Secret) -> Vec<[u8; 32]> {
        self.keys.get().all().map(|key| mac(key, binding, text)).collect()
    }

    /// New key for [`Vault::mac_under`], encrypted for this binding.
    #[must_use]
    pub fn new_mac_key(&self, binding: &Binding<'_>) -> Ciphertext {
        // As many random bits as the HMAC has.
        let key = [self.entropy.token(), self.entropy.token()].concat();
        self.encrypt(binding, &Secret::new(key))
    }

    /// HMAC-SHA256 of a text under an encrypted key.
    ///
    /// # Errors
    /// [`VaultError`] if the key cannot be decrypted.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 section 2)")]
    pub fn mac_under(&self, key: &Ciphertext, binding: &Binding<'_>, text: &Secret) -> Result<[u8; 32], VaultError> {
        let key = self.decrypt(binding, key)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("any length is a key");
        mac.update(text.expose().as_bytes());
        Ok(mac.finalize().into_bytes().into())
    }
}

fn mac(key: &Key, binding: &Binding<'_>, text: &Secret) -> [u8; 32] {
    let mut mac = key.mac_key();
    mac.update(&associated(key.id(), binding));
    mac.update(text.expose().as_bytes());
    mac.finalize().into_bytes().into()
}
