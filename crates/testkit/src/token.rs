//! JSON Web Tokens, valid and invalid (RFC 7519, RFC 7515).

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};

use crate::fail::OrFail as _;

/// Issuer's signer: a key of its own, and its signature under any claims.
#[derive(Clone)]
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    /// Key of the verifier: the shared secret, or the public key as PEM.
    verifier: String,
}

impl Signer {
    /// HS256 with a new secret of 43 characters.
    pub fn hs256() -> Self {
        Self::hs256_with(&random_text())
    }

    /// HS256 with this secret.
    pub fn hs256_with(secret: &str) -> Self {
        let key = EncodingKey::from_secret(secret.as_bytes());
        Self {
            algorithm: Algorithm::HS256,
            key,
            verifier: secret.to_owned(),
        }
    }

    /// ES256 with a new key.
    pub fn es256() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).or_fail("make a key for ES256");
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).or_fail("make a key for ES256");
        Self {
            algorithm: Algorithm::ES256,
            key,
            verifier: pair.public_key_pem(),
        }
    }

    /// `EdDSA` on Ed25519 with a new key.
    pub fn eddsa() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).or_fail("make a key for EdDSA");
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).or_fail("make a key for EdDSA");
        Self {
            algorithm: Algorithm::EdDSA,
            key,
            verifier: pair.public_key_pem(),
        }
    }

    /// RS256 with a new key of 2048 bits, which takes a second: share it between checks.
    pub fn rs256() -> Self {
        let pair = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).or_fail("make a key for RS256");
        let private = pair.to_pkcs8_pem(LineEnding::LF).or_fail("make a key for RS256");
        let public = pair
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .or_fail("make a key for RS256");
        let key = EncodingKey::from_rsa_pem(private.as_bytes()).or_fail("make a key for RS256");
        Self {
            algorithm: Algorithm::RS256,
            key,
            verifier: public,
        }
    }

    /// Key of the verifier: the shared secret of HS256, else the public key as PEM.
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Token with these claims and the usual header.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({ "alg": self.algorithm, "typ": "JWT" }), claims)
    }

    /// Token with any header, whatever its `alg`; the signature is of this signer's own algorithm.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).or_fail("sign a token");
        format!("{message}.{signature}")
    }

    /// Published key under an id (RFC 7517); for a shared secret, what an issuer must never publish.
    pub fn jwk(&self, kid: &str) -> Value {
        let verifier = self.verifier.as_bytes();
        let key = match self.algorithm {
            Algorithm::RS256 => DecodingKey::from_rsa_pem(verifier),
            Algorithm::ES256 => DecodingKey::from_ec_pem(verifier),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(verifier),
            _ => Ok(DecodingKey::from_secret(verifier)),
        };
        let key = key.or_fail("publish a key");
        let mut jwk = Jwk::from_decoding_key(&key, Some(self.algorithm)).or_fail("publish a key");
        jwk.common.key_id = Some(kid.to_owned());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        json!(jwk)
    }

    /// Valid token of `user` for an hour, with the id of its key.
    pub fn token_with_kid(&self, kid: &str, user: &str) -> String {
        let header = json!({ "alg": self.algorithm, "typ": "JWT", "kid": kid });
        self.sign_with(&header, &claims(user, Duration::from_secs(3600)))
    }

    /// Valid token of `user` for an hour.
    pub fn token(&self, user: &str) -> String {
        self.sign(&claims(user, Duration::from_secs(3600)))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Claims of an ordinary token: `sub`, `iat` now and `exp` after `life`. The session is the default one.
pub fn claims(user: &str, life: Duration) -> Value {
    let now = now();
    json!({ "sub": user, "iat": now, "exp": now + life.as_secs() })
}

/// Claims of a token that expired ten seconds ago, which only a verifier without leeway refuses.
pub fn expired_claims(user: &str) -> Value {
    let now = now();
    json!({ "sub": user, "iat": now - 3600, "exp": now - 10 })
}

/// Token with `alg` `none` and no signature (RFC 7519 section 6).
pub fn unsigned(claims: &Value) -> String {
    format!(
        "{}.{}.",
        encode(&json!({ "alg": "none", "typ": "JWT" })),
        encode(claims)
    )
}

/// Valid token with one bit of its signature changed.
pub fn with_altered_signature(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').or_fail("find a token's signature");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).or_fail("read a token's signature");
    if let Some(first) = signature.first_mut() {
        *first ^= 1;
    }
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Token signed as HS256 with a public key as the secret: accepted by a verifier that lets the token choose the algorithm (RFC
/// 8725 section 2.1).
pub fn algorithm_confusion(public_key_pem: &str, claims: &Value) -> String {
    Signer::hs256_with(public_key_pem).sign(claims)
}

/// Seconds since 1970, by the clock of the processes under test.
#[expect(
    clippy::disallowed_methods,
    reason = "tokens are made for other processes, which read the machine's clock"
)]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map(|since| since.as_secs())
        .unwrap_or_default()
}

/// 256 random bits as URL-safe text that begins with a letter, so that no command line takes it for an option.
pub fn random_text() -> String {
    format!("t{}", URL_SAFE_NO_PAD.encode(random_bytes()))
}

/// 256 random bits.
pub(crate) fn random_bytes() -> [u8; 32] {
    use rsa::rand_core::RngCore as _;
    let mut bytes = [0; 32];
    rsa::rand_core::OsRng.fill_bytes(&mut bytes);
    bytes
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}
