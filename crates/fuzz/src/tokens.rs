//! Access tokens, and the keys that issuers publish.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway::TokenKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use protocol::secret::Secret;
use sha2::Sha256;

use crate::headed::split;

/// Token: header and claims, a line each, which are signed here; or, without a line break, the token itself.
pub(crate) fn token(bytes: &[u8]) -> bool {
    let key = TokenKey::hs256(&Secret::new(SECRET)).expect("the secret is long enough");
    let token = match split(bytes, b"\n") {
        Some((header, claims)) => signed(header, claims),
        None => String::from_utf8_lossy(bytes).into_owned(),
    };
    gateway::fuzz::accepts_token(&token, key, now())
}

/// JWKS document.
pub(crate) fn key_set(bytes: &[u8]) -> bool {
    gateway::fuzz::usable_keys(bytes).is_some_and(|keys| keys > 0)
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length fits");
    mac.update(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// 14 November 2023: inputs are dated, and keep their meaning.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

const SECRET: &str = "a secret of 32 bytes for fuzzing";
