//! Verification of JSON Web Tokens (RFC 7519) with configured keys or the issuer's JWKS. The key type fixes the algorithm.

mod claims;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{TokenData, decode_header};
use jwks::{FixedKeys, Jwks, JwksError, JwksRefresher, KeyNotFound, TokenKey};
use lifecycle::{Dependencies, Entropy, Latch, Reloadable};
use opentelemetry::metrics::Meter;
use protocol::answer::Failure;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use self::claims::{Claims, ExpectedClaims};
use crate::settings::{TokenKeys, TokenLimits, TokenSettings};
use crate::token_error::TokenError;

/// Verifier of access tokens.
#[derive(Debug)]
pub(crate) struct TokenVerifier {
    keys: KeySource,
    issuer: Option<String>,
    audience: Option<String>,
    limits: TokenLimits,
}

#[derive(Debug)]
enum KeySource {
    Fixed(Reloadable<FixedKeys>),
    Jwks(Jwks),
}

/// Identity proven by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// User: `sub`.
    pub(crate) user: UserId,
    /// Session: `sid`, or `default`.
    pub(crate) session: SessionId,
    /// Expiry: `exp`.
    pub(crate) expires: Timestamp,
    /// Time of issue: `iat`.
    pub(crate) issued: Option<Timestamp>,
    /// Time of the last authentication with a password or the like: `auth_time` of OpenID Connect.
    pub(crate) authenticated: Option<Timestamp>,
}

impl Identity {
    /// Time of the last sign-in: `auth_time`, else `iat`.
    pub(crate) fn signed_in(&self) -> Option<Timestamp> {
        self.authenticated.or(self.issued)
    }
}

impl TokenVerifier {
    /// Builds the verifier, and releases the latch once it has a key. With a JWKS, the returned task fetches the keys.
    ///
    /// # Errors
    /// [`JwksError`].
    pub(crate) fn new(
        settings: TokenSettings,
        (loaded, dependencies): (Latch, &Dependencies),
        entropy: &Arc<dyn Entropy>,
        meter: &Meter,
    ) -> Result<(Self, Option<JwksRefresher>), JwksError> {
        let (keys, refresher) = match settings.keys {
            TokenKeys::Fixed(keys) => {
                loaded.release();
                (KeySource::Fixed(keys), None)
            }
            TokenKeys::Jwks(jwks) => {
                let issuer = dependencies.named("jwks");
                let (cache, refresher) = Jwks::new(&jwks, (loaded, issuer), Arc::clone(entropy), meter)?;
                (KeySource::Jwks(cache), Some(refresher))
            }
        };
        let verifier = Self {
            keys,
            issuer: settings.issuer,
            audience: settings.audience,
            limits: settings.limits,
        };
        Ok((verifier, refresher))
    }

    /// Fetches the JWKS if the token names an unknown key id. Called before [`TokenVerifier::verify`], which does not wait.
    pub(crate) async fn fetch_unknown_key(&self, token: &str) {
        if let KeySource::Jwks(cache) = &self.keys
            && token.len() <= self.limits.max_bytes
            && let Ok(header) = decode_header(token)
            && let Some(kid) = header.kid
        {
            cache.fetch_unknown_key(&kid).await;
        }
    }

    /// Verifies a token at this time.
    ///
    /// # Errors
    /// [`TokenError`] of the first check that fails.
    pub(crate) fn verify(&self, token: &str, now: SystemTime) -> Result<Identity, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > self.limits.max_bytes {
            return Err(TokenError::TooLarge);
        }
        let TokenData { header, claims } = self.decode(token)?;
        // RFC 7515, section 4.1.11: an unknown critical header must be refused, and no extension is supported.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        if !is_access_token(header.typ.as_deref(), &claims) {
            return Err(TokenError::Kind);
        }
        let expected = ExpectedClaims {
            issuer: self.issuer.as_deref(),
            audience: self.audience.as_deref(),
            max_lifetime: self.limits.max_lifetime,
        };
        claims.check(&expected, Timestamp::from(now))
    }

    /// Converts an error to the response for the client. A bound set by the operator is named in the message.
    pub(crate) fn failure(&self, error: TokenError) -> Failure {
        let TokenLimits {
            max_bytes,
            max_lifetime,
        } = self.limits;
        let failure = Failure::of_token(error.fault());
        let message = match error {
            TokenError::TooLarge => format!("The token is longer than {max_bytes} bytes."),
            TokenError::Lifetime => format!(
                "The token's `exp` lies more than {} s ahead (POSTERN_JWT_MAX_LIFETIME); it is in seconds, not milliseconds.",
                max_lifetime.as_secs()
            ),
            _ => failure.message,
        };
        Failure { message, ..failure }
    }

    /// Verifies the signature and decodes the claims. Of the header only `alg`, `kid`, `typ` and `crit` are read: a key embedded in or
    /// referenced by the token (`jwk`, `jku`, `x5c`, `x5u`) is chosen by its sender and never used.
    fn decode(&self, token: &str) -> Result<TokenData<Claims>, TokenError> {
        let header = decode_header(token).map_err(|error| token_error(&error))?;
        let decoded = match &self.keys {
            KeySource::Fixed(keys) => {
                let keys = keys.get();
                let of_algorithm = keys.keys().iter().filter(|key| key.algorithm() == header.alg);
                let candidates: Vec<&TokenKey> = of_algorithm.collect();
                if candidates.is_empty() {
                    return Err(TokenError::Algorithm);
                }
                decode_with_any(&candidates, token)
            }
            KeySource::Jwks(cache) => {
                let keys = cache.keys().ok_or(TokenError::Key)?;
                let candidates = keys
                    .find(header.kid.as_deref(), header.alg)
                    .map_err(|error| match error {
                        KeyNotFound::UnknownKey => TokenError::Key,
                        KeyNotFound::OtherAlgorithm => TokenError::Algorithm,
                    })?;
                decode_with_any(&candidates, token)
            }
        };
        decoded.map_err(|error| token_error(&error))
    }
}

/// Decodes the claims with the first of these keys that verifies the signature.
fn decode_with_any(keys: &[&TokenKey], token: &str) -> Result<TokenData<Claims>, jsonwebtoken::errors::Error> {
    let mut decoded = Err(ErrorKind::InvalidSignature.into());
    for key in keys {
        decoded = key.decode(token);
        let wrong_key = matches!(&decoded, Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature));
        if !wrong_key {
            break;
        }
    }
    decoded
}

/// Reports whether a token is an access token. `at+jwt` (RFC 9068, section 2.1) is one; without `typ`, or with the unspecific `JWT`,
/// the claims must not be those of an id token; every other type has another use (RFC 8725, section 3.11).
fn is_access_token(kind: Option<&str>, claims: &Claims) -> bool {
    let kind = kind.map(str::to_ascii_lowercase);
    // RFC 7515, section 4.1.9: the prefix may be left out.
    match kind
        .as_deref()
        .map(|kind| kind.strip_prefix("application/").unwrap_or(kind))
    {
        Some("at+jwt") => true,
        None | Some("jwt") => !claims.is_id_token(),
        Some(_) => false,
    }
}

fn token_error(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::MissingAlgorithm => {
            TokenError::Algorithm
        }
        ErrorKind::InvalidSignature => TokenError::Signature,
        _ => TokenError::Malformed,
    }
}
