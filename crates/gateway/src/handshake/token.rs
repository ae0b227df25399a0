//! Whose token is it: JSON Web Tokens (RFC 7519) under one key, or those of an issuer; the algorithm is fixed by the key's kind.

mod claims;
mod key;
mod refused;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{TokenData, decode_header};
use lifecycle::{Entropy, Readiness};
use opentelemetry::metrics::Meter;
use protocol::answer::Failure;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use self::claims::{Claims, Demands};
use super::jwks::{Jwks, JwksError, JwksRefresher, JwksSettings};

pub use self::key::{InvalidKey, TokenKey};
pub(crate) use self::refused::Refused;

/// Which tokens are taken.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// What signs them.
    pub keys: TokenKeys,
    /// Their `iss`, checked when set.
    pub issuer: Option<String>,
    /// What their `aud` must hold, checked when set.
    pub audience: Option<String>,
    /// How large they may be, and for how long good.
    pub limits: TokenLimits,
}

/// Bounds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimits {
    /// In bytes: all of them are decoded before they are trusted.
    pub max_bytes: usize,
    /// How far ahead `exp` may lie, beside a minute for clocks that differ.
    pub max_lifetime: Duration,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024,
            max_lifetime: Duration::from_secs(31 * 24 * 60 * 60),
        }
    }
}

/// What signs tokens.
#[derive(Debug, Clone)]
pub enum TokenKeys {
    /// This key.
    Fixed(TokenKey),
    /// The keys that an issuer publishes.
    Jwks(JwksSettings),
}

/// Proves callers.
#[derive(Debug)]
pub(crate) struct Tokens {
    keys: Keys,
    issuer: Option<String>,
    audience: Option<String>,
    limits: TokenLimits,
}

#[derive(Debug)]
enum Keys {
    Fixed(TokenKey),
    Jwks(Jwks),
}

/// What a token proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Whose it is: `sub`.
    pub(crate) user: UserId,
    /// Of which session: `sid`, or `default`.
    pub(crate) session: SessionId,
    /// Until when: `exp`.
    pub(crate) expires: Timestamp,
    /// When it was issued: `iat`.
    pub(crate) issued: Option<Timestamp>,
    /// When the user last gave a password or the like: `auth_time` of OpenID Connect.
    pub(crate) authenticated: Option<Timestamp>,
}

impl Identity {
    /// When the user last signed in, as far as the token says.
    pub(crate) fn signed_in(&self) -> Option<Timestamp> {
        self.authenticated.or(self.issued)
    }
}

impl Tokens {
    /// Takes tokens as the settings say. Published keys are fetched by the keeper, and the node is not ready without them.
    ///
    /// # Errors
    /// [`JwksError`].
    pub(crate) fn new(
        settings: TokenSettings,
        readiness: &Readiness,
        entropy: &Arc<dyn Entropy>,
        meter: &Meter,
    ) -> Result<(Self, Option<JwksRefresher>), JwksError> {
        let (keys, keeper) = match settings.keys {
            TokenKeys::Fixed(key) => (Keys::Fixed(key), None),
            TokenKeys::Jwks(jwks) => {
                let known = readiness.condition("jwks");
                let (published, keeper) = Jwks::new(&jwks, known, Arc::clone(entropy), meter)?;
                (Keys::Jwks(published), Some(keeper))
            }
        };
        let tokens = Self {
            keys,
            issuer: settings.issuer,
            audience: settings.audience,
            limits: settings.limits,
        };
        Ok((tokens, keeper))
    }

    /// Before [`Tokens::verify`]: where the token names a key that its issuer has not published before, the issuer is asked once,
    /// and waited for.
    pub(crate) async fn look_for_key(&self, token: &str) {
        if let Keys::Jwks(published) = &self.keys
            && token.len() <= self.limits.max_bytes
            && let Ok(header) = decode_header(token)
            && let Some(kid) = header.kid
        {
            published.look_for(&kid).await;
        }
    }

    /// Proves who brings this token, at this time.
    ///
    /// # Errors
    /// [`Refused`], whatever is wrong first.
    pub(crate) fn verify(&self, token: &str, now: SystemTime) -> Result<Identity, Refused> {
        if token.is_empty() {
            return Err(Refused::Missing);
        }
        if token.len() > self.limits.max_bytes {
            return Err(Refused::TooLarge);
        }
        let TokenData { header, claims } = self.decode(token)?;
        // RFC 7515, section 4.1.11: what is critical must be understood, and we know no such extension.
        if header.crit.is_some() {
            return Err(Refused::Malformed);
        }
        if !gives_access(header.typ.as_deref(), &claims) {
            return Err(Refused::Kind);
        }
        let demands = Demands {
            issuer: self.issuer.as_deref(),
            audience: self.audience.as_deref(),
            max_lifetime: self.limits.max_lifetime,
        };
        claims.check(&demands, Timestamp::from(now))
    }

    /// The refusal, as the owner of the token may read it. What depends on a setting names the setting.
    pub(crate) fn failure(&self, refused: Refused) -> Failure {
        let TokenLimits {
            max_bytes,
            max_lifetime,
        } = self.limits;
        let failure = Failure::of_token(refused.fault());
        let message = match refused {
            Refused::TooLarge => format!("The token is longer than {max_bytes} bytes."),
            Refused::Lifetime => format!(
                "The token's `exp` lies more than {} s ahead (POSTERN_JWT_MAX_LIFETIME); it is in seconds, not milliseconds.",
                max_lifetime.as_secs()
            ),
            _ => failure.message,
        };
        Failure { message, ..failure }
    }

    /// The claims, signed by our key. Of the header only `alg`, `kid`, `typ` and `crit` are looked at: a key that a token brings or points to
    /// (`jwk`, `jku`, `x5c`, `x5u`) is the word of whoever made the token.
    fn decode(&self, token: &str) -> Result<TokenData<Claims>, Refused> {
        let decoded = match &self.keys {
            Keys::Fixed(key) => key.decode(token),
            Keys::Jwks(published) => {
                let header = decode_header(token).map_err(|error| refused(&error))?;
                let keys = published.keys().ok_or(Refused::Key)?;
                decode_by_any(&keys.find(header.kid.as_deref(), header.alg)?, token)
            }
        };
        decoded.map_err(|error| refused(&error))
    }
}

/// The claims, signed by one of these keys, of which there is at least one.
fn decode_by_any(keys: &[&TokenKey], token: &str) -> Result<TokenData<Claims>, jsonwebtoken::errors::Error> {
    let mut decoded = Err(ErrorKind::InvalidSignature.into());
    for key in keys {
        decoded = key.decode(token);
        let is_of_another = matches!(&decoded, Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature));
        if !is_of_another {
            break;
        }
    }
    decoded
}

/// Whether a token is an access token. One whose header says so (RFC 9068, section 2.1) is believed; one of no kind, or `JWT`, which
/// says nothing, must not look like an id token; every other kind is meant for something else (RFC 8725, section 3.11).
fn gives_access(kind: Option<&str>, claims: &Claims) -> bool {
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

fn refused(error: &jsonwebtoken::errors::Error) -> Refused {
    match error.kind() {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::MissingAlgorithm => {
            Refused::Algorithm
        }
        ErrorKind::InvalidSignature => Refused::Signature,
        _ => Refused::Malformed,
    }
}
