//! Whose token is it: JSON Web Tokens (RFC 7519) under one key, whose algorithm is fixed by its kind.

mod claims;
mod key;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{TokenData, Validation, decode};
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use self::claims::Claims;

pub use self::key::{InvalidKey, TokenKey};

/// Which tokens are taken.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// What signs them.
    pub key: TokenKey,
    /// Their `iss`, checked when set.
    pub issuer: Option<String>,
    /// What their `aud` must hold, checked when set.
    pub audience: Option<String>,
}

/// Proves callers.
#[derive(Debug)]
pub(crate) struct Tokens {
    settings: TokenSettings,
    validation: Validation,
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

/// Why a token is refused: for a metric. A client is told no more than that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is none.
    Missing,
    /// It is no token.
    Malformed,
    /// It is signed otherwise than our key signs, or says that it is.
    Algorithm,
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
            Self::Signature => "token_signature",
            Self::Expired => "token_expired",
            Self::Early => "token_early",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Subject => "token_subject",
        }
    }
}

impl Tokens {
    /// Takes tokens as the settings say.
    pub(crate) fn new(settings: TokenSettings) -> Self {
        let mut validation = Validation::new(settings.key.algorithm());
        // The library reads the system's clock and has leeway of its own: every claim is checked here instead.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { settings, validation }
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
        let TokenData { header, claims } =
            decode::<Claims>(token, self.settings.key.decoding(), &self.validation).map_err(|error| refused(&error))?;
        // RFC 7515, section 4.1.11: what is critical must be understood, and we know no such extension.
        if header.crit.is_some() {
            return Err(Refused::Malformed);
        }
        claims.check(&self.settings, Timestamp::from(now))
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
