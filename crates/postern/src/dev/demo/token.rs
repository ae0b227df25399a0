//! `POST /demo/api/token`: a token, as the application's server issues it after a sign-in.

use std::time::Duration;

use protocol::id::SessionId;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Demo;
use super::refusal::Refusal;
use crate::signed_token::{TokenClaims, sign};

/// Body of the request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TokenRequest {
    user_id: String,
    /// Session; a fresh one if absent.
    session_id: Option<String>,
    /// Lifetime in seconds.
    lifetime: Option<u64>,
}

/// Issued token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IssuedToken {
    /// Token, for the page alone.
    token: String,
    user_id: String,
    session_id: SessionId,
    expires_at: Timestamp,
}

impl Demo {
    /// Issues a token.
    pub(super) fn issue_token(&self, request: &TokenRequest) -> Result<IssuedToken, Refusal> {
        let user = Self::user(&request.user_id)?;
        let lifetime = request.lifetime.unwrap_or(USUAL_LIFETIME);
        if !(MIN_LIFETIME..=MAX_LIFETIME).contains(&lifetime) {
            let message = format!("lifetime: {MIN_LIFETIME} to {MAX_LIFETIME} seconds were expected");
            return Err(Refusal::bad_request(message));
        }
        let session = request.session_id.clone().unwrap_or_else(|| self.entropy.token());
        let session = SessionId::new(session).map_err(|_invalid_id| {
            Refusal::bad_request("sessionId: 1 to 128 printable ASCII characters were expected")
        })?;
        let issued_at = Timestamp::from(self.clock.now());
        // A token has whole seconds.
        let issued_at = Timestamp::from_millis(issued_at.as_secs() * 1_000);
        let expires_at = issued_at.plus(Duration::from_secs(lifetime));
        let claims = TokenClaims {
            user: &user,
            session: Some(&session),
            issued_at,
            expires_at,
        };
        let token = sign(&claims, &self.jwt_secret).map_err(|error| {
            tracing::error!(%error, "demo token not signed");
            Refusal::unavailable()
        })?;
        Ok(IssuedToken {
            token,
            user_id: request.user_id.clone(),
            session_id: session,
            expires_at,
        })
    }
}

/// Lifetimes in seconds.
const USUAL_LIFETIME: u64 = 15 * 60;
const MIN_LIFETIME: u64 = 5;
const MAX_LIFETIME: u64 = 60 * 60;
