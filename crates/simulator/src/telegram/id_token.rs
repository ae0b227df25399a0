//! ID tokens, and the key that signs them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, errors::Error};
use serde_json::{Value, json};
use time::UtcDateTime;

use crate::{account::Account, grant::CLIENT_ID, platform::Platform, response_format::ResponseFormat};

/// Claims about this account, signed by the issuer of the simulator at this base URL.
pub(super) fn signed(
    response_format: ResponseFormat,
    base: &str,
    login: &str,
    now: UtcDateTime,
) -> Result<String, Error> {
    let account = Account::named(login);
    let picture = format!("{base}{}", account.avatar_path(Platform::Telegram));
    let Account { login, id, name } = account;
    let claims = json!({
        "iss": format!("{base}/telegram"),
        "aud": CLIENT_ID,
        // Another number than the id, so that a client that confuses the two fails.
        "sub": format!("{}", u64::from(id) + (1 << 60)),
        "id": id,
        "name": name,
        "preferred_username": login,
        "picture": picture,
        "iat": now.unix_timestamp(),
        "exp": now.unix_timestamp() + 3_600,
    });
    let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": KEY_ID }).to_string();
    let parts = [header.into_bytes(), response_format.write(claims)].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = parts.join(".");
    let der = [PKCS8_HEAD, &PRIVATE].concat();
    let signature = sign(signed.as_bytes(), &EncodingKey::from_ed_der(&der), Algorithm::EdDSA)?;
    Ok(format!("{signed}.{signature}"))
}

/// Key set.
pub(super) fn published() -> Value {
    let x = URL_SAFE_NO_PAD.encode(PUBLIC);
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": KEY_ID, "x": x }] })
}

const KEY_ID: &str = "simulated";

/// Ed25519 key of RFC 8032, section 7.1, test 1: it is public, so no real service trusts it.
const PRIVATE: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5,
    0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

const PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

/// Prefix of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8_HEAD: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
