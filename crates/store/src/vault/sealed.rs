//! How a sealed text is laid out: `version | key id length | key id | nonce (24) | ciphertext | tag (16)`.

use std::fmt;

/// A sealed text: all that is needed to open it but the key. It is stored and sent as its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext(Vec<u8>);

impl Ciphertext {
    /// Takes bytes that were stored. Whether they are a sealed text shows when they are opened.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id of the key that sealed it; none when the bytes are no sealed text.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.parts().map(|parts| parts.key_id)
    }

    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let mut bytes = head(parts.key_id);
        bytes.extend_from_slice(&parts.nonce);
        bytes.extend_from_slice(parts.ciphertext);
        bytes.extend_from_slice(&parts.tag);
        Self(bytes)
    }

    /// None when the bytes have another shape.
    pub(super) fn parts(&self) -> Option<Parts<'_>> {
        let (&[version, id_len], rest) = self.0.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let (key_id, rest) = rest.split_at_checked(id_len.into())?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (ciphertext, tag) = rest.split_last_chunk()?;
        Some(Parts {
            key_id: std::str::from_utf8(key_id).ok()?,
            nonce: *nonce,
            ciphertext,
            tag: *tag,
        })
    }
}

/// What every text begins with that this key has sealed, and no other text does.
pub(crate) fn head(key_id: &str) -> Vec<u8> {
    let id_len = u8::try_from(key_id.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![VERSION, id_len];
    bytes.extend_from_slice(key_id.as_bytes());
    bytes
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A sealed text taken apart.
pub(super) struct Parts<'a> {
    pub(super) key_id: &'a str,
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: [u8; TAG_LEN],
}

/// The layout written today.
pub(super) const VERSION: u8 = 1;
pub(super) const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
