//! `postern token`: tokens for trials.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lifecycle::Clock;
use protocol::id::{InvalidId, UserId};
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Serialize;

use crate::cli::TokenArgs;
use crate::config::ConfigError;
use crate::dev::{Identity, IdentityError, dir};

/// Failure to create a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Invalid user or session id.
    #[error("--user and --sid")]
    Id(#[from] InvalidId),
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No signing secret was given or found.
    #[error("set POSTERN_JWT_HS256_SECRET, or start `postern dev` first")]
    NoSecret(#[source] IdentityError),
    /// The secret has nothing but line breaks.
    #[error("POSTERN_JWT_HS256_SECRET is empty")]
    EmptySecret,
    /// Signing failed.
    #[error("sign the token")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Creates a token.
///
/// # Errors
/// [`TokenError`].
pub(crate) fn create(args: &TokenArgs, clock: &dyn Clock) -> Result<String, TokenError> {
    let user = UserId::new(&args.user)?;
    let session = args.sid.as_deref().map(protocol::id::SessionId::new).transpose()?;
    let secret = match args.secret.secret()? {
        Some(secrets) if args.dir.dir.is_none() => gateway::signing_secret(&secrets).ok_or(TokenError::EmptySecret)?,
        _ => Identity::existing(&dir::resolve(&args.dir))
            .jwt_secret()
            .map_err(TokenError::NoSecret)?,
    };
    let now = Timestamp::from(clock.now());
    let claims = Claims {
        sub: user.as_str(),
        sid: session.as_ref().map(|sid| sid.as_str()),
        iat: now.as_secs(),
        exp: now.plus(args.ttl).as_secs(),
    };
    Ok(sign(&claims, &secret)?)
}

fn sign(claims: &Claims<'_>, secret: &Secret) -> Result<String, jsonwebtoken::errors::Error> {
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        claims,
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
