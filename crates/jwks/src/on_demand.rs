//! Keys of an issuer that are fetched when a token needs them, for owners without a task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use tokio::time::Instant;

use crate::client::{FetchError, JwksClient};
use crate::key_set::KeySet;
use crate::token_key::TokenKey;

/// Key set of an issuer with the time of its last fetch.
#[derive(Debug)]
pub struct OnDemandKeys {
    client: JwksClient,
    cached: Mutex<CachedKeys>,
}

#[derive(Debug, Default)]
struct CachedKeys {
    keys: Arc<KeySet>,
    fetched: Option<Instant>,
}

impl OnDemandKeys {
    /// Empty cache in front of this client.
    #[must_use]
    pub fn new(client: JwksClient) -> Self {
        Self {
            client,
            cached: Mutex::default(),
        }
    }

    /// Key with this id and algorithm. An unknown key triggers a fetch, followed by a cooldown that no token can shorten; so does a
    /// set that is too old, so that a withdrawn key is not trusted for ever.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Option<TokenKey>, FetchError> {
        let (found, age) = {
            let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            (
                only(&cached.keys, kid, algorithm),
                cached.fetched.map(|at| at.elapsed()),
            )
        };
        let is_recent = match (&found, age) {
            (_, None) => false,
            (Some(_), Some(age)) => age < MAX_AGE,
            (None, Some(age)) => age < UNKNOWN_KEY_COOLDOWN,
        };
        if is_recent {
            return Ok(found);
        }
        let keys = Arc::new(self.client.fetch().await?);
        let found = only(&keys, kid, algorithm);
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        *cached = CachedKeys {
            keys,
            fetched: Some(Instant::now()),
        };
        Ok(found)
    }
}

/// First key with this id; without an id, the key if there is only one candidate.
fn only(keys: &KeySet, kid: Option<&str>, algorithm: Algorithm) -> Option<TokenKey> {
    let candidates = keys.find(kid, algorithm).ok()?;
    match (candidates.as_slice(), kid) {
        ([key], _) | ([key, ..], Some(_)) => Some((*key).clone()),
        _ => None,
    }
}

/// Cooldown between two fetches for unknown keys.
const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_mins(1);

/// Time for which a key is trusted without a new fetch.
const MAX_AGE: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use serde_json::{Value, json};
    use testkit::token::Signer;
    use tokio::time::advance;
    use url::Url;

    use super::*;

    /// Issuer whose key set a test changes, and its fetches.
    #[derive(Default)]
    struct Issuer {
        keys: Mutex<Vec<Value>>,
        fetches: AtomicUsize,
    }

    impl Issuer {
        fn publishing(keys: &[Value]) -> Arc<Self> {
            let issuer = Self::default();
            issuer.publish(keys);
            Arc::new(issuer)
        }

        fn publish(&self, keys: &[Value]) {
            *self.keys.lock().unwrap() = keys.to_vec();
        }

        fn cache(self: &Arc<Self>) -> OnDemandKeys {
            let issuer = Arc::clone(self);
            let script = move |_: &Request<Vec<u8>>| {
                issuer.fetches.fetch_add(1, Ordering::Relaxed);
                Response::new(json!({ "keys": *issuer.keys.lock().unwrap() }).to_string().into_bytes())
            };
            let url = Url::parse("https://issuer.example/jwks.json").unwrap();
            OnDemandKeys::new(JwksClient::scripted(Arc::new(script), url))
        }

        fn fetches(&self) -> usize {
            self.fetches.load(Ordering::Relaxed)
        }
    }

    async fn finds(keys: &OnDemandKeys, kid: Option<&str>) -> bool {
        keys.find(kid, Algorithm::ES256).await.unwrap().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn known_key_is_fetched_once_an_hour() {
        let issuer = Issuer::publishing(&[Signer::es256().jwk("1")]);
        let keys = issuer.cache();
        for _ in 0..3 {
            assert!(finds(&keys, Some("1")).await);
        }
        assert_eq!(issuer.fetches(), 1);

        issuer.publish(&[]);
        advance(MAX_AGE).await;
        assert!(!finds(&keys, Some("1")).await, "it was withdrawn");
        assert_eq!(issuer.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_cause_one_fetch_per_cooldown() {
        let issuer = Issuer::publishing(&[Signer::es256().jwk("1")]);
        let keys = issuer.cache();
        for kid in ["2", "3", "4"] {
            assert!(!finds(&keys, Some(kid)).await);
        }
        assert_eq!(issuer.fetches(), 1);

        issuer.publish(&[Signer::es256().jwk("2")]);
        advance(UNKNOWN_KEY_COOLDOWN).await;
        assert!(finds(&keys, Some("2")).await);
        assert_eq!(issuer.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn token_without_a_key_id_needs_a_set_with_one_candidate() {
        let issuer = Issuer::publishing(&[Signer::es256().jwk("1"), Signer::eddsa().jwk("2")]);
        assert!(finds(&issuer.cache(), None).await);

        issuer.publish(&[Signer::es256().jwk("1"), Signer::es256().jwk("2")]);
        assert!(!finds(&issuer.cache(), None).await);
    }
}
