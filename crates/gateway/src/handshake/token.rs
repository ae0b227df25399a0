//! Whose token is it: JSON Web Tokens (RFC 7519) under one key, or those of an issuer; the algorithm is fixed by the key's kind.

mod claims;
mod key;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{TokenData, decode_header};
use lifecycle::{Entropy, Readiness};
use opentelemetry::metrics::Meter;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use self::claims::Claims;
use super::jwks::{JwksError, JwksSettings, Keeper, Published};

pub use self::key::{InvalidKey, TokenKey};

/// Which tokens are taken.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// What signs them.
    pub keys: TokenKeys,
    /// Their `iss`, checked when set.
    pub issuer: Option<String>,
    /// What their `aud` must hold, checked when set.
    pub audience: Option<String>,
}

/// What signs tokens.
#[derive(Debug, Clone)]
pub enum TokenKeys {
    /// This key.
    Fixed(TokenKey),
    /// The keys that an issuer publishes.
    Published(JwksSettings),
}

/// Proves callers.
#[derive(Debug)]
pub(crate) struct Tokens {
    keys: Keys,
    issuer: Option<String>,
    audience: Option<String>,
}

#[derive(Debug)]
enum Keys {
    Fixed(TokenKey),
    Published(Published),
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

/// Why a token is refused: for a metric. A client is told no more than that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is none.
    Missing,
    /// It is no token.
    Malformed,
    /// It is signed otherwise than our key signs, or says that it is.
    Algorithm,
    /// The issuer publishes no such key, or has not answered for too long.
    Key,
    /// It is not signed by our key.
    Signature,
    /// `exp` is missing or has passed.
    Expired,
    /// `nbf` or `iat` lies ahead.
    Early,
    /// Another issuer.
    Issuer,
    /// Another audience.
    Audience,
    /// Another kind of token than an access token.
    Kind,
    /// `sub` or `sid` cannot be an id.
    Subject,
}

impl Refused {
    /// The metric label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Malformed => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Key => "token_key",
            Self::Signature => "token_signature",
            Self::Expired => "token_expired",
            Self::Early => "token_early",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Subject => "token_subject",
            Self::Kind => "token_kind",
        }
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
    ) -> Result<(Self, Option<Keeper>), JwksError> {
        let (keys, keeper) = match settings.keys {
            TokenKeys::Fixed(key) => (Keys::Fixed(key), None),
            TokenKeys::Published(jwks) => {
                let known = readiness.condition("jwks");
                let (published, keeper) = Published::new(&jwks, known, Arc::clone(entropy), meter)?;
                (Keys::Published(published), Some(keeper))
            }
        };
        let tokens = Self {
            keys,
            issuer: settings.issuer,
            audience: settings.audience,
        };
        Ok((tokens, keeper))
    }

    /// Before [`Tokens::verify`]: where the token names a key that its issuer has not published before, the issuer is asked once,
    /// and waited for.
    pub(crate) async fn look_for_key(&self, token: &str) {
        if let Keys::Published(published) = &self.keys
            && token.len() <= MAX_TOKEN_LEN
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
        if token.len() > MAX_TOKEN_LEN {
            return Err(Refused::Malformed);
        }
        let TokenData { header, claims } = self.decode(token)?;
        // RFC 7515, section 4.1.11: what is critical must be understood, and we know no such extension.
        if header.crit.is_some() {
            return Err(Refused::Malformed);
        }
        if !gives_access(header.typ.as_deref(), &claims) {
            return Err(Refused::Kind);
        }
        claims.check(self.issuer.as_deref(), self.audience.as_deref(), Timestamp::from(now))
    }

    /// The claims, signed by our key. Of the header only `alg`, `kid`, `typ` and `crit` are looked at: a key that a token brings or points to
    /// (`jwk`, `jku`, `x5c`, `x5u`) is the word of whoever made the token.
    fn decode(&self, token: &str) -> Result<TokenData<Claims>, Refused> {
        let decoded = match &self.keys {
            Keys::Fixed(key) => key.decode(token),
            Keys::Published(published) => {
                let header = decode_header(token).map_err(|error| refused(&error))?;
                let keys = published.keys().ok_or(Refused::Key)?;
                keys.find(header.kid.as_deref(), header.alg)?.decode(token)
            }
        };
        decoded.map_err(|error| refused(&error))
    }
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

/// The longest token, in bytes: all are decoded before they are trusted.
const MAX_TOKEN_LEN: usize = 8 * 1024;
