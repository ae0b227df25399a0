//! Task that fetches the key set: at the start until the issuer answers, then every few minutes, and early when a token names an
//! unknown key.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, Condition, Entropy};
use protocol::fault::chain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::{FetchError, JwksClient};
use crate::fetch_state::{FetchRequests, FetchState};
use crate::key_set::KeySet;
use crate::metrics::Metrics;
use crate::settings::JwksSettings;

/// Keeps the keys of an issuer up to date.
pub struct JwksRefresher {
    client: JwksClient,
    refresh: Duration,
    max_stale: Duration,
    state: watch::Sender<FetchState>,
    requests: Arc<FetchRequests>,
    /// Holds while tokens can be verified.
    usable: Condition,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
}

impl JwksRefresher {
    pub(crate) fn new(
        client: JwksClient,
        settings: &JwksSettings,
        state: watch::Sender<FetchState>,
        requests: Arc<FetchRequests>,
        usable: Condition,
        entropy: Arc<dyn Entropy>,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            refresh: settings.refresh,
            max_stale: settings.max_stale,
            state,
            requests,
            usable,
            entropy,
            metrics,
        }
    }

    /// Fetches until the node drains.
    pub async fn run(self, soft: CancellationToken) {
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
            self.apply(fetched, request);
            tokio::select! {
                () = soft.cancelled() => return,
                () = sleep(pause) => {}
                () = self.requests.after(request) => {}
            }
        }
    }

    /// Replaces the keys: one that is no longer published is withdrawn. A failed fetch leaves them as they are.
    fn apply(&self, fetched: Result<KeySet, FetchError>, request: u64) {
        let keys = match fetched {
            Ok(keys) => {
                self.metrics.fetched(keys.len());
                if keys.is_empty() {
                    tracing::warn!(
                        unusable = keys.unusable(),
                        "jwks has no usable key, every token is refused"
                    );
                }
                Some(Arc::new(keys))
            }
            Err(error) => {
                self.metrics.failed(error.label());
                tracing::warn!(error = chain(&error), "jwks fetch failed, keeping the last keys");
                None
            }
        };
        self.state.send_modify(|state| {
            if let Some(keys) = keys {
                state.keys = keys;
                state.fetched = Some(Instant::now());
            }
            state.completed = request;
        });
        let state = self.state.borrow();
        self.usable
            .set(state.is_fresh(self.max_stale) && !state.keys.is_empty());
    }
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
