//! Key that verifies tokens. Its kind fixes the algorithm, so no token can choose one (RFC 8725, section 3.1).

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, decode};
use protocol::secret::Secret;
use serde::de::DeserializeOwned;

/// Key with the one algorithm that it verifies.
#[derive(Clone)]
pub struct TokenKey {
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// Cause of a key that is unusable or too weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Secret below the minimum of RFC 7518, section 3.2.
    #[error("an HS256 secret has at least 32 bytes")]
    ShortSecret,
    /// Modulus below the minimum of RFC 7518, section 3.3.
    #[error("an RS256 key has at least 2048 bits")]
    ShortRsa,
    /// A private key, a certificate, another curve, or no PEM at all.
    #[error("a public key is a PEM `PUBLIC KEY` of RSA, the curve P-256 or Ed25519")]
    Unusable,
}

impl TokenKey {
    /// HS256 under this secret.
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

    /// RS256, ES256 or `EdDSA`, by the kind of the public key.
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

    /// RS256, from a published key's modulus and exponent (RFC 7518, section 6.3.1).
    pub(crate) fn rsa(n: &str, e: &str) -> Result<Self, InvalidKey> {
        let (n, e) = (base64url(n), base64url(e));
        let modulus = URL_SAFE_NO_PAD.decode(&n).map_err(|_no_base64| InvalidKey::Unusable)?;
        let leading_zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        if modulus.len() - leading_zeros < MIN_RSA_LEN {
            return Err(InvalidKey::ShortRsa);
        }
        let decoding = DecodingKey::from_rsa_components(&n, &e).map_err(|_no_base64| InvalidKey::Unusable)?;
        Ok(Self {
            algorithm: Algorithm::RS256,
            decoding,
        })
    }

    /// ES256, from a published key's point on P-256 (RFC 7518, section 6.2.1).
    pub(crate) fn p256(x: &str, y: &str) -> Result<Self, InvalidKey> {
        on_p256(
            DecodingKey::from_ec_components(&base64url(x), &base64url(y)).map_err(|_no_base64| InvalidKey::Unusable)?,
        )
    }

    /// `EdDSA`, from a published key on Ed25519 (RFC 8037, section 2).
    pub(crate) fn ed25519(x: &str) -> Result<Self, InvalidKey> {
        on_ed25519(DecodingKey::from_ed_components(&base64url(x)).map_err(|_no_base64| InvalidKey::Unusable)?)
    }

    /// Algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Header and claims of a token that names this algorithm and is signed by this key. No claim is checked.
    ///
    /// # Errors
    /// The token is malformed, names another algorithm, or has another signature.
    pub fn decode<Claims: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<TokenData<Claims>, jsonwebtoken::errors::Error> {
        let mut validation = Validation::new(self.algorithm);
        // The library reads the system's clock and has a leeway of its own: callers check every claim.
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

/// Number of a published key in the encoding of RFC 7515, section 2: some issuers pad it, or use the other alphabet of RFC 4648.
fn base64url(text: &str) -> String {
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// RSA key; `None` for another kind of key.
fn rsa(pem: &str) -> Option<Result<TokenKey, InvalidKey>> {
    let decoding = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    let components = aws_lc::DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key;
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
    DecodingKey::from_ec_pem(pem.as_bytes()).ok().map(on_p256)
}

fn eddsa(pem: &str) -> Option<Result<TokenKey, InvalidKey>> {
    DecodingKey::from_ed_pem(pem.as_bytes()).ok().map(on_ed25519)
}

fn on_p256(decoding: DecodingKey) -> Result<TokenKey, InvalidKey> {
    // A point of P-256 (SEC 1, section 2.3.3); the verifier would refuse every token under another curve.
    let fits = decoding
        .try_get_as_bytes()
        .is_ok_and(|point| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok());
    fits.then_some(TokenKey {
        algorithm: Algorithm::ES256,
        decoding,
    })
    .ok_or(InvalidKey::Unusable)
}

fn on_ed25519(decoding: DecodingKey) -> Result<TokenKey, InvalidKey> {
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

/// Length in bytes.
const MIN_SECRET_LEN: usize = 32;
/// Length of the modulus in bytes.
const MIN_RSA_LEN: usize = 256;
/// Length in bytes (RFC 8032, section 5.1.5).
const ED25519_LEN: usize = 32;
