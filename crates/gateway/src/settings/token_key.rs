//! Verification key of tokens. The key type fixes the algorithm: the `alg` header of a token selects nothing (RFC 8725, section 3.1).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::rust_crypto;
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, decode};
use protocol::secret::Secret;
use serde::de::DeserializeOwned;

/// Verification key with the one algorithm it is used for.
#[derive(Clone)]
pub struct TokenKey {
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// Error for a key that is unusable or too weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// HS256 secret shorter than RFC 7518, section 3.2, requires.
    #[error("an HS256 secret must have at least 32 bytes")]
    ShortSecret,
    /// RSA modulus shorter than RFC 7518, section 3.3, requires.
    #[error("an RS256 key must have at least 2048 bits")]
    ShortRsa,
    /// Private key, certificate, unsupported curve, or input that is not PEM.
    #[error("a public key must be a PEM `PUBLIC KEY` of RSA, the curve P-256 or Ed25519")]
    Unusable,
}

impl TokenKey {
    /// Builds an HS256 key from a shared secret.
    ///
    /// # Errors
    /// [`InvalidKey::ShortSecret`].
    pub fn hs256(secret: &Secret) -> Result<Self, InvalidKey> {
        let secret = secret.expose().as_bytes();
        if secret.len() < MIN_SECRET_LEN {
            return Err(InvalidKey::ShortSecret);
        }
        Ok(Self {
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(secret),
        })
    }

    /// Builds an RS256, ES256 or `EdDSA` key from a PEM public key; the key type decides.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn public_pem(pem: &str) -> Result<Self, InvalidKey> {
        if !PUBLIC_HEADERS.iter().any(|header| pem.contains(header)) {
            return Err(InvalidKey::Unusable);
        }
        rsa(pem)
            .or_else(|| ecdsa(pem))
            .or_else(|| eddsa(pem))
            .unwrap_or(Err(InvalidKey::Unusable))
    }

    /// Builds an RS256 key from the modulus and exponent of a JWK (RFC 7518, section 6.3.1).
    pub(crate) fn rsa(n: &str, e: &str) -> Result<Self, InvalidKey> {
        let (n, e) = (base64url(n), base64url(e));
        let modulus = URL_SAFE_NO_PAD
            .decode(&n)
            .map_err(|_invalid_base64| InvalidKey::Unusable)?;
        let leading_zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        if modulus.len() - leading_zeros < MIN_RSA_LEN {
            return Err(InvalidKey::ShortRsa);
        }
        let decoding = DecodingKey::from_rsa_components(&n, &e).map_err(|_invalid_base64| InvalidKey::Unusable)?;
        Ok(Self {
            algorithm: Algorithm::RS256,
            decoding,
        })
    }

    /// Builds an ES256 key from the coordinates of a JWK on P-256 (RFC 7518, section 6.2.1).
    pub(crate) fn p256(x: &str, y: &str) -> Result<Self, InvalidKey> {
        es256_key(
            DecodingKey::from_ec_components(&base64url(x), &base64url(y))
                .map_err(|_invalid_base64| InvalidKey::Unusable)?,
        )
    }

    /// Builds an `EdDSA` key from a JWK on Ed25519 (RFC 8037, section 2).
    pub(crate) fn ed25519(x: &str) -> Result<Self, InvalidKey> {
        eddsa_key(DecodingKey::from_ed_components(&base64url(x)).map_err(|_invalid_base64| InvalidKey::Unusable)?)
    }

    /// Returns the algorithm that the key verifies.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Verifies the signature and the `alg` header of a token and returns its header and claims.
    pub(crate) fn decode<Claims: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<TokenData<Claims>, jsonwebtoken::errors::Error> {
        let mut validation = Validation::new(self.algorithm);
        // jsonwebtoken reads the system clock and adds leeway of its own: `handshake::token::claims` checks all claims instead.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        decode(token, &self.decoding, &validation)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Normalizes a JWK member to base64url without padding (RFC 7515, section 2). Some issuers write padding or the standard alphabet.
fn base64url(text: &str) -> String {
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// Returns `None` for another type of key.
fn rsa(pem: &str) -> Option<Result<TokenKey, InvalidKey>> {
    let decoding = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    let components = rust_crypto::DEFAULT_PROVIDER
        .key_utils
        .rsa_pub_components_from_public_key;
    let modulus = decoding
        .try_get_as_bytes()
        .and_then(components)
        .map(|(modulus, _)| modulus);
    Some(match modulus {
        Ok(modulus) if modulus.len() < MIN_RSA_LEN => Err(InvalidKey::ShortRsa),
        Ok(_) => Ok(TokenKey {
            algorithm: Algorithm::RS256,
            decoding,
        }),
        Err(_) => Err(InvalidKey::Unusable),
    })
}

fn ecdsa(pem: &str) -> Option<Result<TokenKey, InvalidKey>> {
    DecodingKey::from_ec_pem(pem.as_bytes()).ok().map(es256_key)
}

fn eddsa(pem: &str) -> Option<Result<TokenKey, InvalidKey>> {
    DecodingKey::from_ed_pem(pem.as_bytes()).ok().map(eddsa_key)
}

fn es256_key(decoding: DecodingKey) -> Result<TokenKey, InvalidKey> {
    // An uncompressed point of P-256 (SEC 1, section 2.3.3). With a key on another curve every verification would fail.
    let fits = jsonwebtoken::crypto::verify("", b"", &decoding, Algorithm::ES256).is_ok();
    fits.then_some(TokenKey {
        algorithm: Algorithm::ES256,
        decoding,
    })
    .ok_or(InvalidKey::Unusable)
}

fn eddsa_key(decoding: DecodingKey) -> Result<TokenKey, InvalidKey> {
    let fits = decoding
        .try_get_as_bytes()
        .is_ok_and(|bytes| bytes.len() == ED25519_LEN);
    fits.then_some(TokenKey {
        algorithm: Algorithm::EdDSA,
        decoding,
    })
    .ok_or(InvalidKey::Unusable)
}

const PUBLIC_HEADERS: [&str; 2] = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"];

/// Minimum length of an HS256 secret, in bytes.
const MIN_SECRET_LEN: usize = 32;
/// Minimum length of an RSA modulus, in bytes.
const MIN_RSA_LEN: usize = 256;
/// Length of an Ed25519 public key, in bytes (RFC 8032, section 5.1.5).
const ED25519_LEN: usize = 32;
