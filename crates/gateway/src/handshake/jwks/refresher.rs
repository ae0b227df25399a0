//! Background task that fetches the key set: with backoff until the issuer answers, then at the refresh interval, and on request for
//! an unknown key id.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, Condition, Entropy};
use protocol::fault::chain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::fetch::{FetchError, JwksClient};
use super::metrics::JwksMetrics;
use super::{CachedKeys, FetchRequests, KeySet};
use crate::settings::JwksSettings;

/// Background task that keeps the cached key set up to date.
pub(crate) struct JwksRefresher {
    client: JwksClient,
    refresh: Duration,
    max_stale: Duration,
    cached: watch::Sender<CachedKeys>,
    requests: Arc<FetchRequests>,
    /// Readiness condition: set while tokens can be verified.
    usable: Condition,
    entropy: Arc<dyn Entropy>,
    metrics: JwksMetrics,
}

impl JwksRefresher {
    pub(super) fn new(
        client: JwksClient,
        settings: &JwksSettings,
        cached: watch::Sender<CachedKeys>,
        requests: Arc<FetchRequests>,
        usable: Condition,
        entropy: Arc<dyn Entropy>,
        metrics: JwksMetrics,
    ) -> Self {
        Self {
            client,
            refresh: settings.refresh,
            max_stale: settings.max_stale,
            cached,
            requests,
            usable,
            entropy,
            metrics,
        }
    }

    /// Fetches the key set periodically until the node drains.
    pub(crate) async fn run(self, soft: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY.min(self.refresh));
        loop {
            let request = self.requests.number();
            let fetched = tokio::select! {
                () = soft.cancelled() => return,
                fetched = self.client.fetch() => fetched,
            };
            let pause = if fetched.is_ok() {
                backoff.reset();
                self.refresh
            } else {
                backoff.next(&*self.entropy)
            };
            self.store(fetched, request);
            tokio::select! {
                () = soft.cancelled() => return,
                () = sleep(pause) => {}
                () = self.requests.wait_newer(request) => {}
            }
        }
    }

    /// Replaces the cached keys by the fetched ones: a key missing from the response is withdrawn. A failed fetch keeps the cached
    /// keys, whose age grows.
    fn store(&self, fetched: Result<KeySet, FetchError>, request: u64) {
        let keys = match fetched {
            Ok(keys) => {
                self.metrics.fetched(keys.len());
                if keys.len() == 0 {
                    tracing::warn!(
                        unusable = keys.unusable(),
                        "jwks has no usable key, all tokens are refused"
                    );
                }
                Some(Arc::new(keys))
            }
            Err(error) => {
                self.metrics.failed(error.label());
                tracing::warn!(error = chain(&error), "jwks fetch failed, keeping the cached keys");
                None
            }
        };
        self.cached.send_modify(|cached| {
            if let Some(keys) = keys {
                cached.keys = keys;
                cached.fetched_at = Some(Instant::now());
            }
            cached.completed_request = request;
        });
        let cached = self.cached.borrow();
        self.usable
            .set(cached.is_fresh(self.max_stale) && cached.keys.len() > 0);
    }
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
