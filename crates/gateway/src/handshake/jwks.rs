//! JWKS client (RFC 7517): a background task refreshes the issuer's key set, token verification reads the cache without waiting.

mod fetch;
mod key_set;
mod metrics;
mod refresher;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lifecycle::{Condition, Entropy};
use opentelemetry::metrics::Meter;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

pub use self::fetch::JwksError;
pub(crate) use self::key_set::KeySet;
pub(crate) use self::refresher::JwksRefresher;

use self::fetch::JwksClient;
use self::metrics::JwksMetrics;
use crate::settings::JwksSettings;

/// Read side of the cached key set.
#[derive(Debug)]
pub(crate) struct JwksCache {
    cached: watch::Receiver<CachedKeys>,
    requests: Arc<FetchRequests>,
    unknown_key_interval: Duration,
    max_stale: Duration,
    /// Maximum wait for a requested fetch. A fetch may be running already when the request is made.
    request_timeout: Duration,
}

/// Last key set of the issuer.
#[derive(Debug, Default)]
struct CachedKeys {
    keys: Arc<KeySet>,
    /// Time of the last successful fetch.
    fetched_at: Option<Instant>,
    /// Number of the last request that a fetch has completed, successfully or not.
    completed_request: u64,
}

/// Requests for a fetch before the next regular one. Requests within the minimum interval share one fetch.
#[derive(Debug, Default)]
struct FetchRequests {
    last: Mutex<FetchRequest>,
    wake: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct FetchRequest {
    number: u64,
    at: Option<Instant>,
}

impl JwksCache {
    /// Creates an empty cache and the task that fills it. `usable` is set while the cache holds a key to verify with.
    ///
    /// # Errors
    /// [`JwksError`].
    pub(crate) fn new(
        settings: &JwksSettings,
        usable: Condition,
        entropy: Arc<dyn Entropy>,
        meter: &Meter,
    ) -> Result<(Self, JwksRefresher), JwksError> {
        let client = JwksClient::new(&settings.url, settings.fetch_timeout)?;
        let (sender, receiver) = watch::channel(CachedKeys::default());
        let requests = Arc::new(FetchRequests::default());
        let cache = Self {
            cached: receiver.clone(),
            requests: Arc::clone(&requests),
            unknown_key_interval: settings.unknown_key_interval,
            max_stale: settings.max_stale,
            request_timeout: settings.fetch_timeout * 2,
        };
        let metrics = JwksMetrics::new(meter, receiver);
        let refresher = JwksRefresher::new(client, settings, sender, requests, usable, entropy, metrics);
        Ok((cache, refresher))
    }

    /// Returns the cached keys, or `None` when they are older than `max_stale`.
    pub(crate) fn keys(&self) -> Option<Arc<KeySet>> {
        let cached = self.cached.borrow();
        cached.is_fresh(self.max_stale).then(|| Arc::clone(&cached.keys))
    }

    /// Requests a fetch if the key id is unknown, and waits for the result. At most one fetch is requested per
    /// `unknown_key_interval`; within it, unknown key ids cause neither a fetch nor a wait.
    pub(crate) async fn fetch_unknown_key(&self, kid: &str) {
        if self.cached.borrow().keys.contains(kid) {
            return;
        }
        let request = self.requests.submit(Instant::now(), self.unknown_key_interval);
        let mut cached = self.cached.clone();
        let completed = cached.wait_for(|cached| cached.completed_request >= request);
        if timeout(self.request_timeout, completed).await.is_err() {
            tracing::debug!("jwks fetch for an unknown key id timed out");
        }
    }
}

impl CachedKeys {
    fn is_fresh(&self, max_stale: Duration) -> bool {
        self.fetched_at.is_some_and(|at| at.elapsed() < max_stale)
    }
}

impl FetchRequests {
    /// Returns the number of the request to wait for: a new one if the minimum interval has passed, else the last one.
    fn submit(&self, now: Instant, min_interval: Duration) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_none_or(|at| at + min_interval <= now) {
            last.number += 1;
            last.at = Some(now);
            self.wake.notify_one();
        }
        last.number
    }

    fn number(&self) -> u64 {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).number
    }

    /// Waits for a request with a higher number.
    async fn wait_newer(&self, number: u64) {
        while self.number() <= number {
            self.wake.notified().await;
        }
    }
}
