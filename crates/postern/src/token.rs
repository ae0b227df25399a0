//! `postern token`: tokens for trials.

use lifecycle::Clock;
use protocol::id::{InvalidId, SessionId, UserId};
use protocol::time::Timestamp;

use crate::cli::TokenArgs;
use crate::config::ConfigError;
use crate::dev::{Identity, IdentityError, dir};
use crate::signed_token::{TokenClaims, sign};

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
    let session = args.sid.as_deref().map(SessionId::new).transpose()?;
    let secret = match args.secret.secret()? {
        Some(secrets) if args.dir.dir.is_none() => gateway::signing_secret(&secrets).ok_or(TokenError::EmptySecret)?,
        _ => Identity::existing(&dir::resolve(&args.dir))
            .jwt_secret()
            .map_err(TokenError::NoSecret)?,
    };
    let now = Timestamp::from(clock.now());
    let claims = TokenClaims {
        user: &user,
        session: session.as_ref(),
        issued_at: now,
        expires_at: now.plus(args.ttl),
    };
    Ok(sign(&claims, &secret)?)
}
