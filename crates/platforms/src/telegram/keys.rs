//! The keys that Telegram signs with (RFC 7517), fetched when a token needs one that is not known.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, StatusCode, header};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::foreign;
use crate::http::{CallError, Http};

/// The keys as they were last read.
#[derive(Debug)]
pub(super) struct Keys {
    url: Url,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<Vec<Named>>,
    fetched: Option<Instant>,
}

/// A key, and the one algorithm of its kind (RFC 8725, section 3.1).
#[derive(Clone)]
pub(super) struct Named {
    kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Named {
    pub(super) fn new(kid: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { kid, algorithm, key }
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Keys {
    pub(super) fn new(url: Url) -> Self {
        Self {
            url,
            known: Mutex::default(),
        }
    }

    /// The key of this id and algorithm. Telegram is asked when it is not known, and then not again for a while, whatever ids
    /// tokens name; and when what is known is old, so that a key that was withdrawn is not believed for ever.
    pub(super) async fn find(
        &self,
        http: &Http,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Named>, CallError> {
        let (found, age) = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            (find(&known.keys, kid, algorithm), known.fetched.map(|at| at.elapsed()))
        };
        let enough = match (&found, age) {
            (_, None) => false,
            (Some(_), Some(age)) => age < BELIEVED_FOR,
            (None, Some(age)) => age < UNKNOWN_PAUSE,
        };
        if enough {
            return Ok(found);
        }
        let keys = Arc::new(self.fetch(http).await?);
        let found = find(&keys, kid, algorithm);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known {
            keys,
            fetched: Some(Instant::now()),
        };
        Ok(found)
    }

    async fn fetch(&self, http: &Http) -> Result<Vec<Named>, CallError> {
        let request = Request::get(self.url.as_str()).header(header::ACCEPT, "application/json");
        let request = request
            .body(Vec::new())
            .map_err(|error| CallError::NotSent(error.into()))?;
        let answer = http.send(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(CallError::Status(answer.status()));
        }
        parse(answer.body()).ok_or(CallError::Unreadable)
    }
}

fn find(keys: &[Named], kid: Option<&str>, algorithm: Algorithm) -> Option<Named> {
    let mut fits = keys
        .iter()
        .filter(|key| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid));
    match (fits.next(), fits.next(), kid) {
        (Some(only), None, _) | (Some(only), Some(_), Some(_)) => Some(only.clone()),
        // A token that names none is taken when there is no choice.
        _ => None,
    }
}

/// Reads a set. A key that cannot be used is left out and takes no other with it (RFC 7517, section 5).
fn parse(json: &[u8]) -> Option<Vec<Named>> {
    #[derive(Deserialize)]
    struct Published {
        keys: Vec<Value>,
    }
    let set: Published = foreign::read(json)?;
    Some(set.keys.into_iter().filter_map(usable).collect())
}

/// The key, if tokens may be verified with it. A symmetric key is none: what is published is no secret.
fn usable(value: Value) -> Option<Named> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(on) if on.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(on) if on.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let usage = jwk.common.public_key_use.as_ref();
    if usage.is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Named::new(jwk.common.key_id, algorithm, key))
}

/// The least time between two fetches for keys that are not there.
const UNKNOWN_PAUSE: Duration = Duration::from_mins(1);

/// How long a key is believed without asking again.
const BELIEVED_FOR: Duration = Duration::from_hours(1);
