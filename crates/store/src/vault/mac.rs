//! Codes that need never be read again are kept as their HMAC: who copies the rows can neither read nor try them.

use hmac::Mac as _;
use protocol::secret::Secret;

use super::keys::Key;
use super::{Binding, Vault, associated};

impl Vault {
    /// HMAC-SHA256 over a text and its place, under a key derived from the first one.
    #[must_use]
    pub fn mac(&self, binding: &Binding<'_>, text: &Secret) -> [u8; 32] {
        mac(self.keys.first(), binding, text)
    }

    /// The same under each key, to find what was written before a rotation.
    #[must_use]
    pub fn macs(&self, binding: &Binding<'_>, text: &Secret) -> Vec<[u8; 32]> {
        self.keys.all().map(|key| mac(key, binding, text)).collect()
    }
}

fn mac(key: &Key, binding: &Binding<'_>, text: &Secret) -> [u8; 32] {
    let mut mac = key.mac_key();
    mac.update(&associated(key.id(), binding));
    mac.update(text.expose().as_bytes());
    mac.finalize().into_bytes().into()
}
