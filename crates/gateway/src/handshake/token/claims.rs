//! What a token claims, and whether that holds.

use std::time::Duration;

use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Identity, Refused};

/// The claims that are looked at (RFC 7519, section 4.1; `sid` and `auth_time` of OpenID Connect), of any type at first: what is of a
/// wrong one is refused by its own name, and only where it is needed.
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
    /// Kind of the token by Keycloak, which has it in the claims.
    typ: Option<Value>,
    /// Kind of the token by Cognito.
    token_use: Option<Value>,
}

/// What claims must meet here.
pub(super) struct Demands<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) audience: Option<&'a str>,
    pub(super) max_lifetime: Duration,
}

impl Claims {
    /// Whether the token says who signed in at an application, and gives no access (`OpenID` Connect Core, sections 2 and 3.1.3.6):
    /// it has claims that no access token has, or its issuer says so. An id token that shows none of them passes for an access
    /// token where its audience is the configured one.
    pub(super) fn is_id_token(&self) -> bool {
        let says = |claim: &Option<Value>, kind: &str| {
            let said = claim.as_ref().and_then(Value::as_str);
            said.is_some_and(|said| said.eq_ignore_ascii_case(kind))
        };
        self.nonce.is_some()
            || self.at_hash.is_some()
            || self.c_hash.is_some()
            || says(&self.typ, "ID")
            || says(&self.token_use, "id")
    }

    /// Checks all of them. The end has no leeway: what ends a session must not be argued with; times that must not lie ahead have it,
    /// because clocks differ. `auth_time` is one of these: one in milliseconds would be a sign-in that never grows old.
    pub(super) fn check(self, demands: &Demands<'_>, now: Timestamp) -> Result<Identity, Refused> {
        let expires = time(self.exp.as_ref())?.ok_or(Refused::Times)?;
        if expires <= now {
            return Err(Refused::Expired);
        }
        let latest = now.plus(LEEWAY);
        if expires > latest.plus(demands.max_lifetime) {
            return Err(Refused::Lifetime);
        }
        let [starts, issued, authenticated] = [&self.nbf, &self.iat, &self.auth_time].map(|claim| time(claim.as_ref()));
        let (starts, issued, authenticated) = (starts?, issued?, authenticated?);
        if [starts, issued, authenticated]
            .into_iter()
            .flatten()
            .any(|time| time > latest)
        {
            return Err(Refused::Early);
        }
        if let Some(issuer) = demands.issuer
            && self.iss.as_ref().and_then(Value::as_str) != Some(issuer)
        {
            return Err(Refused::Issuer);
        }
        if let Some(audience) = demands.audience
            && !self.aud.is_some_and(|aud| holds(&aud, audience))
        {
            return Err(Refused::Audience);
        }
        // StringOrURI (RFC 7519, section 4.1.2): of a number nobody knows which text its user has elsewhere.
        let user = self.sub.as_ref().and_then(Value::as_str).ok_or(Refused::Subject)?;
        Ok(Identity {
            user: UserId::new(user).map_err(|_no_id| Refused::Subject)?,
            session: session(self.sid.as_ref())?,
            expires,
            issued,
            authenticated,
        })
    }
}

/// Whether `aud`, a text or a list of them, names this audience.
fn holds(aud: &Value, audience: &str) -> bool {
    match aud {
        Value::Array(many) => many.iter().any(|one| one.as_str() == Some(audience)),
        one => one.as_str() == Some(audience),
    }
}

/// The session of `sid`: a text, or a whole number, which has one way to be written.
fn session(sid: Option<&Value>) -> Result<SessionId, Refused> {
    let id = match sid {
        None => Some(SessionId::DEFAULT.to_owned()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        Some(Value::Number(number)) => number.as_f64().filter(|id| is_whole(*id)).map(|id| format!("{id:.0}")),
        Some(_) => None,
    };
    SessionId::new(id.ok_or(Refused::Subject)?).map_err(|_no_id| Refused::Subject)
}

/// Whether a float is one integer and no other.
fn is_whole(number: f64) -> bool {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    number.fract() == 0.0 && number.abs() <= EXACT
}

/// A `NumericDate` (RFC 7519, section 2): seconds since 1970, with or without a fraction; also as text, as some issuers write it.
fn time(claim: Option<&Value>) -> Result<Option<Timestamp>, Refused> {
    let Some(claim) = claim else {
        return Ok(None);
    };
    let seconds = match claim {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => text.parse().ok(),
        other => other.as_f64(),
    };
    seconds.map(|seconds| Some(timestamp(seconds))).ok_or(Refused::Times)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float is cut to the nearest i64, and the timestamp to the year 9999"
)]
fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1_000.0) as i64)
}

const LEEWAY: Duration = Duration::from_secs(60);
