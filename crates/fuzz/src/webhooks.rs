//! Deliveries of platforms: headers and a body. A signature that an input lacks is made here, so that the code behind the check is
//! reached.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use platforms::{Request, WebhookVerifier};
use protocol::account::AccountType;
use protocol::secret::Secret;
use sha2::Sha256;

use crate::guarantees::check_addressed;
use crate::headed::Headed;
use crate::tokens::now;

pub(crate) fn github(bytes: &[u8]) -> bool {
    let delivery = Headed::read(bytes);
    let signature = format!("sha256={}", HEXLOWER.encode(&mac(delivery.body)));
    let defaults = [
        ("x-hub-signature-256", signature.as_str()),
        ("x-github-event", "issue_comment"),
        ("x-github-delivery", "d-1"),
    ];
    read(AccountType::Github, SECRET, &delivery, &defaults)
}

/// Delivery of X. The body is tried as the token of a challenge too.
pub(crate) fn x_twitter(bytes: &[u8]) -> bool {
    let delivery = Headed::read(bytes);
    let signature = format!("sha256={}", STANDARD.encode(mac(delivery.body)));
    let defaults = [("x-twitter-webhooks-signature", signature.as_str())];
    let is_read = read(AccountType::XTwitter, SECRET, &delivery, &defaults);
    let token = String::from_utf8_lossy(delivery.body);
    let is_answered = hook(AccountType::XTwitter, SECRET).answer_challenge(&token).is_ok();
    assert!(!(is_read && is_answered), "a delivery can be signed by asking for it");
    is_read
}

pub(crate) fn discord(bytes: &[u8]) -> bool {
    let delivery = Headed::read(bytes);
    let key = SigningKey::from_bytes(&[7; 32]);
    let timestamp = delivery.header("x-signature-timestamp").unwrap_or("1700000000");
    let signed = [timestamp.as_bytes(), delivery.body].concat();
    let signature = HEXLOWER.encode(&key.sign(&signed).to_bytes());
    let defaults = [
        ("x-signature-timestamp", timestamp),
        ("x-signature-ed25519", signature.as_str()),
    ];
    let public = HEXLOWER.encode(key.verifying_key().as_bytes());
    read(AccountType::Discord, &public, &delivery, &defaults)
}

pub(crate) fn telegram(bytes: &[u8]) -> bool {
    let defaults = [("x-telegram-bot-api-secret-token", SECRET)];
    read(AccountType::Telegram, SECRET, &Headed::read(bytes), &defaults)
}

fn read(platform: AccountType, secret: &str, delivery: &Headed<'_>, defaults: &[(&str, &str)]) -> bool {
    let header = |name: &str| {
        let default = || {
            defaults
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value)
        };
        delivery.header(name).or_else(default).map(ToOwned::to_owned)
    };
    let request = Request {
        header: &header,
        body: delivery.body,
    };
    let Ok(delivered) = hook(platform, secret).read(&request, now()) else {
        return false;
    };
    assert!((1..=128).contains(&delivered.id.len()) && delivered.id.bytes().all(|byte| byte.is_ascii_graphic()));
    delivered.notifications.iter().for_each(check_addressed);
    true
}

fn hook(platform: AccountType, secret: &str) -> WebhookVerifier {
    WebhookVerifier::new(platform, &Secret::new(secret)).expect("the secret is one of the platform's")
}

fn mac(body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length fits");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

const SECRET: &str = "It's a Secret to Everybody";
