//! Identities from Telegram, by widget and by `id_token`. Each is signed here, so that the code behind the signature check is reached.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::{Serializer, parse};

use crate::answers::{BOT_TOKEN, telegram_login};
use crate::headed::split;

/// Data of the Login Widget, which a client sends as a code: unchanged; or, with `&hash=` at its end, the query of the redirect,
/// whose hash is made here.
pub(crate) fn widget(bytes: &[u8]) -> bool {
    let code = String::from_utf8_lossy(bytes);
    match code.strip_suffix("&hash=") {
        Some(query) => telegram_login(&with_hash(query), b""),
        None => telegram_login(&code, b""),
    }
}

/// `id_token`: header and claims, a line each.
pub(crate) fn id_token(bytes: &[u8]) -> bool {
    let (header, claims) = split(bytes, b"\n").unwrap_or((b"", bytes));
    let key = SigningKey::from_bytes(&[7; 32]);
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).to_bytes());
    let issued = json!({ "access_token": "a", "token_type": "Bearer", "id_token": format!("{text}.{signature}") });
    let public = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    let published = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": public }] });
    telegram_login("code", format!("{issued}\n---\n{published}").as_bytes())
}

fn with_hash(query: &str) -> String {
    let fields: BTreeMap<_, _> = parse(query.as_bytes()).into_owned().collect();
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let key = Sha256::digest(BOT_TOKEN);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length fits");
    mac.update(lines.join("\n").as_bytes());
    Serializer::new(String::new())
        .extend_pairs(parse(query.as_bytes()))
        .append_pair("hash", &HEXLOWER.encode(&mac.finalize().into_bytes()))
        .finish()
}
