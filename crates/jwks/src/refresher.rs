//! Task that fetches the key set: at the start until the issuer answers, then every few minutes, and early when a token names an
//! unknown key.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, Dependency, Entropy, Latch};
use protocol::fault::chain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::{FetchError, JwksClient};
use crate::fetch_state::{FetchRequests, FetchState};
use crate::key_set::KeySet;
use crate::metrics::{FetchOutcome, Metrics};
use crate::settings::JwksSettings;

/// Keeps the keys of an issuer up to date.
pub struct JwksRefresher {
    client: JwksClient,
    refresh: Duration,
    state: watch::Sender<FetchState>,
    requests: Arc<FetchRequests>,
    /// Released by the first key set with a usable key.
    loaded: Option<Latch>,
    issuer: Dependency,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
}

impl JwksRefresher {
    pub(crate) fn new(
        client: JwksClient,
        settings: &JwksSettings,
        (state, requests): (watch::Sender<FetchState>, Arc<FetchRequests>),
        (loaded, issuer): (Latch, Dependency),
        entropy: Arc<dyn Entropy>,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            refresh: settings.refresh,
            state,
            requests,
            loaded: Some(loaded),
            issuer,
            entropy,
            metrics,
        }
    }

    /// Fetches until the node drains.
    pub async fn run(mut self, soft: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY.min(self.refresh));
        loop {
            let request = self.requests.number();
            let started = Instant::now();
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
            let outcome = fetched.as_ref().map_or_else(FetchError::outcome, |_| FetchOutcome::Ok);
            self.metrics.fetched(outcome, started.elapsed());
            self.apply(fetched, request);
            tokio::select! {
                () = soft.cancelled() => return,
                () = sleep(pause) => {}
                () = self.requests.after(request) => {}
            }
        }
    }

    /// Replaces the keys: one that is no longer published is withdrawn. A failed fetch leaves them as they are.
    fn apply(&mut self, fetched: Result<KeySet, FetchError>, request: u64) {
        let keys = match fetched {
            Ok(keys) => {
                self.metrics.keys(keys.len());
                self.issuer.succeeded();
                if keys.is_empty() {
                    tracing::warn!(
                        unusable = keys.unusable(),
                        "jwks has no usable key, every token is refused"
                    );
                } else if let Some(loaded) = self.loaded.take() {
                    loaded.release();
                }
                Some(Arc::new(keys))
            }
            Err(error) => {
                self.issuer.failed(error.outcome().label(), chain(&error));
                tracing::debug!(error = chain(&error), "jwks fetch failed, keeping the last keys");
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
    }
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
