//! Secrets that sign webhooks, and the signatures (Standard Webhooks 1.0, "Signature scheme").

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use protocol::secret::Secret;
use protocol::time::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Secrets that sign webhooks. All of them sign, so that a receiver may know an old or a new one while they are rotated.
#[derive(Clone)]
pub struct AppWebhookSecrets(Vec<Zeroizing<Vec<u8>>>);

/// Text that has no secrets for webhooks. The error repeats no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppWebhookSecrets {
    /// No secret, or too many.
    #[error("has 1 to {MAX_SECRETS} secrets, comma separated")]
    Number,
    /// A secret has another form.
    #[error("secret {0} is not `whsec_` and base64: `whsec_$(head -c 32 /dev/urandom | base64)`")]
    Form(usize),
    /// A secret has too few or too many bytes.
    #[error("secret {0} has fewer than {MIN_BYTES} or more than {MAX_BYTES} bytes")]
    Length(usize),
}

impl AppWebhookSecrets {
    /// Parses secrets: `whsec_<base64>,...`, each of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`InvalidAppWebhookSecrets`].
    pub fn parse(text: &Secret) -> Result<Self, InvalidAppWebhookSecrets> {
        let entries = text.expose().split([',', '\n']).map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        let secrets = (1..).zip(entries).map(|(number, entry)| secret(entry, number));
        let secrets: Vec<_> = secrets.collect::<Result<_, _>>()?;
        if (1..=MAX_SECRETS).contains(&secrets.len()) {
            Ok(Self(secrets))
        } else {
            Err(InvalidAppWebhookSecrets::Number)
        }
    }

    /// Value of `webhook-signature` for a request: a signature by each secret, that of the first one first.
    #[must_use]
    pub fn sign(&self, id: &str, sent_at: Timestamp, body: &str) -> String {
        let content = format!("{id}.{}.{body}", sent_at.as_secs());
        let signatures = self.0.iter().map(|secret| signature(secret, &content));
        signatures.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for AppWebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppWebhookSecrets({})", self.0.len())
    }
}

fn secret(entry: &str, number: usize) -> Result<Zeroizing<Vec<u8>>, InvalidAppWebhookSecrets> {
    let base64 = entry.strip_prefix("whsec_");
    let bytes = base64.and_then(|base64| LENIENT.decode(base64).ok());
    let bytes = Zeroizing::new(bytes.ok_or(InvalidAppWebhookSecrets::Form(number))?);
    if (MIN_BYTES..=MAX_BYTES).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(InvalidAppWebhookSecrets::Length(number))
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn signature(secret: &[u8], content: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
    mac.update(content.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const MAX_SECRETS: usize = 5;
const MIN_BYTES: usize = 24;
const MAX_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<AppWebhookSecrets, InvalidAppWebhookSecrets> {
        AppWebhookSecrets::parse(&Secret::new(text))
    }

    /// Vector of the specification's reference libraries.
    #[test]
    fn signature_is_that_of_the_reference_libraries() {
        let secrets = parsed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let sent_at = Timestamp::from_millis(1_614_265_330_000);
        let signature = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_secret_signs_and_the_first_one_first() {
        let [old, new] = ["A", "B"].map(|character| format!("whsec_{}", character.repeat(44)));
        let signed = |text: &str| parsed(text).unwrap().sign("e-1", Timestamp::from_millis(0), "{}");
        let both = signed(&format!("{new}, {old}\n"));
        assert_eq!(both, format!("{} {}", signed(&new), signed(&old)));
    }

    #[test]
    fn text_that_is_no_secret_is_refused_without_quoting_it() {
        let good = format!("whsec_{}", "A".repeat(43));
        for (text, refused) in [
            (String::new(), InvalidAppWebhookSecrets::Number),
            ([good.as_str(); 6].join(","), InvalidAppWebhookSecrets::Number),
            (format!("{good},{}", "A".repeat(44)), InvalidAppWebhookSecrets::Form(2)),
            ("whsec_s3cret!".to_owned(), InvalidAppWebhookSecrets::Form(1)),
            ("whsec_c2hvcnQ=".to_owned(), InvalidAppWebhookSecrets::Length(1)),
            (
                format!("whsec_{}", "A".repeat(100)),
                InvalidAppWebhookSecrets::Length(1),
            ),
        ] {
            let error = parsed(&text).unwrap_err();
            assert_eq!(error, refused, "{text}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert!(!format!("{:?}", parsed(&good).unwrap()).contains("AA"));
    }
}
