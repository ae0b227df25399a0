//! Signed tokens for trials: those of `postern token` and of the demo.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Serialize;

/// Claims of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenClaims<'a> {
    /// User.
    pub(crate) user: &'a UserId,
    /// Session, if the token names one.
    pub(crate) session: Option<&'a SessionId>,
    /// Time of issue.
    pub(crate) issued_at: Timestamp,
    /// Expiry.
    pub(crate) expires_at: Timestamp,
}

/// Signs a token with an HS256 secret, whose bytes are those of its text.
///
/// # Errors
/// The claims cannot be signed.
pub(crate) fn sign(claims: &TokenClaims<'_>, secret: &Secret) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims {
        sub: claims.user.as_str(),
        sid: claims.session.map(SessionId::as_str),
        iat: claims.issued_at.as_secs(),
        exp: claims.expires_at.as_secs(),
    };
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(secret.expose().as_bytes()),
    )
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    iat: i64,
    exp: i64,
}
