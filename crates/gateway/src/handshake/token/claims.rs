//! What a token claims, and whether that holds.

use std::time::Duration;

use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Identity, Refused};

/// The claims that are looked at (RFC 7519, section 4.1; `sid` and `auth_time` of OpenID Connect). Its times are seconds since 1970, with or
/// without a fraction.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<String>,
    sid: Option<String>,
    iss: Option<String>,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    auth_time: Option<f64>,
    nonce: Option<IgnoredAny>,
    at_hash: Option<IgnoredAny>,
    c_hash: Option<IgnoredAny>,
    /// Kind of the token by Keycloak, which has it in the claims.
    typ: Option<Value>,
    /// Kind of the token by Cognito.
    token_use: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
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

    /// Checks all of them. `exp` has no leeway: what ends a session must not be argued with; `nbf` and `iat` have it, because
    /// clocks differ.
    pub(super) fn check(
        self,
        issuer: Option<&str>,
        audience: Option<&str>,
        now: Timestamp,
    ) -> Result<Identity, Refused> {
        let expires = self.exp.map(timestamp).ok_or(Refused::Expired)?;
        if expires <= now {
            return Err(Refused::Expired);
        }
        let latest = now.plus(LEEWAY);
        if [self.nbf, self.iat]
            .into_iter()
            .flatten()
            .any(|time| timestamp(time) > latest)
        {
            return Err(Refused::Early);
        }
        if issuer.is_some() && issuer != self.iss.as_deref() {
            return Err(Refused::Issuer);
        }
        if let Some(audience) = audience
            && !self.aud.is_some_and(|aud| aud.holds(audience))
        {
            return Err(Refused::Audience);
        }
        let session = self.sid.as_deref().unwrap_or(SessionId::DEFAULT);
        Ok(Identity {
            user: UserId::new(self.sub.unwrap_or_default()).map_err(|_no_id| Refused::Subject)?,
            session: SessionId::new(session).map_err(|_no_id| Refused::Subject)?,
            expires,
            issued: self.iat.map(timestamp),
            authenticated: self.auth_time.map(timestamp),
        })
    }
}

impl Audience {
    fn holds(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float is cut to the nearest i64, and the timestamp to the year 9999"
)]
fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1_000.0) as i64)
}

const LEEWAY: Duration = Duration::from_secs(60);
