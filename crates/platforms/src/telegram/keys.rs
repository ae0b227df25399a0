//! Key set of Telegram (RFC 7517), fetched when a token names an unknown key.

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

use crate::http::{CallError, Http};
use crate::untrusted;

/// Keys of the last successful fetch.
#[derive(Debug)]
pub(super) struct Keys {
    url: Url,
    known: Mutex<CachedKeys>,
}

#[derive(Debug, Default)]
struct CachedKeys {
    keys: Arc<Vec<SigningKey>>,
    fetched: Option<Instant>,
}

/// Key, and the one algorithm of its kind (RFC 8725, section 3.1).
#[derive(Clone)]
pub(super) struct SigningKey {
    kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl SigningKey {
    pub(super) fn new(kid: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { kid, algorithm, key }
    }
}

impl fmt::Debug for SigningKey {
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

    /// Key with this id and algorithm. An unknown key triggers a fetch, followed by a cooldown that no token can shorten; so does
    /// a set that is too old, so that a withdrawn key is not trusted for ever.
    pub(super) async fn find(
        &self,
        http: &Http,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<SigningKey>, CallError> {
        let (found, age) = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            (find(&known.keys, kid, algorithm), known.fetched.map(|at| at.elapsed()))
        };
        let enough = match (&found, age) {
            (_, None) => false,
            (Some(_), Some(age)) => age < MAX_AGE,
            (None, Some(age)) => age < UNKNOWN_KEY_COOLDOWN,
        };
        if enough {
            return Ok(found);
        }
        let keys = Arc::new(self.fetch(http).await?);
        let found = find(&keys, kid, algorithm);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = CachedKeys {
            keys,
            fetched: Some(Instant::now()),
        };
        Ok(found)
    }

    async fn fetch(&self, http: &Http) -> Result<Vec<SigningKey>, CallError> {
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

fn find(keys: &[SigningKey], kid: Option<&str>, algorithm: Algorithm) -> Option<SigningKey> {
    let mut fits = keys
        .iter()
        .filter(|key| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid));
    match (fits.next(), fits.next(), kid) {
        (Some(only), None, _) | (Some(only), Some(_), Some(_)) => Some(only.clone()),
        // A token without a key id is accepted if there is only one candidate.
        _ => None,
    }
}

/// Parses a key set. An unusable key is skipped, the others are kept (RFC 7517, section 5).
fn parse(json: &[u8]) -> Option<Vec<SigningKey>> {
    #[derive(Deserialize)]
    struct Published {
        keys: Vec<Value>,
    }
    let set: Published = untrusted::read(json)?;
    Some(set.keys.into_iter().filter_map(usable).collect())
}

/// Key, if it can verify tokens. A symmetric key cannot: a published key is no secret.
fn usable(value: Value) -> Option<SigningKey> {
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
    Some(SigningKey::new(jwk.common.key_id, algorithm, key))
}

/// Cooldown between two fetches for unknown keys.
const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_mins(1);

/// Time for which a key is trusted without a new fetch.
const MAX_AGE: Duration = Duration::from_hours(1);
