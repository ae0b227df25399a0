//! Claims of a token and their checks.

use std::time::Duration;

use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Identity;
use crate::settings::CLOCK_LEEWAY;
use crate::token_error::TokenError;

/// Claims that are read (RFC 7519, section 4.1; `sid` and `auth_time` of OpenID Connect). They are decoded as any JSON type first: a
/// claim of the wrong type then has an error of its own, and only if the claim is needed.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<Value>,
    sid: Option<Value>,
    iss: Option<Value>,
    aud: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    iat: Option<Value>,
    auth_time: Option<Value>,
    nonce: Option<IgnoredAny>,
    at_hash: Option<IgnoredAny>,
    c_hash: Option<IgnoredAny>,
    /// Token type of Keycloak, which writes it into the claims.
    typ: Option<Value>,
    /// Token type of Cognito.
    token_use: Option<Value>,
}

/// Expected values and bounds of claims.
pub(super) struct ExpectedClaims<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) audience: Option<&'a str>,
    pub(super) max_lifetime: Duration,
}

impl Claims {
    /// Reports whether this is an id token (`OpenID` Connect Core, sections 2 and 3.1.3.6), which grants no access: it has claims that
    /// access tokens never have, or the issuer's type claim says so. An id token without any of them is accepted as an access token
    /// if its audience is the configured one.
    pub(super) fn is_id_token(&self) -> bool {
        let has_type = |claim: &Option<Value>, kind: &str| {
            let value = claim.as_ref().and_then(Value::as_str);
            value.is_some_and(|value| value.eq_ignore_ascii_case(kind))
        };
        self.nonce.is_some()
            || self.at_hash.is_some()
            || self.c_hash.is_some()
            || has_type(&self.typ, "ID")
            || has_type(&self.token_use, "id")
    }

    /// Checks all claims. `exp` has no leeway, because it ends a session. `nbf`, `iat` and `auth_time` have leeway, because clocks
    /// differ; an `auth_time` in the future is refused, because one in milliseconds would be a sign-in that never grows old.
    pub(super) fn check(self, expected: &ExpectedClaims<'_>, now: Timestamp) -> Result<Identity, TokenError> {
        let expires = time(self.exp.as_ref())?.ok_or(TokenError::Times)?;
        if expires <= now {
            return Err(TokenError::Expired);
        }
        let latest = now.plus(CLOCK_LEEWAY);
        if expires > latest.plus(expected.max_lifetime) {
            return Err(TokenError::Lifetime);
        }
        let [starts, issued, authenticated] = [&self.nbf, &self.iat, &self.auth_time].map(|claim| time(claim.as_ref()));
        let (starts, issued, authenticated) = (starts?, issued?, authenticated?);
        if [starts, issued, authenticated]
            .into_iter()
            .flatten()
            .any(|time| time > latest)
        {
            return Err(TokenError::Early);
        }
        if let Some(issuer) = expected.issuer
            && self.iss.as_ref().and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenError::Issuer);
        }
        if let Some(audience) = expected.audience
            && !self.aud.is_some_and(|aud| contains_audience(&aud, audience))
        {
            return Err(TokenError::Audience);
        }
        // StringOrURI (RFC 7519, section 4.1.2): a number could map to more than one user id.
        let user = self.sub.as_ref().and_then(Value::as_str).ok_or(TokenError::Subject)?;
        Ok(Identity {
            user: UserId::new(user).map_err(|_invalid_id| TokenError::Subject)?,
            session: session(self.sid.as_ref())?,
            expires,
            issued,
            authenticated,
        })
    }
}

/// Reports whether `aud`, a string or an array of strings, contains this audience.
fn contains_audience(aud: &Value, audience: &str) -> bool {
    match aud {
        Value::Array(many) => many.iter().any(|one| one.as_str() == Some(audience)),
        one => one.as_str() == Some(audience),
    }
}

/// Session id of `sid`: a string, or an integer, whose decimal form is unique.
fn session(sid: Option<&Value>) -> Result<SessionId, TokenError> {
    let id = match sid {
        None => Some(SessionId::DEFAULT.to_owned()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        Some(Value::Number(number)) => number.as_f64().filter(|id| is_whole(*id)).map(|id| format!("{id:.0}")),
        Some(_) => None,
    };
    SessionId::new(id.ok_or(TokenError::Subject)?).map_err(|_invalid_id| TokenError::Subject)
}

/// Reports whether a float represents exactly one integer.
fn is_whole(number: f64) -> bool {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    number.fract() == 0.0 && number.abs() <= EXACT
}

/// Parses a `NumericDate` (RFC 7519, section 2): seconds since 1970, with or without a fraction, also as a string, as some issuers
/// write it.
fn time(claim: Option<&Value>) -> Result<Option<Timestamp>, TokenError> {
    let Some(claim) = claim else {
        return Ok(None);
    };
    let seconds = match claim {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => text.parse().ok(),
        other => other.as_f64(),
    };
    seconds.map(|seconds| Some(timestamp(seconds))).ok_or(TokenError::Times)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and the timestamp is clamped to the year 9999"
)]
fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1_000.0) as i64)
}
