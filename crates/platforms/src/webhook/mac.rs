//! HMAC-SHA256 over a body, and comparisons in constant time.

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use protocol::secret::Secret;
use sha2::Sha256;

use super::WebhookError;

/// Checks that `signature` is the body's under this secret.
pub(super) fn verify(secret: &Secret, body: &[u8], signature: &[u8]) -> Result<(), WebhookError> {
    let mac = keyed(secret, body).ok_or(WebhookError::InvalidSignature)?;
    mac.verify_slice(signature)
        .map_err(|_differs| WebhookError::InvalidSignature)
}

/// Signature of the body under this secret.
pub(super) fn sign(secret: &Secret, body: &[u8]) -> Vec<u8> {
    keyed(secret, body).map_or_else(Vec::new, |mac| mac.finalize().into_bytes().to_vec())
}

/// Reports whether a received secret is ours. Both are signed under a key that is unknown to the sender, so that the time reveals
/// neither bytes nor length.
pub(super) fn is_equal(ours: &Secret, theirs: &str) -> bool {
    let signed = sign(ours, theirs.as_bytes());
    verify(ours, ours.expose().as_bytes(), &signed).is_ok()
}

/// HMAC with this key; any length is valid.
fn keyed(secret: &Secret, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(body);
    Some(mac)
}

/// Bytes of a text in hexadecimal digits.
pub(super) fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}
