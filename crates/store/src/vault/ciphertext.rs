//! Encoding of an encrypted text: `version | key id length | key id | nonce (24) | ciphertext | tag (16)`.

use std::fmt;

/// Encrypted text with all that its decryption needs but the key, stored and sent as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext(Vec<u8>);

impl Ciphertext {
    /// Wraps stored bytes. Whether they are an encrypted text shows at decryption.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Id of the key that encrypted it; none if the bytes are not an encrypted text.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.parts().map(|parts| parts.key_id)
    }

    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let mut bytes = prefix(parts.key_id);
        bytes.extend_from_slice(&parts.nonce);
        bytes.extend_from_slice(parts.ciphertext);
        bytes.extend_from_slice(&parts.tag);
        Self(bytes)
    }

    /// Parts of the text; none if the bytes have another format.
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

/// Prefix of all texts that this key has encrypted, and of no others.
pub(crate) fn prefix(key_id: &str) -> Vec<u8> {
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

/// Parts of an encrypted text.
pub(super) struct Parts<'a> {
    pub(super) key_id: &'a str,
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: [u8; TAG_LEN],
}

/// Version of the encoding that is written.
pub(super) const VERSION: u8 = 1;
pub(super) const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
