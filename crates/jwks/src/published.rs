//! Key set of an issuer, kept up to date by a task: a lookup does not wait.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Dependency, Entropy, Latch};
use opentelemetry::metrics::Meter;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::client::{JwksClient, JwksError};
use crate::fetch_state::{FetchRequests, FetchState};
use crate::key_set::KeySet;
use crate::metrics::Metrics;
use crate::refresher::JwksRefresher;
use crate::settings::JwksSettings;

/// Keys of the last successful fetch.
#[derive(Debug)]
pub struct Jwks {
    state: watch::Receiver<FetchState>,
    requests: Arc<FetchRequests>,
    unknown_key_interval: Duration,
    max_stale: Duration,
    /// Bound on a requested fetch, which may have to wait for the one that is running.
    request_timeout: Duration,
}

impl Jwks {
    /// Empty key set of an issuer, and the task that fetches it. The first fetch with a usable key releases the latch, and each fetch is
    /// reported to the dependency.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn new(
        settings: &JwksSettings,
        (loaded, issuer): (Latch, Dependency),
        entropy: Arc<dyn Entropy>,
        meter: &Meter,
    ) -> Result<(Self, JwksRefresher), JwksError> {
        let client = JwksClient::new(&settings.url, settings.fetch_timeout)?;
        let (sender, receiver) = watch::channel(FetchState::default());
        let requests = Arc::new(FetchRequests::default());
        let published = Self {
            state: receiver.clone(),
            requests: Arc::clone(&requests),
            unknown_key_interval: settings.unknown_key_interval,
            max_stale: settings.max_stale,
            request_timeout: settings.fetch_timeout * 2,
        };
        let metrics = Metrics::new(meter, receiver);
        let refresher = JwksRefresher::new(client, settings, (sender, requests), (loaded, issuer), entropy, metrics);
        Ok((published, refresher))
    }

    /// Keys, or none if the last successful fetch is too long ago.
    #[must_use]
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        let state = self.state.borrow();
        state.is_fresh(self.max_stale).then(|| Arc::clone(&state.keys))
    }

    /// Requests a fetch for an unknown key id and waits for it. That happens at most once per cooldown; until the next one, unknown
    /// ids cost nothing and nobody waits.
    pub async fn fetch_unknown_key(&self, kid: &str) {
        if self.state.borrow().keys.contains(kid) {
            return;
        }
        let request = self.requests.add(Instant::now(), self.unknown_key_interval);
        let mut state = self.state.clone();
        let completed = state.wait_for(|state| state.completed >= request);
        if timeout(self.request_timeout, completed).await.is_err() {
            tracing::debug!("jwks fetch for an unknown key timed out");
        }
    }
}
